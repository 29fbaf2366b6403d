"""The store of random sagas: the one that ships, which knows at once what is durable."""

from counterpoint.testing.simulation.ledger import Durable, LedgerStore

__all__ = ["Durable", "LedgerStore"]
"""What a test of the simulation needs of it."""
