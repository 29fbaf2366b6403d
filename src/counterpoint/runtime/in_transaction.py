"""What a turn does with the outcome of an attempt in a transaction; see `runtime.transactions`."""

from counterpoint.model.outcomes import Outcome
from counterpoint.runtime import inputs
from counterpoint.runtime.attempt import Attempt
from counterpoint.runtime.host import Host
from counterpoint.runtime.resident import Resident
from counterpoint.runtime.transactions import OpenTransaction


def attempt_ended(
    node: Host, now: int, resident: Resident, attempt: Attempt, outcome: Outcome
) -> None:
    """An attempt in a transaction returned: commit its execution's records with it."""
    opened: OpenTransaction = attempt.transaction
    if resident.transaction is not None:  # one after the other
        resident.later.append((attempt, outcome))
        return
    here = node.residents.get(resident.id) is resident
    if not here or attempt.step not in resident.execution.state.open_steps:
        opened.abandon()
        inputs.attempt_ended(node, now, resident, attempt, outcome)
        return
    resident.transaction = opened
    try:
        inputs.attempt_ended(node, now, resident, attempt, outcome)
    except BaseException:
        resident.transaction = None
        opened.abandon()
        raise
    node.committer.commit_in(opened, resident)
