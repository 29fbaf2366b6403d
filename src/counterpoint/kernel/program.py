"""What the kernel needs to know of a workflow's definition."""

from collections.abc import Coroutine
from typing import Any, NoReturn, Protocol

from counterpoint.model.records import Failure, Payload


class Program(Protocol):
    """A workflow's code and its codecs, behind the layer that users write with."""

    @property
    def saga(self) -> bool:
        """Whether completed calls are undone when the code fails."""
        ...

    @property
    def version(self) -> int:
        """The version of the workflow; 0 where the app does not have it."""
        ...

    @property
    def payload_bytes_max(self) -> int:
        """The most bytes that one recorded value may take."""
        ...

    def begin(self, arguments: Any, within: float | None) -> Coroutine[Any, Any, Any]:
        """Return the code's coroutine for decoded arguments.

        *within* are the seconds left of a deadline that an earlier run handed on.
        """
        ...

    def decode_arguments(self, arguments: Payload) -> Any:
        """Decode recorded arguments for `begin`.

        Raises:
            ArgumentsError: they do not fit the parameters (any more).
        """
        ...

    def encode_result(self, value: object) -> Payload:
        """Encode what the code returned.

        Raises:
            PayloadError: it does not fit the declared result, or is too large.
        """
        ...

    def failure(self, error: BaseException) -> Failure:
        """Describe an error for the journal; never raises."""
        ...

    def knows(self, activity: str) -> bool:
        """Whether the app has an activity or workflow of that recorded name."""
        ...

    def compensation_of(self, activity: str) -> str | None:
        """Return the recorded name of an activity's or a workflow's own compensation, or None."""
        ...


class NoProgram:
    """Stands for a workflow that this app does not have: its executions can only be ended."""

    saga = True
    version = 0
    payload_bytes_max = 0

    def begin(self, arguments: Any, within: float | None) -> NoReturn:  # noqa: ARG002
        raise LookupError("this app does not have the workflow")

    def decode_arguments(self, arguments: Payload) -> NoReturn:  # noqa: ARG002
        raise LookupError("this app does not have the workflow")

    def encode_result(self, value: object) -> NoReturn:  # noqa: ARG002
        raise LookupError("this app does not have the workflow")

    def failure(self, error: BaseException) -> Failure:
        return Failure(type(error).__name__, str(error))

    def knows(self, activity: str) -> bool:  # noqa: ARG002
        return False

    def compensation_of(self, activity: str) -> str | None:  # noqa: ARG002
        return None
