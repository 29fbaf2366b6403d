"""Writes the pages of docs/reference that are made from the source: `python tools/reference.py`.

Signatures and docstrings are read from the source text, not from live objects: their words are the
same under every Python.
"""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, get_origin

import counterpoint
from counterpoint import activity, errors, testing, workflow
from counterpoint.authoring.activity import Activity
from counterpoint.authoring.business import BusinessError
from counterpoint.authoring.reaction import Reaction
from counterpoint.authoring.stub import Stub
from counterpoint.authoring.transactional import TransactionalActivity
from counterpoint.authoring.transactions import PostgresTransaction, Row, SqliteTransaction
from counterpoint.authoring.workflow import Workflow
from counterpoint.runtime.client import Client, ExecutionSummary, PostedRequest
from counterpoint.runtime.description import (
    AttemptDescription,
    CallDescription,
    CauseDescription,
    Description,
    IncidentDescription,
    JournalEntry,
)
from counterpoint.runtime.handle import ResetReport
from counterpoint.runtime.health import Health
from counterpoint.runtime.rehearsal import (
    ArgumentDifference,
    Rehearsal,
    ReplayReport,
    Verdict,
)
from counterpoint.testing import simulation

ROOT = Path(__file__).resolve().parent.parent
ERRORS = ROOT / "docs" / "reference" / "errors.md"
API = ROOT / "docs" / "reference" / "api.md"
WIDTH = 96
CODE = re.compile(r"(async|await|with) |[a-z_]+ = ")
"""How a paragraph of a docstring begins that is an example."""

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

