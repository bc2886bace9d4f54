"""The judgement of a chaos run: what was lost or doubled, what the checkers object to, whether the run proves enough.

Owns the limits and the last line. Knows no process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from saga_engine.audit.history import Record
from saga_engine.audit.records.clients import ClientAnswer, ClientAnswered, ClientCalled, ClientVerb
from saga_engine.audit.records.participants import LedgerRow
from saga_engine.audit.records.stored import StreamRow
from saga_engine.core.state import Status
from tests.chaos.faults import NETWORK_FAULTS, Act
from tests.chaos.measures import PROGRESS_LIMIT_S, resources
from tests.chaos.nemesis import Done
from tests.chaos.run import Outcome

KILLS_A_MINUTE: Final = 10.0
WIPES_A_MINUTE: Final = 1 / 3
SAGAS_A_MINUTE: Final = 1000 / 3
"""What a run must at least have done to prove something."""

EVERYTHING_WITHIN_MINUTES: Final = 3.0
"""A run of so long must have done everything that there is to do, and the system must have felt it."""

_FLAT: Final = 1.25
_SMALL_MEMORY_MIB: Final = 16.0
_SMALL_DESCRIPTORS: Final = 16.0
_SHOWN: Final = 20


@dataclass(slots=True)
class Counted:
    """Sagas, and what is wrong with them, by our own count. `lost`: acknowledged, and not there or not ended."""

    sagas: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)


def count(records: Iterable[Record]) -> Counted:
    """Count over a whole history."""
    counted = Counted()
    statuses: dict[UUID, str] = {}
    keys: dict[str, str] = {}
    acknowledged: dict[str, set[UUID]] = {}
    effects: Counter[tuple[str, str]] = Counter()
    for record in records:
        match record:
            case StreamRow(head):
                statuses[head.stream_id] = head.status
            case ClientCalled(call_id, ClientVerb.START, key=key):
                keys[call_id] = key
            case ClientAnswered(call_id, ClientAnswer.DONE | ClientAnswer.EXISTING, saga_id=UUID() as saga_id):
                if call_id in keys:
                    acknowledged.setdefault(keys[call_id], set()).add(saga_id)
            case LedgerRow(participant, key):
                effects[participant, key] += 1
            case _:
                pass
    counted.sagas.update(statuses.values())
    for key, saga_ids in acknowledged.items():
        if len(saga_ids) > 1:
            counted.doubled.append(f"key {key} began {len(saga_ids)} sagas: {', '.join(map(str, saga_ids))}")
        for saga_id in saga_ids:
            status = statuses.get(saga_id)
            if status is None or not Status(status).ended:
                counted.lost.append(f"key {key}: saga {saga_id} is {status or 'not in the store'}")
    counted.doubled += [
        f"{key} at {participant} had {times} effects" for (participant, key), times in effects.items() if times > 1
    ]
    return counted


def too_little(done: Done, felt: Mapping[str, int], sagas: int, minutes: float) -> list[str]:
    """What the run has too little of to prove anything. `felt`: network faults by kind that met a connection."""
    wanted = (
        ("kills", done.kills, KILLS_A_MINUTE * minutes),
        ("wipes", done.acts[Act.WIPE], WIPES_A_MINUTE * minutes),
        ("sagas", sagas, SAGAS_A_MINUTE * minutes),
    )
    little = [f"{what}: {found}, expected at least {least:.1f}" for what, found, least in wanted if found < least]
    if minutes < EVERYTHING_WITHIN_MINUTES:
        return little
    little += [f"{act}: never done" for act in Act if not done.acts[act]]
    return little + [f"network {kind}: never met a connection" for kind in NETWORK_FAULTS if not felt.get(kind)]


def too_slow(outcome: Outcome) -> list[str]:
    """Starts of an orchestrator after which the first commit took too long."""
    assert outcome.progress is not None, "nothing was measured"
    if not outcome.progress.undisturbed:
        return ["no start of an orchestrator was undisturbed: first progress was not measured"]
    return [f"{late}, expected at most {PROGRESS_LIMIT_S:.0f} s" for late in outcome.progress.late]


def growing(outcome: Outcome) -> list[str]:
    """Roles whose processes used more and more."""
    grown: list[str] = []
    for course in (course for course in resources(outcome.samples) if course.judged):
        for what, (before, after), small in (
            ("memory (MiB)", course.memory, _SMALL_MEMORY_MIB),
            ("descriptors", course.descriptors, _SMALL_DESCRIPTORS),
        ):
            if after > before * _FLAT and after - before > small:
                grown.append(f"{course.role}: {what} went from {before:.0f} to {after:.0f}")
    return grown


def shown(findings: Sequence[str]) -> str:
    """The first of them, a line each."""
    rest = len(findings) - _SHOWN
    return "\n".join(
        [*(f"  {finding}" for finding in findings[:_SHOWN]), *([f"  and {rest} more"] if rest > 0 else [])]
    )
