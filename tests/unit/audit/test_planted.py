"""Planted bad histories: what the engine never does, and each invariant that such a thing breaks."""

from __future__ import annotations

from typing import Final

import pytest

from saga_engine.audit.case import Case
from saga_engine.audit.check import COMMON_INVARIANTS, SAGA_INVARIANTS, check, numbers
from saga_engine.core.events import Event
from tests.unit.audit import planted_commands, planted_effects, planted_liveness, planted_replies, planted_store
from tests.unit.audit.planting import (
    COMPENSATED,
    COMPLETED,
    Plant,
    Planted,
    at_rest,
    conversation,
    looked_at,
    told,
    whole,
)

PLANTED: Final[list[Planted]] = [
    *planted_store.PLANTED,
    *planted_commands.PLANTED,
    *planted_effects.PLANTED,
    *planted_replies.PLANTED,
    *planted_liveness.PLANTED,
]


@pytest.mark.parametrize(
    ("number", "what", "plant"), PLANTED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_checker_objects_to(number: str, what: str, plant: Plant) -> None:
    violations = [violation for violation in check(plant()) if violation.invariant == number]
    assert violations, f"{number} does not object to {what}"
    assert all(violation.seen and violation.expected for violation in violations)


@pytest.mark.parametrize("found", [COMPLETED, COMPENSATED], ids=["completed", "compensated"])
def test_nobody_objects_to_what_the_planted_histories_are_made_of(found: tuple[Event, ...]) -> None:
    assert [str(violation) for violation in check(told(whole(found)))] == []
    assert [str(violation) for violation in check(at_rest(found, *conversation(found)))] == []
    assert [str(violation) for violation in check(looked_at(found))] == []


def test_every_invariant_that_is_checked_has_a_planted_history() -> None:
    assert sorted({number for number, _, _ in PLANTED}) == list(numbers())


def test_every_single_check_objects_to_something() -> None:
    histories = [plant() for _, _, plant in PLANTED]
    silent = [
        f"{one.number} {one.check.__name__}"
        for one in SAGA_INVARIANTS
        if not any(
            one.needs <= found.around.sections and list(one.check(Case(each, found.around)))
            for found in histories
            for each in found.sagas
        )
    ]
    silent += [
        f"{one.number} {one.check.__name__}"
        for one in COMMON_INVARIANTS
        if not any(one.needs <= found.around.sections and list(one.check(found.around)) for found in histories)
    ]
    assert silent == []
