"""What goes wrong, and how often."""

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Rates between 0 (never) and 1 (every time), and bounds.

        simulate(app, a_day, faults=Faults(crash=0.2))
        simulate(app, a_day, faults=Faults.none().but(lost_result=0.3))

    There is an opportunity at every commit, read, attempt, request and start of a node.
    """

    # ---- the process
    crash: float = 0.03
    """The node dies at a commit: before it, while it is under way (written or not), or after it."""
    idle_crash: float = 0.15
    """It dies while everything waits for time to pass."""
    restart: float = 0.1
    """It is stopped and started again in good order while everything waits."""
    storm: float = 0.25
    """A node that starts dies again at once: while it opens its store, or soon after."""
    storm_max: int = 4
    """Deaths of that kind in a row."""
    down: timedelta = timedelta(seconds=20)
    """How long nobody runs after a death, at most."""

    # ---- the disk
    slow_commit: float = 0.15
    """A commit takes up to `slow`, while other work goes on."""
    slow_read: float = 0.03
    """A read does."""
    slow: timedelta = timedelta(seconds=3)
    unknown_commit: float = 0.01
    """A commit is reported as broken: it was written, or it was not."""
    refused_commit: float = 0.01
    """A commit is refused and not written: the store is busy."""
    failed_read: float = 0.002
    """A read fails."""

    # ---- the clock
    skew: float = 0.3
    """The clock of a node that starts was set, backward or forward, by up to `skew_max`."""
    jump: float = 0.05
    """The clock jumps forward by up to `skew_max` while everything waits."""
    skew_max: timedelta = timedelta(minutes=10)

    # ---- what is delivered
    repeated_request: float = 0.15
    """A client sends its request again, later, whatever has been sent since."""
    late_request: float = 0.15
    """A request takes up to `late` to arrive."""
    lost_answer: float = 0.1
    """The answer to a request is lost: the client asks again."""
    late: timedelta = timedelta(seconds=30)
    outside: float = 0.4
    """A request comes from another process and reaches the node through the mailbox."""
    unseen_notice: float = 0.3
    """The node overlooks that something was posted and finds it at a later look."""
    redelivery: float = 0.3
    """A node that starts finds its positions set back: every event since is delivered again."""

    # ---- attempts of activities, compensations and reactions
    error: float = 0.06
    """An attempt fails before it has had its effect."""
    lost_result: float = 0.06
    """It has had its effect, and fails."""
    hang: float = 0.02
    """It hangs until its timeout, before its effect or after it."""
    slow_attempt: float = 0.15
    """It takes up to `slow`."""
    late_result: float = 0.04
    """It goes on for some seconds although it was cancelled or has timed out, and returns then."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value, name = getattr(self, field.name), field.name
            if name in self.rates():
                if not (isinstance(value, int | float) and 0 <= value <= 1):
                    raise ValueError(f"{name} is a rate between 0 and 1, not {value!r}")
            elif name == "storm_max":
                if not (isinstance(value, int) and value >= 0):
                    raise ValueError(f"{name} is a number, not {value!r}")
            elif not (isinstance(value, timedelta) and value >= timedelta(0)):
                raise ValueError(f"{name} is a timedelta of 0 or more, not {value!r}")

    @classmethod
    def rates(cls) -> list[str]:
        """Return the names of what can go wrong."""
        return [one.name for one in fields(cls) if one.type in (float, "float")]

    @classmethod
    def none(cls) -> Self:
        """Return a world in which nothing goes wrong."""
        never: dict[str, Any] = dict.fromkeys(cls.rates(), 0.0)
        return cls(**never)

    def but(self, **changes: float | timedelta) -> Self:
        """Return the same world with other rates and bounds."""
        given: dict[str, Any] = {**changes}
        return replace(self, **given)
