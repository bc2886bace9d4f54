"""What an invariant is: a number, its text, what a history must keep for it to be judged, and the check itself.

Owns the shapes of invariants, findings and violations. Knows no single invariant.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar
from uuid import UUID

from saga_engine.audit.case import Case, Surroundings
from saga_engine.audit.history import Section

C = TypeVar("C", Case, Surroundings)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw, and what it expected instead."""

    seen: str
    expected: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken invariant. `saga_id` None: it concerns no single saga."""

    invariant: str
    saga_id: UUID | None
    seen: str
    expected: str

    def __str__(self) -> str:
        whose = "" if self.saga_id is None else f" saga {self.saga_id}:"
        return f"{self.invariant}{whose} {self.seen}; expected: {self.expected}"


Findings: TypeAlias = Iterator[Finding]


@dataclass(frozen=True, slots=True)
class Invariant(Generic[C]):
    """One check of an invariant; a number may have several. `needs`: what must have been kept, or it says nothing."""

    number: str
    text: str
    needs: frozenset[Section]
    check: Callable[[C], Findings]

    @property
    def group(self) -> str:
        return self.number[0]


SagaInvariant: TypeAlias = Invariant[Case]
CommonInvariant: TypeAlias = Invariant[Surroundings]


def invariant(number: str, *needs: Section) -> Callable[[Callable[[C], Findings]], Invariant[C]]:
    """Makes an invariant of its check, whose docstring is `<number>: <text>`."""

    def make(check: Callable[[C], Findings]) -> Invariant[C]:
        text = " ".join((inspect.getdoc(check) or number).split())
        return Invariant(number, text.removeprefix(f"{number}: "), frozenset(needs), check)

    return make
