"""Fail the n-th call: every port call of the reference sagas, with every error that it can have, and a kill at each.

Owns the enumeration. One fault a run, so that none hides behind another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Final

from tests.simulation.faults import Faults, NthCall, Strike, Striker
from tests.simulation.mix import calm_mix
from tests.simulation.run import Result, run
from tests.simulation.workloads import reference
from tests.simulation.world import Setting

REJECTED: Final[Mapping[str, str]] = {
    "order": "debit",
    "transfer": "credit",
    "fan": "join",
    "chain": "s7",
    "each": "pack",
    "pivot": "commit",
    "patient": "act",
    "parent": "after",
    "loan": "pay",
    "single": "then",
    "paced": "third",
    "once": "book",
}
"""The reference sagas, each with the step that is rejected when it is to be compensated."""


@dataclass(frozen=True, slots=True)
class Course:
    """A reference saga that succeeds, or with `compensated` has a step rejected."""

    saga: str
    compensated: bool


COURSES: Final = tuple(Course(saga, compensated) for saga in REJECTED for compensated in (False, True))


def run_call(course: Course, strike: Strike, nth: int) -> tuple[Result, str]:
    """One run in which `strike` hits the n-th call that it can hit; and where that was (empty: there are fewer)."""
    strikers: list[NthCall] = []

    def make(faults: Faults) -> Striker:
        strikers.append(NthCall(strike, nth, faults))
        return strikers[0]

    rejected = REJECTED[course.saga] if course.compensated else None
    result = run(Setting(0, reference(course.saga), calm_mix(), make, rejected))
    return result, strikers[0].struck


def failing_calls(course: Course, strike: Strike, every: int = 1) -> Iterator[tuple[Result, str]]:
    """All runs with this strike: at the first call, the second ... until there are no more. `every`: at each n-th."""
    for nth in count(1, every):
        result, struck = run_call(course, strike, nth)
        if not struck:
            return
        yield result, struck


@dataclass(frozen=True, slots=True)
class CallsTotal:
    """What came of all calls of a course. `failures`: where, and what was broken."""

    calls: int
    sagas: int
    counts: Counter[str]
    failures: tuple[str, ...]


def run_course(course: Course) -> CallsTotal:
    """Every strike at every call of one course."""
    calls = sagas = 0
    counts = Counter[str]()
    failures: list[str] = []
    for strike in Strike:
        for nth, (result, struck) in enumerate(failing_calls(course, strike), start=1):
            calls += 1
            sagas += result.counts["sagas"]
            counts[strike] += 1
            if result.violations:
                failures.append(f"{course} {strike} at call {nth} ({struck}): {result.violations[0]}")
    return CallsTotal(calls, sagas, counts, tuple(failures))


def run_courses(jobs: int) -> Iterator[CallsTotal]:
    """All courses, on so many processes."""
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(run_course, COURSES)
