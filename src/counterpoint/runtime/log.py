"""The engine's logger: a handler that fails takes down neither the node nor what it was doing.

Python's own handlers report their failures on stderr. A user's handler may raise; raised in the
middle of performing a commit, it would leave half of it undone.
"""

import contextlib
import logging
from collections.abc import MutableMapping
from typing import Any


class SafeLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose methods never raise."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log, or say nothing where that fails."""
        with contextlib.suppress(Exception):
            super().log(level, msg, *args, **kwargs)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Pass on what was said, as it is."""
        return msg, kwargs


logger = SafeLogger(logging.getLogger("counterpoint"), {})
workflow_logger = SafeLogger(logging.getLogger("counterpoint.workflow"), {})
