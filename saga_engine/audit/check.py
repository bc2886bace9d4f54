"""Judges histories: which invariants apply to what was kept, and which of them are broken.

Owns the table of all invariants and the counting. Takes one saga at a time, so that memory does not grow with a store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from saga_engine.audit import announcements, commands, derivation, effects, liveness, replies, store, timers
from saga_engine.audit.case import Case, SagaHistory, Surroundings
from saga_engine.audit.history import Section
from saga_engine.audit.invariant import CommonInvariant, SagaInvariant, Violation

SAGA_INVARIANTS: Final[tuple[SagaInvariant, ...]] = (
    *store.SAGA,
    *derivation.SAGA,
    *commands.SAGA,
    *announcements.SAGA,
    *timers.SAGA,
    *effects.SAGA,
    *replies.SAGA,
    *liveness.SAGA,
)
_CAUSES: Final = ("A8", "A1", "A5", "A3")
"""What a broken one of these says is the cause of most else that is found: all other invariants are judged by the
stored definition, and by events of which none is missing, repeated or out of place. The deepest first."""

COMMON_INVARIANTS: Final[tuple[CommonInvariant, ...]] = (*store.COMMON, *effects.COMMON, *liveness.COMMON)


@dataclass(frozen=True, slots=True)
class History:
    """A whole history: each saga's slice, and what belongs to none."""

    sagas: Sequence[SagaHistory]
    around: Surroundings


@dataclass(slots=True)
class Report:
    """What came of judging. `checked`: for how many sagas each invariant was; what surrounds them counts as one.

    `broken` counts violations; of each invariant the first `Judge.most` are in `violations`.
    """

    sagas: int = 0
    checked: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)


class Judge:
    """Judges sagas one by one against what surrounds them. `most`: how many of an invariant are kept in full."""

    def __init__(self, around: Surroundings, most: int | None = None) -> None:
        self._around = around
        self._most = most
        self._invariants = [one for one in SAGA_INVARIANTS if one.needs <= around.sections]
        self._numbers = {one.number for one in self._invariants}
        self.report = Report()

    def saga(self, saga: SagaHistory) -> Sequence[Violation]:
        """The violations of one saga."""
        case = Case(saga, self._around)
        found: list[Violation] = []
        for one in self._invariants:
            found += _violations(one, case)
        self.report.checked.update(self._numbers)
        self.report.sagas += 1
        self._add(found)
        return found

    def common(self) -> Sequence[Violation]:
        """The violations that concern no single saga."""
        found: list[Violation] = []
        for one in COMMON_INVARIANTS:
            if one.needs <= self._around.sections:
                found += [Violation(one.number, None, each.seen, each.expected) for each in one.check(self._around)]
                self.report.checked[one.number] += 1
        self._add(found)
        return found

    def _add(self, found: Sequence[Violation]) -> None:
        for violation in found:
            if self._most is None or self.report.broken[violation.invariant] < self._most:
                self.report.violations.append(violation)
            self.report.broken[violation.invariant] += 1


def _violations(one: SagaInvariant, case: Case) -> Sequence[Violation]:
    """What one check finds.

    One that trips has found something too: a row that somebody changed may hold anything, a text where a number
    belongs, and no check looks at what type each field has.
    """
    saga_id = case.saga.saga_id
    try:
        return [Violation(one.number, saga_id, each.seen, each.expected) for each in one.check(case)]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        seen = f"{one.check.__name__} cannot be judged ({type(error).__name__}: {error})"
        return [Violation(one.number, saga_id, seen, "events whose fields have their types")]


def numbers() -> Sequence[str]:
    """The numbers of all invariants that are checked, in order."""
    return sorted({one.number for one in SAGA_INVARIANTS} | {one.number for one in COMMON_INVARIANTS})


def causes_first(broken: Iterable[str]) -> Sequence[str]:
    """Numbers of broken invariants: what the others may follow from comes first."""
    return sorted(broken, key=lambda one: (_CAUSES.index(one) if one in _CAUSES else len(_CAUSES), one))


def may_cause_others(number: str) -> bool:
    """Whether other violations may follow from one of this invariant."""
    return number in _CAUSES


def texts(number: str, sections: Collection[Section] = frozenset(Section)) -> Sequence[str]:
    """What is checked of an invariant in a history that keeps these sections; nothing: it cannot be told."""
    kept = frozenset(sections)
    every: list[tuple[str, str, frozenset[Section]]] = [(i.number, i.text, i.needs) for i in SAGA_INVARIANTS]
    every += [(i.number, i.text, i.needs) for i in COMMON_INVARIANTS]
    return [text for own, text, needs in every if own == number and needs <= kept]


def judge(history: History) -> Report:
    """Judge a whole history."""
    judge = Judge(history.around)
    for saga in history.sagas:
        judge.saga(saga)
    judge.common()
    return judge.report


def check(history: History) -> Sequence[Violation]:
    """The violations of a whole history. What its recorders did not keep is not judged."""
    return judge(history).violations