HOSTING = [
    counterpoint.App,
    Client,
    counterpoint.Execution,
    ExecutionSummary,
    Description,
    CallDescription,
    AttemptDescription,
    IncidentDescription,
    CauseDescription,
    JournalEntry,
    ResetReport,
    PostedRequest,
    Health,
    counterpoint.Status,
    counterpoint.Cause,
]
DECLARING = [
    counterpoint.Service,
    Activity,
    Workflow,
    counterpoint.Event,
    Reaction,
    counterpoint.Choreography,
    Stub,
    TransactionalActivity,
    counterpoint.Transaction,
    PostgresTransaction,
    SqliteTransaction,
    Row,
    counterpoint.Retry,
    counterpoint.Rate,
    BusinessError,
    counterpoint.NotDone,
    counterpoint.RetryAfter,
]
FOLLOWING = [
    counterpoint.PublishedEvent,
    counterpoint.ContractInfo,
    counterpoint.SubscriptionInfo,
    counterpoint.DeadLetter,
    counterpoint.DeadLetterGroup,
    counterpoint.OperatorAct,
    counterpoint.Flow,
    counterpoint.FlowEvent,
    counterpoint.FlowReaction,
    counterpoint.FlowExecution,
    counterpoint.ReceivedEvent,
    counterpoint.AwaitedEvent,
]
OPERATING = [
    counterpoint.NodeInfo,
    counterpoint.NodeState,
    counterpoint.SubscriptionLag,
    counterpoint.UnhostedWork,
    counterpoint.Diagnosis,
    counterpoint.Finding,
    counterpoint.Severity,
]
REPLAYING = [ReplayReport, Rehearsal, ArgumentDifference, Verdict]
CONSTRUCTED = {
    "App",
    "Service",
    "Choreography",
    "BusinessError",
    "RetryAfter",
    "Harness",
    "FaultyStore",
    "VirtualClock",
}
"""Classes that users make, and that are no dataclasses."""
INTERNAL = {
    "App": {"node"},
    "Activity": {"is_stub", "service_limits", "resolve", "direct", "call_inside"},
    "Workflow": {"resolve", "kind", "service_limits"},
    "NodeState": {state.name for state in counterpoint.NodeState},
    "Stub": {"direct", "is_stub"},
    "Retry": {"delay_after"},
    "Rate": {"per_second"},
    "Severity": {severity.name for severity in counterpoint.Severity},
    "BusinessError": {"take_facts", "from_payload", "recorded_facts", "recorded_name"},
    "ReplayReport": {"add"},
    "Event": {"model_config"},
    "Reaction": {"resolve", "shape"},
    "Choreography": {"ends"},
    "Cause": {cause.name for cause in counterpoint.Cause},
    "Verdict": {verdict.name for verdict in Verdict},
    "Status": {status.name for status in counterpoint.Status},
    "VirtualClock": {"background", "call_late"},
    "Hold": {"left", "parkings"},
}
"""Members that are for the engine and the harness."""
WITH_BASES = {"Client", "PublishedEvent"}
"""Classes whose bases are not shown by themselves: what these have is shown with them."""
MEANINGS = {
    "activity": "the recorded name of the activity",
    "arguments": "as recorded, by name",
    "at": "when",
    "attempt": "1 for the first attempt",
    "attempts": "how many began",
    "calls": "every call that the code made, in order: `CallDescription`s",
    "call": "its number in the execution, from 1",
    "cancel_reason": "why, if they said so",
    "cancel_requested_by": "who did, if they said so",
    "burst": "how many may begin at one moment",
    "cap": "the longest delay",
    "compensation": "the recorded name of what undoes it, if it has to be undone",
    "compensated_at": "when it was undone",
    "compensation_attempts": "how many attempts of its compensation began",
    "compensation_failed_attempts": "the same of its compensation",
    "compensation_scheduled_at": "when undoing it began",
    "correlation_id": "the flow that it belongs to: the execution's id unless another was given",
    "created_at": "when it was started",
    "data": "all that was recorded, as plain JSON values",
    "error": "why it has no result, in words",
    "error_type": "the recorded name of the error's type",
    "execution_id": "the id of the execution",
    "facts": "what `activity.info()` returns",
    "factor": "by how much each delay is longer than the one before",
    "finished_at": "when it ended; None while it has not",
    "first": "the delay after the first attempt",
    "heartbeat": "the newest detail that the running attempt reported",
    "heartbeats": "the details that the function reported, oldest first",
    "Rate.count": "how many attempts begin",
    "Rate.per": "in which time",
    "id": "the execution's id",
    "idempotency_key": "the same for all attempts of the call, and of no other",
    "incident": "why a person is needed; None while nobody is",
    "jitter": "the largest random share that is taken off a delay",
    "kind": "`workflow` or `saga`",
    "last_heartbeat": "what `activity.last_heartbeat()` returns",
    "max_attempts": "how many attempts there are, the first one included",
    "name": "the recorded name, `service.function`",
    "next_attempt_at": "when the next attempt is due; None where none is",
    "outcome_unknown": "whether it failed and may have happened all the same",
    "records": "how many records the journal has",
    "result": "as recorded; None while there is none",
    "run": "1; continuing as new and resetting make another run of the same id",
    "seq": "its number in the journal, from 1",
    "started_at": "when it was started (UTC)",
    "status": "see [states](states.md)",
    "stop_on": "`TypeError`, `AttributeError`, `NameError`, `LookupError`, `AssertionError` and "
    "`NotImplementedError`, unless you say otherwise",
    "unread_signals": "names of the signals that came and were not read yet",
    "attributes": "what the code has said with `workflow.set_attributes`",
    "parent_call": "the number of the parent's call",
    "pivot_passed": "whether it has passed its pivot: nothing is undone any more",
    "ContractInfo.version": "the version of the contract",
    "DeadLetter.attempts": "how many there were",
    "NodeInfo.activities": "recorded names of the activities that it hosts",
    "NodeInfo.app": "the name of its app",
    "NodeInfo.host": "the name of its machine",
    "NodeInfo.services": "the services that it hosts",
    "NodeInfo.started_at": "when it opened the store (UTC)",
    "NodeInfo.state": "how it stands: a [`NodeState`](#nodestate)",
    "Finding.severity": "how much it matters: a [`Severity`](#severity)",
    "Flow.started_at": "when its first step began (UTC)",
    "FlowEvent.data": "as plain JSON values",
    "FlowEvent.id": "unique together with `source`",
    "FlowEvent.version": "the version of the contract under which it was published",
    "FlowExecution.description": "what `describe()` returns: a [`Description`](#description)",
    "FlowReaction.name": "the recorded name of the reaction or workflow",
    "ReceivedEvent.id": "unique together with `source`",
    "ResetReport.to": "the last record that the new run begins with",
    "UnitStart.args": "its arguments",
    "UnitStart.id": "the id of the execution",
    "awaited_events": "the types and keys of the events that it waits for",
    "awaited_signals": "names of the signals that it waits for",
    "awaits": "the events that it waits for",
    "cause": "the recorded name of the error's type",
    "count": "how many there are",
    "died_at": "when the reaction gave up on it",
    "event": "the envelope of the event",
    "failed_attempts": "oldest first",
    "first_died_at": "when the first of them died",
    "journal": "the records of its journal",
    "key": "what says which events stay in order",
    "lane": "empty for the lane that the reactions of a service share",
    "last_died_at": "when the last of them died",
    "led_to": "what followed from it",
    "message": "the error's message, or what is needed, in words",
    "position": "its place in the log",
    "publisher": "who published it",
    "reaction": "the recorded name of the reaction",
    "received": "the events that it waited for and got, in order",
    "service": "its service",
    "source": "the service that published it",
    "traceback": "where the error was raised",
    "actor": "who did it, if they said so",
    "reason": "why, if they said so",
    "type": "the recorded name, `service.EventClass`",
    "updated_at": "when its newest record was made",
    "version": "the version of the workflow that it was started with",
    "workflow": "the recorded name of its workflow",
}
"""Of fields that speak for themselves in the source, by name, or by class and name."""

