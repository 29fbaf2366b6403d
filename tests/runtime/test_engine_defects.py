"""A defect of the engine that meets one execution loses nothing that was acknowledged."""

import asyncio
from typing import Any

import msgspec
import pytest

from counterpoint import Service, workflow
from counterpoint.model.rows import Commit
from counterpoint.runtime import acts
from counterpoint.runtime.mail import SignalMail, mail_row
from counterpoint.testing import Harness

service = Service("service")


@service.workflow
async def wait() -> str:
    return await workflow.signal("go", str)


async def test_a_letter_whose_effect_was_dropped_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deliver = acts.deliver_mail

    def deliver_and_fail(*args: Any) -> None:
        deliver(*args)
        raise RuntimeError("a defect")

    async with Harness(services=[service], rehearse=False) as harness:
        execution = await harness.start(wait)
        await harness.advance(seconds=1)
        node = harness.app.node
        monkeypatch.setattr(acts, "deliver_mail", deliver_and_fail)
        letter = mail_row(
            execution.id, SignalMail("go", msgspec.Raw(b'"now"')), node.clock.now(), node.codec
        )
        await node.store.commit(Commit(mail=[letter]))
        node.intake.poke()
        async with asyncio.timeout(30):
            while not node.loading.damaged:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0)
        for _ in range(50):
            await asyncio.sleep(0)
        monkeypatch.undo()
        await harness.restart()

        assert await harness.result(execution) == "now"
