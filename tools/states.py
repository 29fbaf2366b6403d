"""Draws the states of an execution for the documents: `python tools/states.py > the page`."""

from counterpoint.model.states import LIVE, TRANSITIONS, Status

TEXT = """# States of an execution

<!-- Drawn from `counterpoint/model/states.py` by `python tools/states.py`; a test compares. -->

An execution is *live* ({live}) while something may
still happen to it, by itself or by an operator's act. `failed` is left by an operator's `retry()`
only; the other ends are final.

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
"""
RESERVED = ("reserved: nothing leads there yet in this version", "nobody")
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
        "a person: `retry`; a compensation that succeeds after all",
    ),
    Status.COMPLETED: ("the code returned, and its result is recorded", "by itself", "nobody"),
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
    Status.TERMINATED: ("it was stopped as it was, with nothing undone", *RESERVED),
    Status.CONTINUED: ("it goes on as a new run with a new journal", *RESERVED),
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
    live = ", ".join(f"`{status}`" for status in _ordered(LIVE))
    return TEXT.format(
        live=live,
        meanings="\n".join(meanings),
        transitions="\n".join(transitions + ends),
        rows="\n".join(rows),
    )


def _ordered(statuses: frozenset[Status]) -> list[Status]:
    return [status for status in Status if status in statuses]


if __name__ == "__main__":
    print(page(), end="")
