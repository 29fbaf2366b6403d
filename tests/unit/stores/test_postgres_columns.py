"""Columns as parameters: the text of an array, as PostgreSQL reads it."""

from counterpoint.model.rows import Commit
from counterpoint.stores.postgres_columns import column, kinds, parameter
from counterpoint.stores.postgres_writes import COMMIT, commit_values


def test_a_column_of_texts_is_quoted_and_what_would_end_a_quote_is_escaped() -> None:
    assert column("text", ("a", "", "NULL", "x,{y}\n")) == '{"a","","NULL","x,{y}\n"}'
    assert column("text", ('say "yes"', "no")) == '{"say \\"yes\\"","no"}'
    assert column("text", ("back\\slash", "no")) == '{"back\\\\slash","no"}'
    assert column("text", ('","', "no")) == '{"\\",\\"","no"}'


def test_a_column_with_nothing_in_places_says_so() -> None:
    assert column("text", (None, 'a"', "null")) == '{NULL,"a\\"","null"}'
    assert column("bigint", (1, None, -(2**63))) == "{1,null,-9223372036854775808}"


def test_a_column_of_bytes_is_left_to_the_driver() -> None:
    values = (b"\x00", b"")

    assert column("bytea", values) is values
    assert parameter(3, "bytea") == "$3"
    assert parameter(4, "integer") == "$4::text::integer[]"


def test_kinds_are_said_by_letters() -> None:
    assert kinds("bity") == ("bigint", "integer", "text", "bytea")


def test_a_commit_has_as_many_arguments_as_its_statement() -> None:
    values = commit_values(Commit(), 1, others=False)

    assert f"${len(values)})" in COMMIT
    assert values[2:] == [None] * (len(values) - 2)
