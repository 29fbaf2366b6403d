"""What the kernel needs to know of a workflow's definition."""

from collections.abc import Coroutine
from typing import Any, Protocol

from counterpoint.model.records import Failure, Payload


class Program(Protocol):
    """A workflow's code and its codecs, behind the layer that users write with."""

    @property
    def saga(self) -> bool:
        """Whether completed calls are undone when the code fails."""
        ...

    @property
    def payload_bytes_max(self) -> int:
        """The most bytes that one recorded value may take."""
        ...

    def begin(self, arguments: Any) -> Coroutine[Any, Any, Any]:
        """Return the code's coroutine for decoded arguments."""
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
        """Whether the app has an activity of that recorded name."""
        ...

    def compensation_of(self, activity: str) -> str | None:
        """Return the recorded name of an activity's compensation, or None."""
        ...
