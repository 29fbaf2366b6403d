"""The reference of the command line names every command, option, exit code and JSON key."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.main import get_command

from counterpoint.cli.demo import Verdict
from counterpoint.cli.failures import Exit
from counterpoint.cli.main import cli
from counterpoint.cli.replay import ReplaySummary
from counterpoint.model.findings import Finding, Severity
from counterpoint.model.states import Status
from counterpoint.runtime.client import ExecutionSummary, PostedRequest
from counterpoint.runtime.dead_letters import DeadLetter, DeadLetterGroup
from counterpoint.runtime.description import CallDescription, Description, JournalEntry
from counterpoint.runtime.doctor import Diagnosis
from counterpoint.runtime.event_log import ContractInfo, PublishedEvent
from counterpoint.runtime.exports import Export
from counterpoint.runtime.imports import ImportReport
from counterpoint.runtime.lags import SubscriptionLag
from counterpoint.runtime.nodes import NodeInfo, NodeState
from counterpoint.runtime.rehearsal import ArgumentDifference, Rehearsal
from counterpoint.runtime.subscribers import SubscriptionInfo
from counterpoint.runtime.unhosted import UnhostedWork

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src/counterpoint"
PAGE = (ROOT / "docs/reference/cli.md").read_text()
GROUP: Any = get_command(cli)
COMMANDS: dict[str, Any] = GROUP.commands


def section(command: str) -> str:
    found = re.search(rf"^## {command}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def options(command: Any) -> set[str]:
    names = {name for parameter in command.params for name in (*parameter.opts,)}
    found = {name for name in names if name.startswith("--")}
    if command is not GROUP:  # one with subcommands has theirs
        for part in getattr(command, "commands", {}).values():
            found |= options(part)
    return found


def test_the_page_has_exactly_the_commands_that_there_are() -> None:
    sections = re.findall(r"^## (\w+)$", PAGE, re.MULTILINE)
    rows = re.findall(r"^\| \[`(\w+)`\]", PAGE, re.MULTILINE)

    assert sections == rows == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_section_of_a_command_has_exactly_its_options(command: str) -> None:
    rows = re.findall(r"^\| (`--.*?) \|", section(command), re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"--[a-z-]+", row)}

    assert documented == options(COMMANDS[command])


def test_the_page_has_the_options_of_the_command_itself() -> None:
    assert [name for name in options(GROUP) if f"`{name}`" not in PAGE] == []


def test_the_page_has_all_exit_codes_and_statuses() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}

    assert codes == {int(code) for code in Exit}
    assert [status for status in Status if f"`{status}`" not in section("list")] == []


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("list", ExecutionSummary),
        ("show", Description),
        ("show", CallDescription),
        ("show", PostedRequest),
        ("journal", JournalEntry),
        ("journal", Export),
        ("journal", ImportReport),
        ("events", PublishedEvent),
        ("deadletters", DeadLetter),
        ("deadletters", DeadLetterGroup),
        ("subscriptions", SubscriptionInfo),
        ("contracts", ContractInfo),
        ("nodes", NodeInfo),
        ("nodes", SubscriptionLag),
        ("nodes", UnhostedWork),
        ("doctor", Diagnosis),
        ("doctor", Finding),
        ("replay", ReplaySummary),
        ("replay", Rehearsal),
        ("replay", ArgumentDifference),
        ("demo", Verdict),
    ],
)
def test_the_section_of_a_command_has_its_json_keys(command: str, kind: Any) -> None:
    fields = dataclasses.fields if dataclasses.is_dataclass(kind) else msgspec.structs.fields
    keys = [field.name for field in fields(kind)]

    assert [key for key in keys if f"`{key}`" not in section(command)] == []


def test_the_section_of_doctor_has_all_kinds_of_findings_and_that_of_nodes_all_states() -> None:
    sources = [SOURCE / "runtime/doctor.py", *(SOURCE / "stores").glob("*.py")]
    sources.append(SOURCE / "cli/doctor.py")
    made = r'(?:Finding\(\s*[^,]+,|_warning\()\s*f?"([a-z-]+)(?:\{one\.kind\})?",'
    kinds = {kind for path in sources for kind in re.findall(made, path.read_text())}

    assert len(kinds) > 15
    assert [kind for kind in kinds if f"`{kind}" not in section("doctor")] == []
    assert [severity for severity in Severity if f"`{severity}`" not in section("doctor")] == []
    assert [state for state in NodeState if f"`{state}`" not in section("nodes")] == []