_WORKFLOW_PARAMETERS = """
| parameter | meaning |
|---|---|
| `name` | the recorded name, by default `service.function`; keep it when you rename |
| `version` | recorded at the start; a node leaves executions of a higher one in the store |
| `deadline` | counted from the start, also while no node runs |
| `on` | the event that starts it; its only argument |
| `id` | makes the execution's id of that event: `id=lambda event: f"order-{event.order_id}"` |
| `start` | where in the log `on` begins when it is new to the store: `"now"` or `"beginning"` |
| `emits` | the events that it may publish; another one is refused |
"""
NOTES = {
    "Service.activity": """
| parameter | meaning |
|---|---|
| `name` | the recorded name, by default `service.function`; keep it when you rename |
| `retry` | [`Retry`](#retry); by default ten attempts |
| `timeout` | how long one attempt may take; a heartbeat starts it anew. `None`: no limit |
| `concurrency` | how many attempts of it run at once, on all nodes; `None`: no limit |
| `rate` | how many of them begin in a time, on all nodes: a [`Rate`](#rate); `None`: no limit |
| `at_most_once`, `on_unknown` | see [compensation](../guides/compensation.md) |
| `emits` | the events that it may publish; another one is refused |
""",
    "Service.workflow": _WORKFLOW_PARAMETERS,
    "Service.saga": _WORKFLOW_PARAMETERS,
    "Activity.compensation": """
| parameter of yours | what it gets |
|---|---|
| one that the activity has too | the same value; it has the same name and type |
| `result` | what the activity returned; `None` where nobody knows whether it happened |
| `error` | the error of the call, `Exception \\| None`; `None` where it completed |

`timeout` and `retry` are the compensation's own. A saga that waits for a person goes on by itself
when the compensation succeeds after all.
""",
    "Client.start": """
Without *id* one is generated. Executions that belong together share a *correlation_id*; without one
it is the execution's id. In the node the execution has begun; what another process starts is taken
over within `poll_interval`, and until then it is among `posted()`.
""",
    "Client.executions": """
```python
async for found in app.executions(status="incident", workflow="orders.place_order"):
    print(found.id, found.created_at)
```
""",
    "Execution.cancel": """
*actor* and *reason* are for the journal. What this does in each state:
[cancelling](../guides/operating.md#cancelling).
""",
    "Status": """
Its members are strings (`Status.RUNNING == "running"`), one for each of the [states](states.md).
""",
    "Cause": """
Its members are strings, one for each kind of [incident](../guides/operating.md#incidents).
""",
    "Service.stub": """
More in [several nodes](../guides/several-nodes.md#calling-what-is-in-another-repository).
""",
    "Rate": """
More in [several nodes](../guides/several-nodes.md#limits-over-all-nodes).
""",
    "Service.event": """
What may change under a version, and what is refused: [events and
contracts](../guides/events-and-contracts.md).
""",
    "Service.on": """
| parameter | meaning |
|---|---|
| `name` | the recorded name, by default `service.function`; keep it when you rename |
| `retry` | [`Retry`](#retry); by default ten attempts, then a dead letter |
| `timeout` | how long one attempt may take; a heartbeat starts it anew. `None`: no limit |
| `lane` | reactions of a service that share a lane share the order of each key |
| `on_dead` | later events of the key wait behind a dead letter (`"park"`) or pass it (`"skip"`) |
| `start` | where in the log it begins when it is new to the store: `"now"` or `"beginning"` |
| `concurrency` | how many attempts of it run at once on a node; `None`: no limit |

More in [reactions](../guides/reactions.md).
""",
    "NodeState": """
Its members are strings:

| state | meaning |
|---|---|
| `alive` | it works |
| `draining` | it hands over and stops, or is asked to |
| `late` | its lease is over; it goes on unless another node declares it lost |
| `stopped` | it handed over and stopped by itself |
| `lost` | another node declared it dead: it does not commit any more |
""",
    "Severity": """
Its members are strings:

| severity | meaning |
|---|---|
| `note` | good to know; nothing has to be done |
| `warning` | something waits, or may be lost or stand still later: somebody should look |
| `error` | something stands still, and does not go on by itself |
""",
    "Verdict": """
Its members are strings:

| verdict | meaning |
|---|---|
| `agrees` | the code decides what is recorded |
| `diverges` | it decides something else: the execution would become an incident |
| `unreadable-value` | a recorded value does not fit the types of today: an incident, too |
| `unknown-workflow` | the app does not have the workflow: the execution would wait in the store |
| `newer-version` | a newer version of the workflow has advanced it: it would wait in the store |
| `damaged` | its records cannot be applied, whatever the code is |
""",
    "BusinessError": """
`class PaymentDeclined(BusinessError, name="payments.Declined")` records it under that
name, which lets you rename the class.
""",
    "workflow.signal": """
With *type* the value is of that type, for type checkers too; without it, it is what the
JSON holds. More in [signals](../guides/signals.md).
""",
    "workflow.log": """
It is the logger `counterpoint.workflow` of `logging`, which shows nothing below a warning until
something configures it: `logging.basicConfig(level="INFO")`. `counterpoint run` does.
""",
}
"""What the page adds to a docstring, by heading."""


