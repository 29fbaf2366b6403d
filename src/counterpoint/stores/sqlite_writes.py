"""What a commit writes, statement by statement: as few steps of SQLite as there are parts."""

import json

from counterpoint.model.messages import Messages, SubscriptionRow
from counterpoint.model.rows import Commit
from counterpoint.stores.message_rows import highest_positions, message_parts, plain_done
from counterpoint.stores.queries import load_queries
from counterpoint.stores.rows import (
    Execute,
    ManyRows,
    Value,
    last_attributes,
    one_chunk,
    plain_starts,
)

SQL = load_queries(
    "sqlite/executions.sql",
    "sqlite/journal.sql",
    "sqlite/mailbox.sql",
    "sqlite/attributes.sql",
    "sqlite/events.sql",
    "sqlite/reactions.sql",
)
_STARTS = ManyRows(SQL["insert_executions"])
_PLAIN_STARTS = ManyRows(SQL["insert_plain_executions"])
_JOURNAL = ManyRows(SQL["insert_journal"])
_UPDATES = ManyRows(SQL["update_executions"])
_MAIL = ManyRows(SQL["insert_mail"])
_SET_ATTRIBUTES = ManyRows(SQL["set_attributes"])
_DROP_ATTRIBUTES = ManyRows(SQL["drop_attributes"])
_EVENTS = ManyRows(SQL["insert_events"])
_DONE = ManyRows(SQL["insert_reactions"])
_PLAIN_DONE = ManyRows(SQL["insert_plain_reactions"])
_CHANGED = ManyRows(SQL["replace_reactions"])
_POSITIONS = ManyRows(SQL["move_subscriptions"])
_DEAD = ManyRows(SQL["replace_dead_letters"])
_REVIVED = ManyRows(SQL["drop_dead_letters"])
_HELD = ManyRows(SQL["insert_holds"])
_RELEASED = ManyRows(SQL["drop_holds"])
_WAITS = ManyRows(SQL["insert_waits"])
_WAITS_OVER = ManyRows(SQL["drop_waits"])
_CONTRACTS = ManyRows(SQL["insert_contracts"])
_SUBSCRIPTIONS = ManyRows(SQL["insert_subscriptions"])
_REDECLARED = ManyRows(SQL["redeclare_subscriptions"])
_REDECLARED_LETTERS = ManyRows(SQL["redeclare_dead_letters"])
_ACTS = ManyRows(SQL["insert_acts"])
_DELETE_MAIL = SQL["delete_mail"]
_UNSUBSCRIBE = tuple(
    SQL[name]
    for name in (
        "delete_journal_of_subscriptions",  # it looks for them in the reactions
        "delete_reactions_of_subscriptions",
        "delete_dead_letters_of_subscriptions",
        "delete_subscriptions",
    )
)


def is_one_step(commit: Commit) -> bool:
    """Whether SQLite makes one statement of *commit*, which is then a transaction by itself."""
    messages = commit.messages
    if commit.attributes or (
        messages is not None
        and (messages.unsubscribed or messages.positions or messages.redeclared)
    ):
        return False  # their rows say nothing about how many statements they take
    parts = (commit.starts, commit.journal, commit.updates, commit.taken, commit.mail)
    used = [rows for rows in (*parts, *message_parts(messages)) if rows]
    return len(used) == 1 and one_chunk(used[0])


def write(execute: Execute, commit: Commit, *, first_position: int, last_key: int) -> None:
    """Execute the statements of *commit*; its events get positions from the first one on."""
    if commit.starts:
        plain = plain_starts(commit.starts)
        if plain is None:
            _STARTS.write(execute, commit.starts)
        else:
            _PLAIN_STARTS.write(execute, plain)
    if commit.journal:
        _JOURNAL.write(execute, commit.journal)
    if commit.updates:
        _UPDATES.write(execute, commit.updates)
    if commit.messages is not None:
        _write_log(execute, commit.messages, first_position)
        _write_failures(execute, commit.messages)
        _write_subscriptions(execute, commit.messages, last_key)
    if commit.taken:
        execute(_DELETE_MAIL, [json.dumps(list(commit.taken))])
    if commit.mail:
        _MAIL.write(execute, [row[1:] for row in commit.mail])
    if commit.attributes:
        kept, dropped = last_attributes(commit.attributes)
        _SET_ATTRIBUTES.write(execute, kept)
        _DROP_ATTRIBUTES.write(execute, dropped)


def remember_keys(execute: Execute, last_key: int) -> None:
    """Keep keys from being used again, before rows that have them are deleted."""
    execute(SQL["remember_highest_key"], [last_key])


def _write_log(execute: Execute, messages: Messages, first_position: int) -> None:
    if messages.events:
        places = enumerate(messages.events, first_position)
        _EVENTS.write(execute, [(position, *row[1:]) for position, row in places])
    if messages.done:
        plain = plain_done(messages.done)
        if plain is None:
            _DONE.write(execute, messages.done)
        else:
            _PLAIN_DONE.write(execute, plain)
    if messages.waits:
        _WAITS.write(execute, messages.waits)
    if messages.waits_over:
        _WAITS_OVER.write(execute, messages.waits_over)
    if messages.contracts:
        _CONTRACTS.write(execute, messages.contracts)


def _write_failures(execute: Execute, messages: Messages) -> None:
    """Write what is no success; what is over makes room for what takes its place."""
    if messages.changed:
        _CHANGED.write(execute, messages.changed)
    if messages.revived:
        _REVIVED.write(execute, messages.revived)
    if messages.dead:
        _DEAD.write(execute, messages.dead)
    if messages.released:
        _RELEASED.write(execute, messages.released)
    if messages.held:
        _HELD.write(execute, messages.held)
    if messages.acts:
        _ACTS.write(execute, [row[:-1] for row in messages.acts])


def _write_subscriptions(execute: Execute, messages: Messages, last_key: int) -> None:
    """Delete after everything that may be about what is deleted was written."""
    if messages.redeclared:
        declared = messages.redeclared
        _REDECLARED.write(execute, [(s.number, s.service, s.lane, s.type) for s in declared])
        _REDECLARED_LETTERS.write(execute, [(s.number, s.service, s.lane) for s in declared])
    subscriptions: list[SubscriptionRow] = list(messages.subscriptions)
    if messages.unsubscribed:
        gone = set(messages.unsubscribed)
        subscriptions = [row for row in subscriptions if row.number not in gone]
        remember_keys(execute, last_key)
        numbers: list[Value] = [json.dumps(sorted(gone))]
        for text in _UNSUBSCRIBE:
            execute(text, numbers)
    if subscriptions:
        _SUBSCRIPTIONS.write(execute, subscriptions)
    if messages.positions:
        _POSITIONS.write(execute, list(highest_positions(messages.positions).items()))
