"""How bodies are turned into what a store keeps: plain today, compressed or encrypted later."""

from typing import Protocol


class Codec(Protocol):
    """A reversible change of bytes; its tag is written beside what it encoded."""

    @property
    def tag(self) -> str:
        """A short word that names this codec in stored rows."""
        ...

    def encode(self, body: bytes) -> bytes:
        """Return what is stored for *body*."""
        ...

    def decode(self, stored: bytes) -> bytes:
        """Return the body again.

        Raises:
            PayloadError: *stored* is not what `encode` returns, or the key for it is missing.
        """
        ...
