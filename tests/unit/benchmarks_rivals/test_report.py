"""Medians over rounds, ratios to the same round, and the tables that are made of them."""

import json
from pathlib import Path

import pytest
from benchmarks.machine import ROOT
from benchmarks.rivals import environments, report, rounds
from benchmarks.rivals.catalogue import BARE, COUNTERPOINT, RIVALS
from benchmarks.rivals.environments import NotAvailableError
from benchmarks.rivals.rounds import ALONE, MANY, Seen, Visit
from benchmarks.rivals.summary import Figures, summarise
from benchmarks.rivals.workers.protocol import Reply

MACHINE = {"at": "today", "commit": "0123456789abcdef", "system": "Linux", "cores": 2}


def seen(
    per_second: int,
    *,
    p50_ms: float | None = 1.0,
    cpu: float = 1.0,
    server: float | None = 0.0,
    unfinished: int = 0,
    errors: dict[str, int] | None = None,
) -> Seen:
    reply = Reply(per_second, 1.0, cpu, p50_ms, 2.0, unfinished, errors or {})
    return Seen(reply, server)


def visit(rival: str, number: int, case: str, what: Seen) -> Visit:
    return Visit(rival, number, {"version": "1.0"}, {case: what}, loop_ms=(10, 20), sync_ms=(1, 2))


def figures(visits: list[Visit], rival: str, case: str) -> Figures:
    return next(one for one in summarise(visits) if one.rival == rival).cases[case]


def test_figures_are_medians_over_rounds() -> None:
    visits = [visit(BARE, n, MANY, seen(rate)) for n, rate in enumerate((300, 100, 900), 1)]

    found = figures(visits, BARE, MANY)

    assert (found.least, found.sagas_per_second, found.most) == (100, 300, 900)
    assert found.sagas == 1_300


def test_ratios_compare_within_a_round_before_the_median_is_taken() -> None:
    mine = [visit(COUNTERPOINT, n, MANY, seen(rate)) for n, rate in enumerate((100, 1_000, 10), 1)]
    theirs = [visit("dura", n, MANY, seen(rate)) for n, rate in enumerate((50, 500, 10), 1)]

    assert figures([*mine, *theirs], "dura", MANY).times_rate == 2.0


def test_cpu_of_servers_counts() -> None:
    mine = visit(COUNTERPOINT, 1, MANY, seen(100, cpu=1.0))
    theirs = visit("restate", 1, MANY, seen(100, cpu=1.0, server=4.0))

    found = figures([mine, theirs], "restate", MANY)

    assert (found.client_cpu_ms, found.server_cpu_ms, found.times_cpu) == (10.0, 40.0, 5.0)


def test_without_counterpoint_in_the_round_there_is_no_ratio() -> None:
    mine, theirs = visit(COUNTERPOINT, 2, MANY, seen(100)), visit("dura", 1, MANY, seen(100))

    assert figures([mine, theirs], "dura", MANY).times_rate is None


def test_nothing_done_is_shown_as_unknown() -> None:
    visits = [visit("edda", 1, MANY, seen(0, p50_ms=None, unfinished=100))]

    row = report.tables(visits)[list(rounds.CASES).index(MANY)].rows[0]

    assert row == ["Edda", "0", "0 to 0", "-", "-", "2.00", "-", "-", "0", "100"]


def test_alone_the_ratio_is_that_of_the_median_saga() -> None:
    mine = visit(COUNTERPOINT, 1, ALONE, seen(100, p50_ms=2.0))
    theirs = visit("dura", 1, ALONE, seen(100, p50_ms=6.0))

    row = report.tables([mine, theirs])[list(rounds.CASES).index(ALONE)].rows[1]

    assert row[3] == "3.00"


def test_a_rival_that_could_not_run_is_a_row_and_a_note_with_the_reason() -> None:
    visits = [Visit("dura", number, reason="needs Python 3.13") for number in (1, 2)]

    assert [table.rows[0][0] for table in report.tables(visits)] == ["dura"] * 5
    assert report.tables(visits)[0].rows[0][1] == "not measured"
    assert report.footnotes(visits) == ["dura was not measured (to the end): needs Python 3.13"]


