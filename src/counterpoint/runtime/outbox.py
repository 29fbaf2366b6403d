"""Letters of a client: those that are posted while the loop turns once share a commit.

A letter is durable when `post` returns. Where one letter of several cannot be written, each is
written by itself, so that nobody's letter fails for another's.
"""

import asyncio

from counterpoint.errors import StoreBrokenError, StoreError
from counterpoint.model.rows import Commit, MailRow
from counterpoint.ports.store import Store

LETTERS_MAX = 500
"""How many letters a commit has at most."""
_CUT_OFF = "the client ended while it posted: look again later"
_Waiting = tuple[MailRow, "asyncio.Future[None]"]


class Outbox:
    """What a client has posted to one store, on one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Waiting] = []
        self._posting: asyncio.Task[None] | None = None

    async def post(self, letter: MailRow) -> None:
        """Write a letter and wait until it is durable.

        Raises:
            StoreError: it is not, or nobody knows.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((letter, written))
        if self._posting is None:
            self._begin()
        await written

    def _begin(self) -> None:
        self._posting = asyncio.get_running_loop().create_task(self._post())
        self._posting.add_done_callback(self._over)

    def _over(self, task: "asyncio.Task[None]") -> None:
        self._posting = None
        if task.cancelled():
            _answer(self._waiting, StoreError(_CUT_OFF))
            self._waiting = []
        elif self._waiting:
            self._begin()

    async def _post(self) -> None:
        while self._waiting:
            letters = self._waiting[:LETTERS_MAX]
            del self._waiting[:LETTERS_MAX]
            await self._write(letters)

    async def _write(self, letters: list[_Waiting]) -> None:
        try:
            await self._store.commit(Commit(mail=[letter for letter, _ in letters]))
        except StoreBrokenError as unknown:
            _answer(letters, unknown)
        except Exception as error:  # noqa: BLE001 - whoever posted hears of it
            if len(letters) == 1:
                _answer(letters, error)
            else:
                for one in letters:
                    await self._write([one])
        except BaseException:
            _answer(letters, StoreError(_CUT_OFF))
            raise
        else:
            _answer(letters, None)


def _answer(letters: list[_Waiting], error: BaseException | None) -> None:
    for _, written in letters:
        if written.done():
            continue  # who posted it no longer waits
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)
