"""How a node is, in one small value."""

from dataclasses import dataclass

from counterpoint.runtime.doctor import unhosted_words
from counterpoint.runtime.node import Node
from counterpoint.runtime.recovery import is_fatal
from counterpoint.runtime.unhosted import calls_without_host


@dataclass(frozen=True, slots=True)
class Health:
    """A snapshot of one node."""

    accepting: bool
    """Whether it takes work now."""
    problems: tuple[str, ...]
    """What is wrong, in words; empty when all is well."""
    resident: int
    """Executions in memory."""
    running: int
    """Attempts under way."""
    waiting: int
    """Attempts that wait for `max_running` or a limit of their activity or service."""
    threads_lost: int
    """Threads of `def` activities that outlived their timeout and still run."""
    commits: int
    """Commits since the start."""


def health_of(node: Node) -> Health:
    """Return a node's health; from any thread, so that a blocked event loop can be diagnosed."""
    problems: list[str] = []
    if node.fault is not None:
        again = "start a new process" if is_fatal(node.fault) else "it is tried again"
        problems.append(f"the store failed, {again}: {node.fault}")
    if node.watchdog.blocked_by is not None:
        problems.append(f"the event loop is blocked by {node.watchdog.blocked_by}")
    if node.threads.exhausted:
        problems.append(
            f"all {node.threads.threads_max} threads hang in `def` activities that timed out: "
            "no other `def` activity can run; `async def` ones go on"
        )
    elif node.threads.lost:
        problems.append(f"{node.threads.lost} threads hang in `def` activities that timed out")
    problems += [f"no service of this app has {what}" for what in sorted(node.unhosted.copy())]
    problems += _unhosted_calls(node)
    damaged = dict(node.loading.damaged)
    problems += [f"execution {key} is left alone: {why}" for key, why in damaged.items()][:10]
    if len(damaged) > 10:
        problems.append(f"and {len(damaged) - 10} more executions are left alone")
    if node.stopping:
        problems.append("the node is stopping")
    return Health(
        accepting=not node.stopping and node.fault is None,
        problems=tuple(problems),
        resident=len(node.residents),
        running=len(node.activities.running),
        waiting=node.activities.waiting,
        threads_lost=node.threads.lost,
        commits=node.committer.commits,
    )


def _unhosted_calls(node: Node) -> list[str]:
    """Say which calls, of any execution of the store, no living node hosts."""
    unhosted = node.remote.unhosted
    if unhosted is None:
        return []
    return [unhosted_words(one) for one in calls_without_host(node.registry, unhosted.found)]
