"""All seeded bugs, in the order of the table."""

from __future__ import annotations

from typing import Final

from tests.simulation.bugs import deciders, orchestrators, participants, stores, times
from tests.simulation.bugs.seeded import SeededBug

CATALOGUE: Final[tuple[SeededBug, ...]] = (
    *participants.BUGS,
    *stores.BUGS,
    *orchestrators.BUGS,
    *deciders.BUGS,
    *times.BUGS,
)
