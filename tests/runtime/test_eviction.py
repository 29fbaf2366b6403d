"""What may leave memory, and what may not although it was idle a moment ago."""

import asyncio

import msgspec

from counterpoint import Service, workflow
from counterpoint.runtime import acts
from counterpoint.runtime.mail import SignalMail, mail_row
from counterpoint.testing import Harness

service = Service("service")


@service.workflow
async def waiting() -> int:
    first = await workflow.signal("go", int)
    return first + await workflow.signal("go", int)


async def test_what_a_letter_has_just_reached_stays_in_memory_until_that_is_written() -> None:
    async with Harness(services=[service], max_resident=1) as harness:
        await harness.start(waiting, id="oldest")
        node = harness.app.node
        oldest = node.residents["oldest"]
        harness.store.hold_commits()
        starting = asyncio.create_task(harness.start(waiting, id="newer"))
        await harness.store.commit_held()
        mail = SignalMail("go", msgspec.Raw(b"3"))
        node.push(acts.deliver_mail, oldest, mail_row("oldest", mail, 0, node.codec), mail)
        harness.store.release_commits()
        await starting
        await harness.idle()

        assert node.residents == {"oldest": oldest}
        await harness.execution("oldest").signal("go", 4)
        assert await harness.result(harness.execution("oldest")) == 7