# ---- errors -------------------------------------------------------------------------------------


def errors_page() -> str:
    """Return the page of all errors, in the order of the module that declares them."""
    classes = [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    ]
    lines = [
        "# Errors",
        "",
        "Names end in `Error` where something is wrong with the program or its surroundings. The",
        "others are outcomes of a process, to be caught as control flow, or statements that an",
        "activity makes. All but `NotDone`, `RetryAfter` and the warning are `CounterpointError`s.",
        "",
        "<!-- made by tools/reference.py from the docstrings; a test checks that it is current -->",
        "",
    ]
    for error in [*classes, BusinessError]:
        bases = ", ".join(f"`{base.__name__}`" for base in error.__bases__)
        text = inspect.getdoc(error) or ""
        lines += [f"## {error.__name__}", "", f"A {bases}.", "", *_prose(text), ""]
    return "\n".join(lines).rstrip() + "\n"


# ---- the public surface -------------------------------------------------------------------------


def api_page() -> str:
    """Return the page of everything public: signatures, what they do, what they raise."""
    shown = {cls.__name__ for cls in (*HOSTING, *DECLARING, *FOLLOWING, *OPERATING)}
    others = [
        name
        for name in counterpoint.__all__
        if name not in shown and hasattr(errors, name)  # the rest has sections of its own
    ]
    lines = [
        "# API",
        "",
        "Everything public, by what you do with it. `counterpoint` is what an app is made of;",
        "`counterpoint.workflow` is for workflow code, `counterpoint.activity` for activities and",
        "compensations, `counterpoint.testing` for tests. What is not on this page may change.",
        "",
        "<!-- made by tools/reference.py from the source; a test checks that it is current -->",
        "",
        *_contents(),
        "## Apps and executions",
        "",
        *_classes(HOSTING),
        "## Services",
        "",
        *_classes(DECLARING),
        "## Events, dead letters and flows",
        "",
        *_classes(FOLLOWING),
        "## Nodes and health",
        "",
        *_classes(OPERATING),
        "## Replaying",
        "",
        *_one("replay", counterpoint.replay, "### replay"),
        *_classes(REPLAYING),
        "## counterpoint.workflow",
        "",
        *_module(workflow),
        "## counterpoint.activity",
        "",
        *_module(activity),
        "## counterpoint.testing",
        "",
        *_module(testing),
        "## counterpoint.testing.simulation",
        "",
        *_module(simulation),
        "## Settings and errors",
        "",
        "`Settings` and its variables have [a page of their own](settings.md), and so have the",
        "[errors](errors.md):",
        "",
        *(f"* [`{name}`](errors.md#{name.lower()})" for name in others),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _contents() -> list[str]:
    parts = {
        "Apps and executions": [cls.__name__ for cls in HOSTING],
        "Services": [cls.__name__ for cls in DECLARING],
        "Events, dead letters and flows": [cls.__name__ for cls in FOLLOWING],
        "Nodes and health": [cls.__name__ for cls in OPERATING],
        "Replaying": ["replay", *(cls.__name__ for cls in REPLAYING)],
        "`counterpoint.workflow`": workflow.__all__,
        "`counterpoint.activity`": activity.__all__,
        "`counterpoint.testing`": testing.__all__,
        "`counterpoint.testing.simulation`": simulation.__all__,
    }
    lines = ["| part | names |", "|---|---|"]
    for part, names in parts.items():
        lines.append(f"| {part} | {', '.join(f'`{name}`' for name in names)} |")
    return [*lines, ""]


def _classes(classes: list[type[Any]]) -> Iterator[str]:
    for cls in classes:
        yield from _class(cls)


def _module(module: ModuleType) -> Iterator[str]:
    """Yield the public names of a module: functions, classes, and objects under their class."""
    prefix = module.__name__.rpartition(".")[2] + "."
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value):
            yield from _class(value)
        elif get_origin(value) is not None:  # an alias of a type
            words = str(value).replace("collections.abc.", "").replace("typing.", "")
            words = re.sub(r"[a-z_.]+\.([A-Z])", r"\1", words)
            yield from (f"### {name}", "", f"`{words}`", "")
        elif inspect.isfunction(value):
            yield from _one(name, value, f"### {prefix}{name}")
        else:
            yield from _class(type(value), f"{prefix}{name}")


