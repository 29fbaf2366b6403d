"""Which contracts the store knows to have been published: the first event of each writes it."""

from collections.abc import Iterable

from counterpoint.authoring.registry import Registry
from counterpoint.model.messages import ContractRow, EventRow


class ContractBook:
    """What was really published, by type and version."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.known: set[tuple[str, int]] = set()

    def missing(self, events: Iterable[EventRow]) -> list[ContractRow]:
        """Return the contracts that *events* are the first of, to be written with them."""
        known = self.known
        new = {(e.type, e.version): e for e in events if (e.type, e.version) not in known}
        rows: list[ContractRow] = []
        for (event_type, version), event in new.items():
            contract = self.registry.contracts.get(event_type)
            if contract is not None and contract.version == version:
                rows.append(
                    ContractRow(
                        event_type,
                        version,
                        contract.service,
                        contract.key_field,
                        contract.schema,
                        event.recorded_at,
                    )
                )
        return rows

    def published(self, events: Iterable[EventRow]) -> None:
        """Note that *events* are in the log."""
        self.known.update((event.type, event.version) for event in events)
