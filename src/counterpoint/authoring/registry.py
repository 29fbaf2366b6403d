"""All definitions of an app by recorded name, and its workflows as the kernel's programs.

A node may host some services of an app only: `Registry.hosted_by` is what is its own, and `whole`
what all nodes together have. Workflows call activities, and start workflows, of the whole app.
"""

import copy
import difflib
import warnings
from collections.abc import Coroutine, Sequence
from typing import Any

from counterpoint.authoring.activity import Activity
from counterpoint.authoring.compensation import Compensation
from counterpoint.authoring.deadline import within_deadline
from counterpoint.authoring.determinism import findings
from counterpoint.authoring.event import (
    Contract,
    Event,
    check_is_event,
    contract_of,
    event_data,
)
from counterpoint.authoring.failures import failure_of
from counterpoint.authoring.reaction import Reaction
from counterpoint.authoring.service import Service
from counterpoint.authoring.stub import Stub
from counterpoint.authoring.workflow import Workflow
from counterpoint.errors import (
    DefinitionError,
    NonDeterminismWarning,
    PayloadTooLargeError,
)
from counterpoint.model.cluster import Limit
from counterpoint.model.records import Failure, Payload

AnyActivity = Activity[..., Any]
AnyStub = Stub[..., Any]
AnyReaction = Reaction[Any, Any]
AnyWorkflow = Workflow[Any, *tuple[Any, ...]]


class WorkflowProgram:
    """One workflow as the kernel sees it."""

    def __init__(self, workflow: AnyWorkflow, registry: "Registry") -> None:
        self.workflow = workflow
        self.registry = registry
        self.saga = workflow.saga
        self.version = workflow.version
        self.payload_bytes_max = registry.payload_bytes_max

    def begin(self, arguments: dict[str, Any], within: float | None) -> Coroutine[Any, Any, Any]:
        """Return the code's coroutine; a deadline is `asyncio.timeout` around it."""
        code: Coroutine[Any, Any, Any] = self.workflow.function(**arguments)
        deadline = self.workflow.deadline
        declared = within if deadline is None else deadline.total_seconds()
        left = declared if within is None else within
        if left is None or declared is None:
            return code
        return within_deadline(code, left, declared, self.workflow.name)

    def decode_arguments(self, arguments: Payload) -> dict[str, Any]:
        if self.workflow.on is not None:
            arguments = self.workflow.on.up_to_date(arguments)
        return self.workflow.signature.decode_arguments(arguments)

    def encode_result(self, value: object) -> Payload:
        result = self.workflow.signature.encode_result(value)
        size = len(bytes(result))
        if size > self.payload_bytes_max:
            raise PayloadTooLargeError(
                f"the result of {self.workflow.name}",
                size_bytes=size,
                limit_bytes=self.payload_bytes_max,
            )
        return result

    def failure(self, error: BaseException) -> Failure:
        return failure_of(error, self.workflow.service)

    def knows(self, activity: str) -> bool:
        return self.registry.knows(activity)

    def compensation_of(self, activity: str) -> str | None:
        return self.registry.compensation_name(activity)