def _one(name: str, function: Any, heading: str) -> Iterator[str]:
    home = sys.modules[function.__module__]
    tree = ast.parse(inspect.getsource(home))
    yield from _function(_last(tree.body, name), heading, home)


def _class(cls: type[Any], title: str | None = None) -> Iterator[str]:
    name = cls.__name__
    node, home = _node(cls), sys.modules[cls.__module__]
    yield from (f"### {title or name}", "")
    if name in CONSTRUCTED and (init := _functions(node).get("__init__")):
        yield from _code(_signature(init, home, name))
    yield from _described(_docstring(node))
    if Client in cls.__bases__:
        yield from ("It has everything that a [`Client`](#client) has.", "")
    if note := NOTES.get(name):
        yield from (*note.strip().splitlines(), "")
    bases = [base for base in cls.__mro__[1:-1] if name in WITH_BASES]
    rows = [row for part in (*reversed(bases), cls) for row in _fields(_node(part))]
    rows = [row for row in rows if row[0] not in INTERNAL.get(name, ())]
    if rows:
        yield from ("| field | type | default | meaning |", "|---|---|---|---|")
        yield from (
            f"| `{field}` | {_cell(hint)} | {_cell(default)} | {_meaning(name, field, text)} |"
            for field, hint, default, text in rows
        )
        yield ""
    for part in (cls, *bases):
        for member, function in _functions(_node(part)).items():
            if not member.startswith("_") and member not in INTERNAL.get(name, ()):
                its_home = sys.modules[part.__module__]
                yield from _function(function, f"#### {title or name}.{member}", its_home)


