"""The generators make what they say, and the services know what they make."""

from tests.simulation import plans, services


def test_every_kind_of_step_that_plans_have_can_be_run() -> None:
    kinds = {
        *plans.LEAVES,
        *plans.MANY,
        *plans.ONE,
        *plans.CHILDREN,
        *plans.STARTS,
        *plans.PAIRS,
        *plans.EVEN_BRANCHES,
        "again",
        "loop",
    }

    assert kinds == services.KINDS.keys()
