"""`counterpoint debug`: pdb in the code of one recorded execution, with its recorded results."""

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.recorded import BOOKED, GO, SHOP, change_code, counterpoint, make_shop

from counterpoint import ExecutionFailed
from counterpoint.cli.target import load_app

WAIT = 'go = await workflow.signal("go", str)'


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))  # no .pdbrc
    return make_shop(tmp_path, monkeypatch)


def debug(*args: str, commands: str = "") -> tuple[int, str]:
    """Return the exit code, and what was written with prompts taken out."""
    script = "".join(f"{command}\n" for command in commands.split("; ") if command)
    result = counterpoint("debug", *args, stdin=script)
    return result.exit_code, result.output.replace("(Pdb) ", "")


def stops(text: str) -> list[str]:
    """Return the lines of code that it stopped at."""
    return [line.removeprefix("-> ") for line in text.splitlines() if line.startswith("-> ")]


def test_it_stops_at_the_first_line_of_the_workflow(shop: Path) -> None:
    code, text = debug("done", commands="p order; quit")

    assert code == 0
    assert text.splitlines() == [
        'record 1 of 10: started workflow=orders.place version=1 arguments={"order": "done"}',
        f"> {shop}/shop.py({BOOKED})place()",
        "-> booked = await book(order)",
        "'done'",
        "left: nothing was really called or written",
    ]


def test_it_stops_where_the_code_goes_on_after_a_record(shop: Path) -> None:
    _, text = debug("done", "--at", "3", commands="p booked; quit")

    assert text.splitlines()[0] == "record 3 of 10: completed call=1 result=done"
    assert stops(text) == ["total = count(booked)"]
    assert "'done'" in text


def test_a_record_that_the_code_does_not_see_stops_at_the_next_one(shop: Path) -> None:
    _, text = debug("done", "--at", "2", commands="quit")

    assert text.startswith("record 3 of 10: completed call=1")


def test_next_steps_over_an_await_to_what_came_of_it(shop: Path) -> None:
    code, text = debug("done", commands="n; n; n; p both; n; p go; n; n")

    assert code == 0
    assert stops(text) == [
        "booked = await book(order)",
        "total = count(booked)",
        "both = await asyncio.gather(send(order), send(booked))",
        'go = await workflow.signal("go", str)',
        "return booked + go",
    ]
    assert "['done sent', 'done sent']" in text
    assert "record 6 of 10: completed call=2" in text
    assert "record 9 of 10: signalled name=go value=!" in text
    assert text.endswith("the journal ends here: 10 records, completed\n")


def test_step_goes_into_the_apps_functions_and_into_nothing_else(shop: Path) -> None:
    _, text = debug("done", "--at", "3", commands="s; s; s; where; s; s; s; s; s; s; quit")

    files = {line.partition("(")[0] for line in text.splitlines() if line.startswith("> ")}
    assert files == {f"> {shop}/shop.py"}
    assert stops(text)[:6] == [
        "total = count(booked)",
        "def count(text: str) -> int:",
        "length = len(text)",
        "return length",
        "total = count(booked)",  # where
        "return length",
    ]
    assert 'go = await workflow.signal("go", str)' in stops(text)


def test_where_shows_the_frames_of_the_workflow_only(shop: Path) -> None:
    _, text = debug("done", commands="where; quit")

    assert stops(text) == ["booked = await book(order)"] * 2


def test_continue_goes_to_the_end_of_the_journal(shop: Path) -> None:
    ended = debug("done", commands="continue")
    waiting = debug("waiting", commands="continue")

    assert (ended[0], waiting[0]) == (0, 0)
    assert ended[1].endswith("the journal ends here: 10 records, completed\n")
    assert waiting[1].endswith("the journal ends here: 8 records, running\n")


def test_continue_goes_to_a_breakpoint(shop: Path) -> None:
    _, text = debug("done", commands=f"b {GO}; c; p both; c")

    assert stops(text) == ["booked = await book(order)", SHOP.splitlines()[GO - 1].strip()]
    assert text.endswith("the journal ends here: 10 records, completed\n")


def test_the_end_of_stdin_leaves(shop: Path) -> None:
    code, text = debug("done", commands="n")

    assert code == 0
    assert text.endswith("left: nothing was really called or written\n")


def test_leaving_is_no_exception_that_the_code_could_catch(shop: Path) -> None:
    change_code(
        shop,
        "    booked = await book(order)\n",
        "    try:\n"
        "        booked = await book(order)\n"
        "    except BaseException as error:\n"
        "        print('caught', type(error).__name__)\n"
        "        booked = await book(order)\n",
    )

    code, text = debug("done", commands="quit")

    assert code == 0
    assert text.endswith("left: nothing was really called or written\n")


