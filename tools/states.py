"""Draws the states of an execution for the documents: `python tools/states.py > the page`."""

from counterpoint.model.states import LIVE, TRANSITIONS, Cause, Status

TEXT = """# States of an execution

<!-- Drawn from `counterpoint/model/states.py` by `python tools/states.py`; a test compares. -->

An execution is *live* ({live}) while something may
still happen to it, by itself or by an operator's act. `failed` is left by an operator's `retry()`
only, and `completed` by a child saga whose parent is being undone; the other ends are final. A
`reset` changes no end: it begins a new run of the same id.

## What each one means

| status | what it means | how it is reached | who leaves it |
|---|---|---|---|
{meanings}

`compensated` has undone what it did, so it is over, and a new one has to be started. `failed` has
undone nothing, so `retry` can take up where it stood.

## What follows what

```mermaid
stateDiagram-v2
    [*] --> running
{transitions}
```

| status | may be followed by |
|---|---|
{rows}

## Why an execution is an incident

Each incident has a cause, which `show`, `describe().incidents` and the log name. It belongs to one
call (or to its compensation), or to the execution as a whole; an execution can have several.
`terminate` ends any of them, and undoes nothing.

| cause | what happened | what a person does | what ends it without one |
|---|---|---|---|
{causes}
"""
MEANINGS: dict[Status, tuple[str, ...]] = {
    Status.RUNNING: (
        "its code goes on, or waits for a call, a timer or a signal",
        "by its start; by a `retry` of `failed`; when an incident is over",
        "the code, by its end; the engine",
    ),
    Status.COMPENSATING: (
        "a saga is being undone, newest call first",
        "the code of a saga ended with an error or was cancelled, and something has to be undone",
        "the engine, when everything is undone",
    ),
    Status.INCIDENT: (
        "a person is needed; nothing is lost, and `show` says why",
        "see [incidents](../guides/operating.md#incidents)",
        "a person; see [the causes](#why-an-execution-is-an-incident)",
    ),
    Status.COMPLETED: (
        "the code returned, and its result is recorded",
        "by itself",
        "nobody; a child saga is undone with its parent",
    ),
    Status.FAILED: (
        "it ended with an error, and nothing was undone",
        "a workflow raised; or a saga did that had nothing to undo: its first step failed, say",
        "a person: `retry` tries what failed again, with the same idempotency keys",
    ),
    Status.COMPENSATED: (
        "a saga failed and was undone; `error` is what caused it",
        "the last compensation succeeded",
        "nobody: start a new one",
    ),
    Status.CANCELLED: (
        "it was asked to stop and did; what a saga had done is undone",
        "`cancel`, once the code has ended and everything is undone",
        "nobody: start a new one",
    ),
    Status.TERMINATED: (
        "it was stopped as it was, with nothing undone; `describe().left` lists what was left",
        "`terminate`, of itself or of its parent",
        "nobody: `reset` it, or start a new one",
    ),
    Status.CONTINUED: (
        "this run is over; the next one has the same id and a journal of its own",
        "`continue_as_new`",
        "nobody: look at the newest run",
    ),
}
NOTHING = "nothing"
CAUSES: dict[Cause, tuple[str, str, str]] = {
    Cause.NON_DETERMINISM: (
        "today's code does something else than the journal says, or cannot read what it recorded",
        "deploys code that agrees with the journal; `retry` where the node runs on",
        "the start of a node whose code agrees",
    ),
    Cause.UNKNOWN_ACTIVITY: (
        "something has to be undone by an activity or a compensation that this app no longer has",
        "deploys it",
        "the start of a node that has it",
    ),
    Cause.LOST_ATTEMPTS: (
        "nodes died during one step, three times in a row: it may be what kills them",
        "`retry` once it is harmless; or `resolve`",
        NOTHING,
    ),
    Cause.UNKNOWN_OUTCOME: (
        "nobody knows whether an `at_most_once` call happened",
        "looks, and states the outcome with `resolve`; `retry` is refused",
        NOTHING,
    ),
    Cause.PATIENCE: (
        "a compensation failed `max_attempts` times; it is tried on, at the longest interval",
        "mends what it needs; `retry` tries it at once, `resolve` says that it is done",
        "an attempt that succeeds",
    ),
    Cause.SETTLE: (
        "a call goes on although it was cancelled `settle` ago, and undoing waits for it",
        "finds out why; `resolve` states its outcome",
        "the end of the call, or of its attempt's timeout",
    ),
    Cause.PAST_PIVOT: (
        "past the pivot a call is out of attempts, or the code failed: nothing may be undone",
        "mends the cause; `retry` goes forward; `resolve` states a call's outcome",
        NOTHING,
    ),
    Cause.DEADLINE: (
        "the deadline passed after the pivot; the execution goes on",
        "hurries, or `retry` to say that it was seen",
        "the end of the execution",
    ),
}


def page() -> str:
    """Return the page."""
    transitions = [f"    {a} --> {b}" for a, after in TRANSITIONS.items() for b in _ordered(after)]
    ends = [f"    {status} --> [*]" for status in Status if status not in LIVE]
    rows = [
        f"| `{status}` | {', '.join(f'`{b}`' for b in _ordered(after)) or 'nothing'} |"
        for status, after in TRANSITIONS.items()
    ]
    meanings = [f"| `{status}` | {' | '.join(MEANINGS[status])} |" for status in Status]
    causes = [f"| `{cause}` | {' | '.join(CAUSES[cause])} |" for cause in Cause]
    live = ", ".join(f"`{status}`" for status in _ordered(LIVE))
    return TEXT.format(
        live=live,
        meanings="\n".join(meanings),
        transitions="\n".join(transitions + ends),
        rows="\n".join(rows),
        causes="\n".join(causes),
    )


def _ordered(statuses: frozenset[Status]) -> list[Status]:
    return [status for status in Status if status in statuses]


if __name__ == "__main__":
    print(page(), end="")
