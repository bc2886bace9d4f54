"""The model of participants and network: what a command may have done at its participant, and may still do.

Messages are a set from which nothing is ever taken: each may arrive any number of times, in any order, or never. What a
participant did is left open until a reply tells it or a compensation meets it; until then it is both done and not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from saga_engine.core.events import Effect


class Done(StrEnum):
    """The forward command of one place, as its participant has it."""

    OPEN = "open"
    """It may have run, or may run yet."""
    YES = "yes"
    NO = "no"
    """It has no effect and will have none: rejected, or its tombstone stands."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One command at its participant. `protected`: its inbox, and the one its compensation goes to, are the same.

    `undone`: its compensation has run. `expired`: the deadline of its last send has passed, and no inbox lets a worker
    run it later.
    """

    protected: bool
    fenced: bool
    done: Done = Done.OPEN
    undone: bool = False
    expired: bool = False

    @property
    def may_run_late(self) -> bool:
        """Whether the command may still run for the first time, although its compensation is through."""
        return self.undone and self.done is Done.OPEN and not self.expired

    @property
    def clean(self) -> bool:
        """Nothing of it stands, and nothing will."""
        return self.done is Done.NO or (self.undone and not self.may_run_late)


def done(slot: Slot) -> Slot:
    """The command has taken effect."""
    return slot if slot.done is Done.YES else replace(slot, done=Done.YES)


def refused(slot: Slot) -> Slot:
    """The command was rejected, for good."""
    return slot if slot.done is Done.NO else replace(slot, done=Done.NO)


def undo(slot: Slot) -> Iterator[tuple[Slot, Effect]]:
    """What a compensation may find and leave behind at the participant."""
    if slot.undone:
        yield slot, Effect.UNDONE
        return
    if slot.done is not Done.NO:
        yield replace(slot, done=Done.YES, undone=True), Effect.UNDONE
    if slot.done is Done.YES:
        return
    if slot.protected:
        yield tombstone(slot), Effect.NONE
    elif slot.done is Done.OPEN:
        # No inbox knows of the command here: the handler runs, and finds nothing to undo yet.
        yield replace(slot, undone=True), Effect.UNDONE


def tombstone(slot: Slot) -> Slot:
    """The compensation came first: its tombstone stands, and the late command will meet it."""
    return replace(slot, done=Done.NO, undone=True)


def run_late(slot: Slot) -> Slot:
    """The command runs after its compensation: its effect stands again."""
    return replace(slot, done=Done.YES, undone=False)