def _function(node: Function, heading: str, home: ModuleType) -> Iterator[str]:
    text = _docstring(node)
    if not text:
        return  # documented on the port that it implements
    yield from (heading, "")
    if "property" not in _decorators(node):
        yield from _code(_signature(node, home, node.name))
    yield from _described(text)
    if note := NOTES.get(heading.strip("# ")):
        yield from (*note.strip().splitlines(), "")


def _signature(node: Function, home: ModuleType, name: str) -> str:
    decorates = any(argument.arg == "function" for argument in node.args.posonlyargs)
    makes = node.returns is not None and "Decorator" in ast.unparse(node.returns)
    parameters = list(_parameters(node.args, home, decorates=decorates))
    silent = decorates or makes or node.name == "__init__" or node.returns is None
    arrow = "" if silent or node.returns is None else f" -> {_hint(node.returns)}"
    before = ""
    if decorates:
        name = f"activity.{name}" if name == "compensation" else f"service.{name}"
        before = f"@{name}\n@"
    elif makes:
        before = "@service."
    elif node.name != "__init__":
        before = "async def " if isinstance(node, ast.AsyncFunctionDef) else "def "
        before = "".join(f"@{d}\n" for d in _decorators(node) if "manager" in d) + before
    one_line = f"{before}{name}({', '.join(parameters)}){arrow}"
    if max(map(len, one_line.splitlines())) <= WIDTH:
        return one_line
    inner = "".join(f"    {parameter},\n" for parameter in parameters)
    return f"{before}{name}(\n{inner}){arrow}"


def _parameters(args: ast.arguments, home: ModuleType, *, decorates: bool) -> Iterator[str]:
    positional = [*args.posonlyargs, *args.args]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults))
    for argument, default in zip(positional, [*missing, *args.defaults], strict=True):
        if argument.arg in ("self", "cls") or (decorates and argument.arg == "function"):
            continue
        yield _parameter(argument, default, home)
    if args.vararg is not None:
        yield "*" + _parameter(args.vararg, None, home)
    elif args.kwonlyargs:
        yield "*"
    for argument, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        yield _parameter(argument, default, home)
    if args.kwarg is not None:
        yield "**" + _parameter(args.kwarg, None, home)


def _parameter(argument: ast.arg, default: ast.expr | None, home: ModuleType) -> str:
    hint = "" if argument.annotation is None else f": {_hint(argument.annotation)}"
    if default is None:
        return argument.arg + hint
    equals = " = " if hint else "="
    return argument.arg + hint + equals + _default(default, home)


def _hint(annotation: ast.expr) -> str:
    return ast.unparse(annotation).replace("'", "").replace("random_module", "random")


def _default(default: ast.expr, home: ModuleType) -> str:
    """Return a default as it is written; a constant of a module by its own expression."""
    if isinstance(default, ast.Name):
        for module in (home, counterpoint.authoring.activity, testing.clock):
            for statement in ast.parse(inspect.getsource(module)).body:
                if isinstance(statement, ast.Assign) and [
                    target.id for target in statement.targets if isinstance(target, ast.Name)
                ] == [default.id]:
                    return ast.unparse(statement.value)
    return ast.unparse(default)


# ---- reading the source -------------------------------------------------------------------------


def _node(cls: type[Any]) -> ast.ClassDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    return next(statement for statement in tree.body if isinstance(statement, ast.ClassDef))


def _decorators(node: Function) -> list[str]:
    return [ast.unparse(decorator) for decorator in node.decorator_list]


def _last(body: list[ast.stmt], name: str) -> Function:
    found = [n for n in body if isinstance(n, Function) and n.name == name]
    return found[-1]  # overloads come first