def test_sagas_that_went_wrong_are_notes_with_numbers() -> None:
    errors = {"IntegrityError: twice": 3}
    visits = [visit("edda", n, MANY, seen(97, errors=errors, unfinished=n)) for n in (0, 1)]

    assert report.footnotes(visits) == [
        "Edda, order saga, 100 in flight: 6 of 201: IntegrityError: twice",
        "Edda, order saga, 100 in flight: 1 of 201: not finished when the patience was over",
    ]


def test_errors_of_the_warm_up_are_notes_too() -> None:
    visits = [Visit("edda", 1, warm_up_errors={"IntegrityError: twice": 9})]

    assert report.footnotes(visits) == ["Edda, warm-up: 9: IntegrityError: twice"]


def test_figures_survive_the_file(tmp_path: Path) -> None:
    visits = [visit(BARE, 1, MANY, seen(100, errors={"E: x": 1})), Visit("dura", 1, reason="no")]

    report.write(tmp_path / "run.json", MACHINE, visits)

    assert report.read(tmp_path / "run.json") == (MACHINE, visits)
    assert json.loads((tmp_path / "run.json").read_text())["machine"]["cores"] == 2


def test_markdown_is_put_between_the_marks_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    text = report.markdown(MACHINE, [visit(BARE, 1, MANY, seen(1_234))])

    report.put_into(page, text)
    report.put_into(page, text)

    assert page.read_text().startswith(f"before\n{report.BEGIN}\n\nMeasured at today")
    assert page.read_text().endswith(f"{report.END}\nafter\n")
    assert page.read_text().count("| bare loop | 1,234 |") == 1
    assert "old" not in page.read_text()


def test_markdown_says_how_much_the_machine_changed() -> None:
    first = Visit(BARE, 1, loop_ms=(10.0, 20.0), sync_ms=(1.0, 2.0))
    second = Visit(BARE, 2, loop_ms=(40.0, 5.0), sync_ms=(0.5, 2.0))

    text = report.markdown(MACHINE, [first, second, Visit("dura", 1, reason="no")])

    assert "2 rounds. Over the run the fixed loop took 5.00 to 40.0 ms and a sync 0.50" in text


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("nothing")

    with pytest.raises(ValueError, match="has to have"):
        report.put_into(tmp_path / "page.md", "figures")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0, "0"), (1234.5, "1,234"), (12.34, "12.3"), (1.234, "1.23"), (0.0123, "0.012")],
)
def test_figures_have_the_digits_that_can_be_trusted(value: float | None, shown: str) -> None:
    assert report.number(value) == shown


def test_one_that_cannot_be_installed_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(name: str, least: tuple[int, int], say: object) -> None:
        if name == "dura":
            raise NotAvailableError("needs Python 3.13 or newer; none was found")

    monkeypatch.setattr(environments, "install", refuse)
    said: list[str] = []

    visits = rounds.install([COUNTERPOINT, "dura", "edda"], said.append)

    assert visits == {"dura": "needs Python 3.13 or newer; none was found"}
    assert said == ["dura: needs Python 3.13 or newer; none was found"]


def test_a_python_that_is_not_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(least: tuple[int, int]) -> list[str]:
        return []

    monkeypatch.setattr(environments, "_candidates", none)

    with pytest.raises(NotAvailableError, match=r"needs Python 99\.0 or newer"):
        environments.find_python((99, 0))


@pytest.mark.parametrize("name", RIVALS)
def test_every_rival_has_a_worker_and_pinned_requirements(name: str) -> None:
    rival = RIVALS[name]
    worker = ROOT / "benchmarks" / "rivals" / "workers" / f"on_{rival.worker}.py"
    files = [
        environments.REQUIREMENTS / f"{environment}.txt"
        for environment in (rival.environment, *rival.more_environments)
        if environment
    ]
    lines = [line for file in files for line in file.read_text().splitlines()]

    assert worker.read_text().count("\n") <= 150
    assert all("==" in line for line in lines if not line.startswith("#"))
    assert len(lines) >= len(files)
