"""All mutants, by the part of the engine that they break."""

from tests.mutation.catalog import (
    commits,
    failures,
    kernel,
    letters,
    members,
    messaging,
    nodes,
    queues,
    remote,
    replay,
    sagas,
    stores,
    transactions,
)
from tests.mutation.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *replay.MUTANTS,
    *kernel.MUTANTS,
    *sagas.MUTANTS,
    *commits.MUTANTS,
    *letters.MUTANTS,
    *members.MUTANTS,
    *messaging.MUTANTS,
    *nodes.MUTANTS,
    *queues.MUTANTS,
    *remote.MUTANTS,
    *stores.MUTANTS,
    *transactions.MUTANTS,
    *failures.MUTANTS,
)