class Registry:
    """The definitions of the services that an app is made of.

    Raises:
        DefinitionError: two services or definitions share a name, or a type cannot be resolved.
    """

    def __init__(self, services: Sequence[Service], *, payload_bytes_max: int) -> None:
        self.payload_bytes_max = payload_bytes_max
        self.services: dict[str, Service] = {}
        self.activities: dict[str, AnyActivity] = {}
        self.stubs: dict[str, AnyStub] = {}
        """Activities whose code is elsewhere; no node of this app hosts them."""
        self.workflows: dict[str, AnyWorkflow] = {}
        self.compensations: dict[str, Compensation] = {}
        """By the recorded name of the activity or workflow whose calls they undo."""
        self._limits_of_undo: dict[str, tuple[Limit, ...]] = {}
        self.programs: dict[str, WorkflowProgram] = {}
        self.contracts: dict[str, Contract] = {}
        """By type: the events of these services, and others that these react to or publish."""
        self._contract_of: dict[type[Event], Contract] = {}
        self.reactions: dict[str, AnyReaction] = {}
        self.narrowed_from: Registry | None = None
        """The registry of the whole app, if this one is what a node hosts of it."""
        for service in services:
            if service.name in self.services:
                raise DefinitionError(f"two services are called {service.name!r}")
            self.services[service.name] = service
            self._add(service)
        for undo in self.compensations.values():
            self._limits_of_undo[undo.name] = undo.limits
        for name in self.activities.keys() & self.services.keys():
            raise DefinitionError(f"an activity and a service are both called {name}")

    @property
    def whole(self) -> "Registry":
        """All definitions of the app, whichever of them this registry was narrowed to."""
        return self.narrowed_from or self

    def hosted_by(self, names: Sequence[str]) -> "Registry":
        """Return what a node has that hosts these services, or all if none is named.

        Its workflows, activities, compensations and reactions are those of these services; its
        contracts and stubs are the whole app's. A service that has stubs only is hosted elsewhere.

        Raises:
            DefinitionError: the app has no such service; lists those that it has.
        """
        whole = self.whole
        for name in names:
            if name not in whole.services:
                near = difflib.get_close_matches(name, whole.services, n=1)
                raise DefinitionError(
                    f"the app has no service {name!r} to host"
                    + (f"; did you mean {near[0]!r}?" if near else "")
                    + f"; its services are {', '.join(sorted(whole.services)) or 'none'}"
                )
        here = {*(names or whole.services)}
        view = copy.copy(whole)
        view.narrowed_from = whole
        view.services = {
            n: one for n, one in whole.services.items() if n in here and not _is_elsewhere(one)
        }
        view.activities = {n: one for n, one in whole.activities.items() if one.service in here}
        view.workflows = {n: one for n, one in whole.workflows.items() if one.service in here}
        view.programs = {n: one for n, one in whole.programs.items() if n in view.workflows}
        view.reactions = {n: one for n, one in whole.reactions.items() if one.service in here}
        view.compensations = {
            n: one for n, one in whole.compensations.items() if one.service in here
        }
        return view

    def _add(self, service: Service) -> None:
        self._add_activities(service)
        for name, workflow in service.workflows.items():
            if name in self.workflows:
                raise DefinitionError(f"two workflows are called {name}; pass name= to one")
            workflow.resolve()
            for finding in findings(name, workflow.function):
                warnings.warn(str(finding), NonDeterminismWarning, stacklevel=4)
            self.workflows[name] = workflow
            if workflow.undo is not None:
                self.compensations[name] = workflow.undo
            self.programs[name] = WorkflowProgram(workflow, self)
            if workflow.on is not None:
                if name in self.reactions:
                    raise DefinitionError(f"a reaction and a workflow are both called {name}")
                self._know(workflow.on.contract)
        self._add_messages(service)

    def _add_activities(self, service: Service) -> None:
        for name, activity in service.activities.items():
            if name in self.activities:
                raise DefinitionError(f"two activities are called {name}; pass name= to one")
            activity.resolve()
            self.activities[name] = activity
            if activity.undo is not None:
                self.compensations[name] = activity.undo
        for name, stub in service.stubs.items():
            if name in self.stubs:
                raise DefinitionError(f"two stubs are called {name}; pass name= to one")
            stub.resolve()
            self.stubs[name] = stub
        for name in self.stubs.keys() & self.activities.keys():
            raise DefinitionError(f"an activity and a stub are both called {name}")

    def _add_messages(self, service: Service) -> None:
        for contract in service.contracts.values():
            self._know(contract)
        for name, reaction in service.reactions.items():
            if name in self.reactions or name in self.workflows:
                raise DefinitionError(f"two reactions are called {name}; pass name= to one")
            reaction.resolve()
            self._know(reaction.contract)
            for event in reaction.emits:
                self._know(contract_of(event))
            self.reactions[name] = reaction
        declared = [workflow.emits for workflow in service.workflows.values()]
        declared += [activity.emits for activity in service.activities.values()]
        for events in declared:
            for event in events or ():
                self._know(contract_of(event))

    def _know(self, contract: Contract) -> None:
        known = self.contracts.setdefault(contract.type, contract)
        if known is not contract:
            raise DefinitionError(
                f"two classes are the event {contract.type}: one of {known.service} (key "
                f"{known.key_field!r}) in {known.event_class.__module__}, one of "
                f"{contract.service} (key {contract.key_field!r}) in "
                f"{contract.event_class.__module__}: an event has one owner; pass name= to one"
            )
        contract.resolve()
        self._contract_of[contract.event_class] = contract

    def contract(self, event: Event) -> Contract:
        """Return the contract of an event that is about to be published.

        Raises:
            DefinitionError: it is no event, or none of this app.
        """
        known = self._contract_of.get(type(event))
        if known is not None:
            return known
        contract = check_is_event(event)
        if self.contracts.get(contract.type) is not contract:
            raise DefinitionError(
                f"{contract.type} is no event of this app: add the service {contract.service} to "
                "App(services=[...])"
            )
        return contract

    def event_data(self, event: Event) -> tuple[Contract, str, bytes]:
        """Return the contract, the key and the data of an event that is about to be published.

        Raises:
            DefinitionError: it is no event of this app.
            ArgumentsError: it has no usable key, or does not fit its own fields.
            PayloadError: it cannot be written, or is too large.
        """
        contract = self.contract(event)
        key, data = event_data(contract, event, self.payload_bytes_max)
        return contract, key, data

    def program(self, workflow: str, version: int = 0) -> WorkflowProgram | None:
        """Return the program of a recorded workflow name, of that version or a newer one.

        None if this app has none.
        """
        program = self.programs.get(workflow)
        return program if program is not None and program.version >= version else None

    def activity(self, name: str) -> AnyActivity | None:
        """Return the activity of a recorded name, or None if none is hosted."""
        return self.activities.get(name)

    def compensation(self, activity: str) -> Compensation | None:
        """Return the compensation of an activity's or workflow's recorded name, or None."""
        return self.compensations.get(activity)

    @property
    def subscription_names(self) -> list[str]:
        """Recorded names of all that takes events: reactions, and workflows that events start."""
        started = (name for name, workflow in self.workflows.items() if workflow.on is not None)
        return [*self.reactions, *started]

    def limits_of(self, name: str) -> tuple[Limit, ...]:
        """Return what bounds the attempts of an activity of the app, or of a compensation.

        That is the activity's own limit and its service's; a compensation has the latter alone.
        """
        activity = self.whole.activities.get(name)
        return self._limits_of_undo.get(name, ()) if activity is None else activity.limits

    def callee(self, name: str) -> AnyActivity | None:
        """Return the activity, or the stub of one, of a recorded name in the whole app, or None."""
        return self.whole.activities.get(name) or self.stubs.get(name)

    def knows(self, name: str) -> bool:
        """Whether the whole app has an activity, stub or workflow of that recorded name."""
        whole = self.whole
        return name in whole.activities or name in whole.workflows or name in whole.stubs

    def compensation_name(self, activity: str) -> str | None:
        """Return the recorded name of what undoes calls of an activity or workflow of the app."""
        stub = self.stubs.get(activity)
        found = self.whole.compensation(activity) if stub is None else stub.undo
        return None if found is None else found.name


def _is_elsewhere(service: Service) -> bool:
    """Whether all that is known of a service is how others call it."""
    return bool(service.stubs) and not (
        service.activities or service.workflows or service.reactions
    )
