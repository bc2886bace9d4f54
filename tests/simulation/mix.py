"""Swarm testing: every seed draws which faults it has at all, how often, and how the system is set up.

Owns the ranges. A run with every fault at once would hardly get anywhere; one with few shows what those do alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from typing import Final, TypeVar

from saga_engine.orchestrator.tuning import Tuning
from tests.simulation.conduct import Act
from tests.simulation.faults import Strike
from tests.simulation.workloads import Workload

K = TypeVar("K")

_LONG: Final = 0.02
_LARGE: Final = 0.05
"""Of all runs. What goes wrong goes wrong in small ones already, and many of them meet it sooner than a few large."""

_CONTENDED: Final = 0.05
"""Of all runs: partitions change hands again and again, while who had them does not know it."""

LONGEST_JUMP_S: Final = 3_600.0
SHORT_JUMP_S: Final = 60.0
"""How far a clock jumps at most, in runs whose faults last up to hours and in others."""

_STRIKES: Final[Mapping[Strike, float]] = {
    Strike.KILL: 0.004,
    Strike.KILL_AFTER: 0.006,
    Strike.BUSY: 0.03,
    Strike.UNREACHABLE: 0.02,
    Strike.FULL: 0.02,
    Strike.READ_ONLY: 0.01,
    Strike.UNKNOWN_APPLIED: 0.05,
    Strike.UNKNOWN_NOT_APPLIED: 0.05,
    Strike.DROP: 0.06,
    Strike.ACK_LOST: 0.08,
    Strike.VANISH: 0.1,
    Strike.DELAY: 0.16,
    Strike.DUPLICATE: 0.08,
}
"""The highest chance of each at one call."""

_ACTS: Final[Mapping[Act, float]] = {
    Act.REJECT: 0.12,
    Act.FAIL: 0.15,
    Act.FAIL_FOR_GOOD: 0.05,
    Act.HANG: 0.06,
    Act.CRASH: 0.06,
    Act.POISON: 0.01,
    Act.FAIL_FOR_EVER: 0.3,
    Act.DENY: 0.12,
}


_DENIALS: Final = frozenset({Act.REJECT, Act.DENY})


class Blow(StrEnum):
    """What the nemesis does."""

    KILL = "kill"
    STOP = "stop"
    PAUSE = "pause past a lease"
    BROKER_OUTAGE = "broker outage"
    AMNESIA = "broker amnesia"
    ROLL_BACK = "broker rolled back"
    STORE_OUTAGE = "store outage"
    STORE_READ_ONLY = "store read-only"
    STORE_FULL = "store disk full"
    DATABASE_OUTAGE = "participant's database outage"
    CLOCK_JUMP = "clock jump"
    FORGERY = "forged reply"


@dataclass(frozen=True, slots=True)
class Mix:
    """Of one seed. Times in seconds. `long`: faults last up to hours, and the parts look after themselves seldom.

    `contended`: two orchestrators with short leases, which are paused for longer than those last.
    `blows`: how many of each the nemesis strikes. `operator`: in how many of ten cases a blocked saga is acted on.
    """

    long: bool
    strikes: Mapping[Strike, float]
    acts: Mapping[Act, float]
    blows: Mapping[Blow, int]
    latency: float
    faulty_for: float
    longest: float
    orchestrators: int
    workers: int
    same_name: bool
    drift: float
    sagas: int
    tuning: Tuning
    ack_wait: float
    duplicate_window: float
    operator: int
    contended: bool = False


def calm_mix() -> Mix:
    """One of everything, and no faults."""
    return Mix(
        long=False,
        strikes={},
        acts={},
        blows={},
        latency=0.0,
        faulty_for=25.0,
        longest=5.0,
        orchestrators=1,
        workers=1,
        same_name=False,
        drift=0.0,
        sagas=1,
        tuning=Tuning(due_poll=2.0, lease=6.0, lease_interval=2.0),
        ack_wait=5.0,
        duplicate_window=120.0,
        operator=10,
    )


def mix(random: Random, workload: Workload) -> Mix:
    """What this seed has."""
    long = random.random() < _LONG
    large = random.random() < _LARGE
    pace = (60.0, 120.0, 300.0) if long else (1.0, 2.0, 5.0, 10.0)
    acts = _some(random, _ACTS)
    # What fails for ever is tried for hours, in which there is little to see of how partitions change hands.
    lease_interval = (40 if Act.FAIL_FOR_EVER in acts and not long else 5) * random.choice(pace)
    faulty_for = random.uniform(1_800, 9_000) if long else random.uniform(25, 70) if large else random.uniform(4, 18)
    ack_wait = random.choice((60.0, 200.0)) if long else random.choice((3.0, 5.0, 5.0, 20.0))
    drawn = Mix(
        long=long,
        strikes=_some(random, _STRIKES),
        acts=acts,
        blows=_blows(random, workload),
        latency=random.choice((0.0, 0.05, 0.3)),
        faulty_for=faulty_for,
        longest=3_600.0 if long else faulty_for * random.choice((0.2, 0.5)),
        orchestrators=random.choice((1, 1, 2, 2, 3) if large else (1, 1, 1, 2, 2)),
        workers=random.choice((1, 1, 2) if large else (1, 1, 1, 2)),
        same_name=random.random() < 0.1,
        drift=0.0 if workload.outside else random.choice((0.0, 0.0, 0.001, 0.01)),
        sagas=random.randint(2, 6) if large else random.choice((1, 1, 1, 1, 2, 3)),
        tuning=Tuning(
            batch=random.choice((1, 2, 500)),
            backlog=random.choice((4, 4_000)),
            cached=random.choice((1, 2, 20_000, 20_000)),
            sending=random.choice((1, 16)),
            due_poll=random.choice(pace),
            lease=3 * lease_interval,
            lease_interval=lease_interval,
            again_after=30.0 if long else 1.0,
            trouble_after=60.0 if long else 5.0,
            # Sagas here are short: as they are, hardly one would ever be read from a snapshot.
            snapshot_every=random.choice((3, 10, 200)),
            snapshot_from=random.choice((2, 8, 20)),
            ack_wait=ack_wait,
        ),
        ack_wait=ack_wait,
        duplicate_window=random.choice((0.5, 120.0, 120.0)),
        operator=random.choice((0, 5, 10)),
    )
    if workload.outside:
        drawn = _copied(drawn) if workload.once else drawn
        return _told_of_copies(drawn) if Act.DENY in drawn.acts else drawn
    return _contended(random, drawn) if workload.paced or random.random() < _CONTENDED else drawn


def _contended(random: Random, drawn: Mix) -> Mix:
    """With partitions that change hands, and replies that are still there when who was paused goes on."""
    lease_interval = random.choice((1.0, 2.0))
    ack_wait = 20.0
    return replace(
        drawn,
        contended=True,
        long=False,
        # What fails for ever is tried for hours, too long for such short leases.
        acts={act: chance for act, chance in drawn.acts.items() if act is not Act.FAIL_FOR_EVER},
        blows={**drawn.blows, Blow.PAUSE: 3},
        faulty_for=random.uniform(12, 30),
        longest=random.choice((2.0, 8.0)),
        orchestrators=2,
        tuning=replace(drawn.tuning, lease=3 * lease_interval, lease_interval=lease_interval, ack_wait=ack_wait),
        ack_wait=ack_wait,
    )


def _copied(drawn: Mix) -> Mix:
    """With many copies of what is sent, and handlers of which some raise: of one command a copy fails, another works.

    None rejects: nobody could tell a copy that denies from the one that has worked.
    """
    acts = {act: chance for act, chance in drawn.acts.items() if act not in _DENIALS}
    return replace(drawn, strikes={**drawn.strikes, Strike.DUPLICATE: 0.3}, acts={**acts, Act.FAIL: 0.3})


def _told_of_copies(drawn: Mix) -> Mix:
    """Without copies that the broker does not tell from a first delivery.

    What has no inbox can deny what it has done only then: its worker is told of a redelivery, and nobody of a copy.
    """
    copies = (Strike.DUPLICATE, Blow.AMNESIA, Blow.ROLL_BACK)
    strikes = {strike: chance for strike, chance in drawn.strikes.items() if strike not in copies}
    blows = {blow: count for blow, count in drawn.blows.items() if blow not in copies}
    return replace(drawn, strikes=strikes, blows=blows, duplicate_window=120.0)


def _some(random: Random, highest: Mapping[K, float]) -> dict[K, float]:
    """Half of the faults, none at all in one of six runs, each with some part of its highest chance."""
    if random.random() < 1 / 6:
        return {}
    return {kind: chance * random.random() for kind, chance in highest.items() if random.random() < 0.5}


def _blows(random: Random, workload: Workload) -> dict[Blow, int]:
    if random.random() < 1 / 6:
        return {}
    blows = {blow: random.choice((1, 1, 2, 3)) for blow in Blow if random.random() < 0.25}
    if workload.outside:
        # What has no inbox is fenced by time alone: it can stand neither a pause nor a clock that jumps.
        blows.pop(Blow.PAUSE, None)
        blows.pop(Blow.CLOCK_JUMP, None)
    return blows
