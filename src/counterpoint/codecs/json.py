"""The default codec: bodies are JSON and stay as they are."""


class JsonCodec:
    """Stores the JSON bodies themselves, readable with any tool."""

    tag = "json"

    def encode(self, body: bytes) -> bytes:
        return body

    def decode(self, stored: bytes) -> bytes:
        return stored
