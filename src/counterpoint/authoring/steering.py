"""What workflow code can decide about its own execution: `counterpoint.workflow`."""

from typing import Any, NoReturn, ParamSpec, TypeVar, TypeVarTuple, Unpack

from counterpoint.authoring.activity import Activity
from counterpoint.authoring.call import Call, encode_call
from counterpoint.authoring.context import current_execution
from counterpoint.authoring.registry import WorkflowProgram
from counterpoint.authoring.workflow import Child, Workflow
from counterpoint.errors import ArgumentsError, DefinitionError, WorkflowRefusedError
from counterpoint.kernel.execution import Execution
from counterpoint.kernel.settled import ContinueAsNew
from counterpoint.model.attributes import attribute_texts
from counterpoint.model.ids import check_execution_id, check_name

P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


def child(workflow: Workflow[R, Unpack[Ts]], *args: Unpack[Ts], id: str | None = None) -> Call[R]:
    """Call a workflow as a child, like `workflow(*args)`, under an id of your choice.

    The child is a step of this execution: it is cancelled and terminated with it and, if it is a
    saga, undone with it. Without *id* it is called `<this id>/<number of the call>`.

        leg = await workflow.child(book_leg, flight, id=f"leg-{flight.number}")

    Raises:
        ArgumentsError: the id cannot be one. The call raises `ExecutionFailed` where the id is
            taken, or where the child fails with anything but a `BusinessError`.
    """
    current_execution("child()")
    wrong = check_execution_id(id) if id is not None else None
    if wrong is not None:
        raise ArgumentsError(wrong, fields=["id"])
    _check(workflow, Workflow, "child takes a workflow")
    return Call(Child(workflow, id), args, {}, None)


def compensate_with(activity: Activity[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
    """Undo with this activity, called with these arguments, if the saga fails from here on.

    For what no call of an activity stands for, such as a resource that several of them share. It
    takes its place among the calls: what was called later is undone before it.

        workflow.compensate_with(release_lock, order.id)

    Raises:
        WorkflowRefusedError: this workflow is no saga: nothing would ever be undone.
        DefinitionError: the activity may be called only once.
        ArgumentsError: the arguments do not fit the activity's parameters.
    """
    execution = _saga("compensate_with()")
    _check(activity, Activity, "compensate_with takes an activity")
    if activity.policy.at_most_once:
        raise DefinitionError(
            f"{activity.name} may be called only once, and what undoes is called until it succeeds:"
            " name an activity without at_most_once=True"
        )
    arguments = encode_call(execution, activity.signature, activity.name, args, kwargs)
    activity.signature.decode_arguments(arguments)  # later, only a person could mend it
    execution.calls.register_undo(activity.name, arguments)


def pivot() -> None:
    """Say that from here on the saga goes forward: nothing is undone any more.

    Past it, a call that is out of attempts, an error that leaves the function or a passed deadline
    make an incident, `cancel()` is refused, and `retry()` goes forward. It belongs to this
    execution alone, not to its parent or children.

    Raises:
        WorkflowRefusedError: this workflow is no saga.
    """
    _saga("pivot()").pass_pivot()


def patched(change_id: str) -> bool:
    """Whether this execution runs with a change from where it was first asked for.

    It answers False for executions that had passed this place before the change was deployed, and
    True for all others, and says the same for ever after:

        if workflow.patched("check-fraud"):
            await check_fraud(order)

    When every execution that began before the change has ended, take the question out.

    Raises:
        ArgumentsError: the change id is no text, or too long.
    """
    execution = current_execution("patched()")
    wrong = check_name("a change", change_id)
    if wrong is not None:
        raise ArgumentsError(wrong, fields=["change_id"])
    return execution.patched(change_id)


def set_attributes(**attributes: object) -> None:
    """Say something about this execution, by which it can be found; None takes one back.

    Values are text, numbers, booleans, dates, UUIDs or members of enumerations; they are kept and
    compared as text, and never encrypted.

        workflow.set_attributes(customer=order.customer_id, amount=order.total)

    Raises:
        ArgumentsError: a name or value cannot be kept.
    """
    execution = current_execution("set_attributes()")
    execution.set_attributes(attribute_texts(attributes))


def continue_as_new(*args: Any) -> NoReturn:
    """End this run here and begin the next one of the same id, with other arguments.

    For workflows that go on for ever: the next run begins with an empty journal. Unread signals,
    attributes and the deadline go with it; `result()` follows. It leaves the function by an
    exception that `except Exception` does not catch.

    Raises:
        ArgumentsError: the arguments do not fit the workflow's own parameters.
        WorkflowRefusedError: the saga has something to undo and has not passed its pivot.
    """
    execution = current_execution("continue_as_new()")
    program = execution.program
    if not isinstance(program, WorkflowProgram):
        raise WorkflowRefusedError("only workflows of an app continue as new")
    workflow = program.workflow
    if workflow.saga and execution.calls.anything_to_undo and not execution.pivoted:
        raise WorkflowRefusedError(
            f"{workflow.name} has called what would have to be undone if it failed, and the next "
            "run could not: pass the pivot first (workflow.pivot()), or continue as new before"
        )
    try:
        arguments = encode_call(execution, workflow.signature, workflow.name, args, {})
    except TypeError as error:
        raise ArgumentsError(str(error)) from None
    workflow.signature.decode_arguments(arguments)
    raise ContinueAsNew(arguments)


def _saga(what: str) -> Execution:
    execution = current_execution(what)
    if not execution.program.saga:
        raise WorkflowRefusedError(
            f"workflow.{what} is for sagas: declare this workflow with @service.saga"
        )
    return execution


def _check(given: object, kind: type, what: str) -> None:
    if not isinstance(given, kind):
        raise DefinitionError(f"{what}, not {given!r}")
