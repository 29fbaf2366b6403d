"""What an examination of a store, and of those who share it, has found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeAlias

Fact: TypeAlias = str | int | float | bool | None


class Severity(StrEnum):
    """How much a finding matters."""

    NOTE = "note"
    """Good to know; nothing has to be done."""
    WARNING = "warning"
    """Something waits, or may be lost or stand still later: somebody should look."""
    ERROR = "error"
    """Something stands still, and does not go on by itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, and what to do about it."""

    severity: Severity
    kind: str
    """A stable word for programs, such as `unhosted-call`."""
    what: str
    """What is so, in one sentence for people."""
    where: str
    """What it is about: a node, a subscription, an execution, a setting of the store."""
    advice: str
    """What to do."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What a store says about itself."""

    facts: Mapping[str, Fact] = field(default_factory=dict[str, Fact])
    """Names with underscores; numbers carry their unit last in the name."""
    findings: Sequence[Finding] = ()


class WorkflowLoad(NamedTuple):
    """The live executions of one version of a workflow."""

    name: str
    version: int
    executions: int
    since: int
    """When the oldest was created, in microseconds UTC."""
