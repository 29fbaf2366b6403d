"""Activities that are given a transaction, as type checkers see them."""

import inspect
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from counterpoint.authoring.activity import Activity
from counterpoint.authoring.call import Call

P = ParamSpec("P")
R = TypeVar("R")


class Executes(Protocol):
    """What all transactions have in common; few other first parameters have it."""

    @property
    def execute(self) -> Callable[..., Any]: ...


T = TypeVar("T", bound=Executes)


class Elsewhere:
    """No transaction, nor anything else: what accepts it as a parameter accepts everything.

    Such a parameter (`Any`, `object`) would count as a transaction otherwise.
    """


class TransactionalActivity(Activity[P, R], Generic[T, P, R]):
    """An activity whose first parameter is a transaction.

    A workflow calls it without; whoever calls it anywhere else passes a connection of its own:

        await charge(order_id, amount)                      # in a workflow
        await charge.within(connection, order_id, amount)   # in a test, a script, an activity
    """

    def within(self, transaction: T, /, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Return the call of the function in a transaction of the caller's, anywhere else."""
        return Call(self, (transaction, *args), kwargs, inspect.currentframe())