def test_a_failed_call_is_raised_where_it_was_awaited(shop: Path) -> None:
    change_code(
        shop,
        "    booked = await book(order)\n",
        "    try:\n"
        "        booked = await book(order)\n"
        "    except Refused as refused:\n"
        "        why = refused.why\n"
        "        raise\n",
    )

    _, text = debug("refused", commands="b 29; c; n; p why; c")

    assert "record 3 of 4: failed call=1 error=orders.Refused: why='no' attempts=1" in text
    assert "'no'" in text
    assert text.endswith("the journal ends here: 4 records, failed\n")


def test_a_cancelled_wait_stops_with_its_error(shop: Path) -> None:
    change_code(shop, WAIT, f"async with asyncio.timeout(0.05):\n        go = {WAIT[5:]}")
    asyncio.run(run_too_late())

    code, text = debug("late", "--at", "10", commands="n; n; n")

    assert code == 0
    assert "record 10 of 12: fired timer=1" in text
    assert "CancelledError" in text
    assert stops(text)
    assert "did not run" not in text


async def run_too_late() -> None:
    app = load_app("shop:app")
    async with app:
        await app.start(app.registry.workflows["orders.place"], "late", id="late")
        with contextlib.suppress(ExecutionFailed):
            await app.execution("late").result(30)
    sys.modules.pop("shop", None)


def test_nothing_is_called_and_nothing_is_written(shop: Path) -> None:
    change_code(shop, "    if order ==", "    open('called', 'w').close()\n    if order ==")
    before = (shop / "shop.db").read_bytes()

    debug("done", commands="c")
    debug("waiting", commands="c")

    assert not Path("called").exists()
    assert (shop / "shop.db").read_bytes() == before


def test_code_that_differs_says_where(shop: Path) -> None:
    change_code(shop, 'await workflow.signal("go", str)', 'await send("parcel")')

    code, text = debug("done", commands="c")

    assert code == 6
    assert text.endswith(
        "done: the journal says a wait for the signal 'go', today's code does call 4 of "
        f"orders.send ({shop}/shop.py:{GO})\n"
    )


def test_an_exported_execution_is_debugged_without_a_store(shop: Path) -> None:
    counterpoint("journal", "export", "-o", "all.jsonl")
    (shop / "shop.db").unlink()

    newest = debug("poll", "--file", "all.jsonl", commands="p seen; quit")
    first = debug("poll", "--file", "all.jsonl", "--run", "1", commands="p seen; quit")
    none = debug("gone", "--file", "all.jsonl")

    assert newest[1].splitlines()[3] == "2"
    assert first[1].splitlines()[3] == "0"
    assert none == (3, "error: all.jsonl does not have gone\n")


def test_a_record_after_the_end_of_the_code_stops_nowhere(shop: Path) -> None:
    code, text = debug("done", "--at", "10")

    assert code == 0
    assert "the journal ends here: 10 records, completed" in text
    assert "the code did not run at record 10 or after it" in text


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["gone"], 3, "no execution has the id 'gone'"),
        (["done", "--run", "2"], 3, "done has no run 2"),
        (["done", "--at", "11"], 2, "--at 11: the journal of done has 10 records"),
        (["done", "--file", "gone.jsonl"], 2, "gone.jsonl cannot be read"),
    ],
)
def test_what_is_not_there_is_an_error(
    shop: Path, args: list[str], code: int, message: str
) -> None:
    found, text = debug(*args)

    assert found == code
    assert message in text


def test_a_workflow_that_the_app_lacks_is_an_error_and_a_newer_version_a_hint(shop: Path) -> None:
    counterpoint("journal", "export", "done", "-o", "done.jsonl")
    file = shop / "done.jsonl"
    file.write_text(file.read_text().replace('"version":1', '"version":2'))

    newer = debug("done", "--file", "done.jsonl", commands="q")
    change_code(shop, "async def place", "async def order")
    lacking = debug("done")

    assert "version 2 has advanced it, this app has 1" in newer[1]
    assert lacking == (3, "error: the app has no workflow orders.place\n")


def test_commands_that_restart_a_program_say_what_to_do(shop: Path) -> None:
    _, text = debug("done", commands="run; quit")

    assert "leave with `quit` and start the command again" in text


@pytest.mark.slow
def test_it_works_with_the_stdin_of_a_real_process(shop: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "counterpoint", "debug", "done", "--at", "9"],
        input="p go\nn\n",
        capture_output=True,
        text=True,
        check=True,
    )

    assert "record 9 of 10: signalled name=go value=!" in ran.stdout
    assert "'!'" in ran.stdout
    assert ran.stderr == ""