def _functions(node: ast.ClassDef) -> dict[str, Function]:
    """Return the methods by name; of overloads the last one, which is the method itself."""
    return {member.name: member for member in node.body if isinstance(member, Function)}


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, type, default and docstring of the public fields of a class."""
    for index, statement in enumerate(node.body):
        text = _text_after(node.body, index)
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            default = "" if statement.value is None else ast.unparse(statement.value)
            if not statement.target.id.startswith("_"):
                shown = "" if default.startswith("field(") else default
                yield statement.target.id, ast.unparse(statement.annotation), shown, text
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            yield statement.targets[0].id, "", ast.unparse(statement.value), text
    init = _functions(node).get("__init__")
    for index, statement in enumerate(init.body if init is not None else []):
        target, hint = None, ""
        if isinstance(statement, ast.Assign):
            target = statement.targets[0]
        elif isinstance(statement, ast.AnnAssign):
            target, hint = statement.target, ast.unparse(statement.annotation)
        if isinstance(target, ast.Attribute) and not target.attr.startswith("_"):
            text = _text_after(init.body if init is not None else [], index)
            if text:
                yield target.attr, hint, "", text


def _text_after(body: list[ast.stmt], index: int) -> str:
    after = body[index + 1] if index + 1 < len(body) else None
    if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
        return " ".join(str(after.value.value).split())
    return ""


def _docstring(node: Function | ast.ClassDef) -> str:
    """Return a docstring without the indentation of its place, and of nothing else."""
    text = ast.get_docstring(node, clean=False)
    if text is None:
        return ""
    margin = " " * node.body[0].col_offset
    lines: list[str] = []
    example = False  # in a paragraph of code that is not indented
    for line in text.splitlines():
        line = line.removeprefix(margin).rstrip()
        example = bool(line) and (example or (not (lines and lines[-1]) and bool(CODE.match(line))))
        lines.append(f"    {line}" if example else line)
    return "\n".join(lines).rstrip()


# ---- Markdown -----------------------------------------------------------------------------------


def _code(text: str) -> list[str]:
    return ["```python", *text.splitlines(), "```", ""]


def _cell(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


def _meaning(name: str, field: str, text: str) -> str:
    ours = MEANINGS.get(f"{name}.{field}") or MEANINGS.get(field, "")
    meaning = text.rstrip(".").replace("|", "\\|") or ours
    if meaning.startswith("None"):
        return meaning
    return meaning[:1].lower() + meaning[1:] if meaning[1:2].islower() else meaning


def _described(text: str) -> Iterator[str]:
    """Yield a docstring as Markdown, with a list of what it says is raised."""
    yield from _prose(text)
    yield ""
    _, raises, rest = text.partition("\nRaises:\n")
    if raises:
        yield from ("Raises:", "")
        yield from _raised(rest)
        yield ""


def _raised(text: str) -> list[str]:
    items: list[str] = []
    for line in text.splitlines():
        if line.startswith("        "):
            items[-1] += " " + line.strip()
        elif line.strip():
            name, colon, why = line.strip().partition(": ")
            items.append(f"* `{name}`: {why}" if colon else f"* {name}")
    return [wrapped for item in items for wrapped in _wrapped(item)]


def _wrapped(item: str) -> list[str]:
    return textwrap.wrap(item, 110, subsequent_indent="  ", break_long_words=False)


def _prose(text: str) -> list[str]:
    """Return a docstring as Markdown: indented parts become code."""
    lines: list[str] = []
    code = False
    for line in text.splitlines():
        if line.startswith("Raises:"):
            break
        starts = line.startswith("    ")
        if starts and not code:
            lines.append("```python")
            code = True
        elif code and line and not starts:
            while lines and not lines[-1]:
                lines.pop()
            lines += ["```", ""]
            code = False
        lines.append(line.removeprefix("    "))
    while lines and not lines[-1]:
        lines.pop()
    if code:
        lines.append("```")
    return lines


if __name__ == "__main__":
    ERRORS.write_text(errors_page())
    API.write_text(api_page())
