"""Draws the states of an execution for the documents: `python tools/states.py > the page`."""

from counterpoint.model.states import LIVE, TRANSITIONS, Status

TEXT = """# States of an execution

<!-- Drawn from `counterpoint/model/states.py` by `python tools/states.py`; a test compares. -->

An execution is *live* ({live}) while something may
still happen to it, by itself or by an operator's act. `failed` is left by an operator's `retry()`
only; the other ends are final.

```mermaid
stateDiagram-v2
    [*] --> running
{transitions}
```

| status | may be followed by |
|---|---|
{rows}
"""


def page() -> str:
    """Return the page."""
    transitions = [f"    {a} --> {b}" for a, after in TRANSITIONS.items() for b in _ordered(after)]
    ends = [f"    {status} --> [*]" for status in Status if status not in LIVE]
    rows = [
        f"| `{status}` | {', '.join(f'`{b}`' for b in _ordered(after)) or 'nothing'} |"
        for status, after in TRANSITIONS.items()
    ]
    live = ", ".join(f"`{status}`" for status in _ordered(LIVE))
    return TEXT.format(live=live, transitions="\n".join(transitions + ends), rows="\n".join(rows))


def _ordered(statuses: frozenset[Status]) -> list[Status]:
    return [status for status in Status if status in statuses]


if __name__ == "__main__":
    print(page(), end="")
