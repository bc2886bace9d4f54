"""The hunt that is kept with the project, and the table of it in the documentation.

Owns the file and the table. `python -m tests.simulation.bugs --keep` writes it; hunts nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import orjson
from pydantic import TypeAdapter

from docs.generator.blocks import table
from tests.simulation.bugs.catalogue import CATALOGUE
from tests.simulation.bugs.hunt import Trail
from tests.simulation.bugs.seeded import SeededBug

_FILE: Final = Path(__file__).with_name("kept.json")
_TRAILS: Final = TypeAdapter(list[Trail])

_Hunted: TypeAlias = Sequence[tuple[SeededBug, Trail]]


def keep(trails: Sequence[Trail]) -> None:
    """Put these in the place of what is kept."""
    _FILE.write_bytes(orjson.dumps(_TRAILS.dump_python(list(trails)), option=orjson.OPT_INDENT_2) + b"\n")


def kept() -> Mapping[str, Trail]:
    """What came of the hunt for each bug, by name."""
    return {trail.name: trail for trail in _TRAILS.validate_json(_FILE.read_bytes())}


def block(argument: str) -> str:
    """A generated block of the page: the `table`, or the `sum` of it.

    Raises:
        KeyError: a bug of the catalogue was not hunted yet; `make bugs KEEP=1` hunts them all.
    """
    trails = kept()
    return {"table": _table, "sum": _sum}[argument]([(bug, trails[bug.name]) for bug in CATALOGUE])


def _table(hunted: _Hunted) -> str:
    rows = [(f"**{bug.name}**: {bug.mistake}", *_cells(trail)) for bug, trail in hunted]
    return table(("bug: what its author thought", "caught by", "at schedule", "model check", "processor"), rows)


def _cells(trail: Trail) -> tuple[str, str, str, str]:
    states = "" if trail.states is None else f"{trail.states:,} states"
    if not trail.caught:
        return "**survived**", "", states, f"{trail.seconds:.1f} s"
    return ", ".join(trail.invariants), f"{trail.schedule:,}", states, f"{trail.seconds:.1f} s"


def _sum(hunted: _Hunted) -> str:
    caught = [trail for _, trail in hunted if trail.caught]
    schedules = sorted(trail.schedule for trail in caught)
    modelled = sum(trail.states is not None for trail in caught)
    minutes = sum(trail.seconds for _, trail in hunted) / 60
    return (
        f"{len(caught)} of {len(hunted)} bugs are caught by the simulation, half of them within "
        f"{schedules[len(schedules) // 2]:,} schedules, the last after {schedules[-1]:,}; {modelled} of them by the "
        f"model check as well. All of it takes {minutes:.0f} minutes of one core."
    )
