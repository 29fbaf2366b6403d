"""Several processes that make one new file at once."""

import subprocess
import sys
from pathlib import Path

OPENERS = 4
FILES = 25

OPEN = """
import asyncio, sys
from datetime import timedelta
from counterpoint.stores.sqlite import SqliteStore

async def main():
    for path in sys.stdin:  # a line for each file, given to all processes at once
        store = SqliteStore(path.strip(), busy_timeout=timedelta(seconds=60))
        try:
            await store.open(node=False)
            said = f"{len(await store.counts())} executions"
            await store.close()
        except Exception as error:
            said = repr(error)
        print(said, flush=True)

asyncio.run(main())
"""


def test_those_who_open_a_new_file_at_once_all_get_the_same_store(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(OPENERS)
    ]
    answers: set[str] = set()

    for number in range(FILES):
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{tmp_path / str(number)}.db\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout is not None
            answers.add(process.stdout.readline().strip())
    for process in processes:
        process.communicate(timeout=60)

    assert answers == {"0 executions"}
