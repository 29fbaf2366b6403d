"""What a commit writes about calls between nodes, while it is being gathered."""

from counterpoint.model.cluster import CallRow, Calls, Step


class CallChanges:
    """The lists of `model.cluster.Calls`, while they grow."""

    __slots__ = ("cancelled", "ended", "offered", "over")

    def __init__(self) -> None:
        self.offered: list[CallRow] = []
        self.cancelled: list[Step] = []
        self.ended: list[Step] = []
        self.over: list[Step] = []

    def __bool__(self) -> bool:
        return bool(self.offered or self.cancelled or self.ended or self.over)

    def add(self, other: "CallChanges") -> None:
        """Take over what another piece of the commit writes."""
        self.offered += other.offered
        self.cancelled += other.cancelled
        self.ended += other.ended
        self.over += other.over

    def calls(self) -> Calls | None:
        """Return all of it as the store takes it, or None where it is nothing."""
        if not self:
            return None
        return Calls(self.offered, self.cancelled, self.ended, self.over)
