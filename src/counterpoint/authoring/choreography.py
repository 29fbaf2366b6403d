"""Choreographies as data: how a flow of events across services starts, ends, and by when."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeGuard

from counterpoint.authoring.event import Contract, Event, contract_of
from counterpoint.errors import DefinitionError
from counterpoint.model.ids import check_name

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class Choreography:
    """A declared flow of events: the one that starts it, and those that end it.

    No service directs it. What happens in between is what the services of an app do when they hear
    of an event; the app checks that each end can follow from the start:

        fulfilment = Choreography(
            "fulfilment",
            starts=OrderPlaced,
            completes=[StockReserved],
            fails=[PaymentRefused, PaymentRefunded],
            within=timedelta(seconds=30),
        )

        app = App("shop", services=[orders, payments, inventory], choreographies=[fulfilment])

    Raises:
        DefinitionError: something is missing, is no declared event, or is said twice.
    """

    def __init__(
        self,
        name: str,
        *,
        starts: type[Event],
        completes: type[Event] | Sequence[type[Event]],
        fails: type[Event] | Sequence[type[Event]] = (),
        within: timedelta | None = None,
    ) -> None:
        if check_name("a choreography", name) is not None or not _NAME.fullmatch(name):
            raise DefinitionError(
                f"{name!r} is not the name of a choreography: a letter, then letters, digits, '_', "
                "'-' or '.', 64 characters at most"
            )
        self.name = name
        self.starts: Contract = self._start(starts)
        """The contract of the event that begins a flow."""
        self.completes: tuple[Contract, ...] = self._ends("completes", completes)
        """The contracts of the events with any of which a flow is done."""
        self.fails: tuple[Contract, ...] = self._ends("fails", fails)
        """The contracts of the events with any of which a flow has failed."""
        self.within = within
        """How long a flow may take; None for any time."""
        if not self.completes:
            raise DefinitionError(
                f"the choreography {name} has no end: name the event, or the events, with which it "
                "is done in completes=[...]"
            )
        self._check_ends()
        self._check_within(within)

    def __repr__(self) -> str:
        return f"<choreography {self.name}>"

    @property
    def ends(self) -> tuple[Contract, ...]:
        """The contracts of all events that end it, well or not."""
        return (*self.completes, *self.fails)

    def _start(self, starts: object) -> Contract:
        if _are_several(starts):
            raise DefinitionError(
                f"the choreography {self.name}: starts= takes one event, not several: write a "
                "choreography for each start"
            )
        return self._contract("starts", starts)

    def _ends(self, what: str, given: object) -> tuple[Contract, ...]:
        if _are_several(given):
            return tuple(self._contract(what, one) for one in given)
        return (self._contract(what, given),)

    def _contract(self, what: str, event: object) -> Contract:
        if isinstance(event, Event):
            name = type(event).__name__
            raise DefinitionError(
                f"the choreography {self.name}: {what}= takes the class {name}, not one event of it"
            )
        try:
            return contract_of(event)
        except DefinitionError as error:
            raise DefinitionError(f"the choreography {self.name}: {what}=: {error}") from None

    def _check_ends(self) -> None:
        if self.starts in self.ends:
            raise DefinitionError(
                f"the choreography {self.name} starts with {self.starts.type} and ends with it: "
                "an end is another event, one that follows from the start"
            )
        for contract in self.fails:
            if contract in self.completes:
                raise DefinitionError(
                    f"the choreography {self.name} completes and fails with {contract.type}: name "
                    "it in one of them, or declare an event for each outcome"
                )
        for what, ends in (("completes", self.completes), ("fails", self.fails)):
            for number, contract in enumerate(ends):
                if contract in ends[:number]:
                    raise DefinitionError(
                        f"the choreography {self.name} names {contract.type} twice in {what}="
                    )

    def _check_within(self, within: object) -> None:
        if within is None:
            return
        if not isinstance(within, timedelta):
            raise DefinitionError(
                f"the choreography {self.name}: within={within!r} is no timedelta: "
                "within=timedelta(seconds=30)"
            )
        if within <= timedelta(0):
            raise DefinitionError(
                f"the choreography {self.name}: within= is a positive timedelta, or None for any "
                "time"
            )


def _are_several(given: object) -> TypeGuard[Sequence[object]]:
    return isinstance(given, Sequence) and not isinstance(given, str)
