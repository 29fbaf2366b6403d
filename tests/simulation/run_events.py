"""Random choreographies (see `tests.simulation.choreographies`) in the harness.

With failing, hanging and dying everywhere, and with operators who redrive, discard, replay and
deploy. When everything was put right the judge looks: every event has reached every reaction, in
order; every effect happened once; nothing is held or under way.
"""

from tests.simulation.batch import Result, Run, run_cases
from tests.simulation.choreographies import Case, cases
from tests.simulation.events_judge import run_case


async def _run(case: Case) -> Run:
    return Run(await run_case(case))


def run_batch(given_seed: int, number: int, count: int) -> Result:
    """Run one batch; stop at its first violation, made as small as possible."""
    return run_cases(cases(), _run, f"{given_seed}/{number}", count)
