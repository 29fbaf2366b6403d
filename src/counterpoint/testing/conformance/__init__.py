"""What every adapter of a port must do, as test classes that the adapter's own tests subclass.

    from counterpoint.testing.conformance.store import StoreConformance

    class TestMyStore(StoreConformance):
        def make_store(self) -> Store: ...

The suites ask for features (`StoreFeatures`), never for an adapter's name. They need pytest with
pytest-asyncio in auto mode, and Hypothesis.
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}.store_{part}"
        for part in (
            "commits",
            "reads",
            "attributes",
            "mail",
            "locks",
            "messages_log",
            "messages_inbox",
            "model",
            "case",
        )
    )
)
