"""Days of an app with everything that can go wrong, thousands of them, each made of one seed.

    report = simulate(app, a_day, seeds=500, check=books_balance)

*What is real.* The node, the kernel, the dispatcher, the committer, recovery, clients beside the
node, and the app's own workflows, activities and reactions.

*What is simulated.* Time: one event loop whose time moves on when nothing can happen without it
(`loop`). The disk: it keeps what was committed, is slow, refuses, and reports as broken what it may
or may not have written (`disk`). The process: it dies before, while and after anything is
committed, also while it starts (`life`). The clock of the machine, the network between clients and
node, and how attempts end (`attempts`). Threads do not exist: a `def` function runs at once.

*Chance.* Every choice, ids included, is drawn from one `random.Random(seed)` (`dice`); nothing else
varies, so that a seed gives the same run again, byte by byte (`Outcome.trace`).

*What a pass shows.* A run remembers what the engine cannot take back: what was acknowledged to
clients, every commit, every attempt that began, what it returned, and every key that it used. While
it goes on, each commit and each attempt is held against that (`ledger`, `attempts`). When the
clients are done, chance stops, the simulated people answer what only people can answer, and time
goes on until nothing moves. Then the journals, the log, the inbox and the mailbox are judged
(`judge`, `judge_events`). A finding is a broken promise (P1 to P10), never a matter of taste: none
of the rules depends on what the app is about. `check` adds those that do.

*What it does not show.* That a database keeps its own promises (conformance suites, crashes of real
processes), that code which reads a real clock or a socket behaves, or that a machine is fast.
"""

from counterpoint.testing.simulation.faults import Faults
from counterpoint.testing.simulation.many import simulate
from counterpoint.testing.simulation.report import Failure, Report, SimulationFailed
from counterpoint.testing.simulation.run import Check, Outcome, Scenario, run_seed
from counterpoint.testing.simulation.simulation import Simulation

__all__ = [
    "Check",
    "Failure",
    "Faults",
    "Outcome",
    "Report",
    "Scenario",
    "Simulation",
    "SimulationFailed",
    "run_seed",
    "simulate",
]
