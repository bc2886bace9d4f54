"""When a saga with much in flight is looked at next: told from what has just changed, never too late."""

from __future__ import annotations

from uuid import UUID

import pytest

from saga_engine.core import timing
from saga_engine.core.compiling import compile_plan
from saga_engine.core.decider import Decided, decide
from saga_engine.core.events import Direction, Event
from saga_engine.core.inputs import Due, Input, Outcome, ReplyReceived, Start
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState
from saga_engine.core.timing import due_after, next_due
from saga_engine.definition.loader import Loaded, load_text

SECOND = 1_000_000
BEGAN = 1_800_000_000 * SECOND

LOOP = """
saga: loop
version: 1
steps:
  - step: each
    call: stock.reserve
    for_each: {in: "${{ input.items }}", as: item, max_parallel: 30}
    retry: {initial_interval: 1s, jitter: none}
    timeout: {reply: 10s, total: 1m}
    compensate: {call: stock.release}
"""


@pytest.fixture(scope="module")
def plan() -> Plan:
    loaded = load_text(LOOP.encode(), "loop.yaml")
    assert isinstance(loaded, Loaded)
    return compile_plan(loaded.definition)


def taken(plan: Plan, state: SagaState, given: Input) -> tuple[SagaState, tuple[Event, ...]]:
    decision = decide(plan, state, given)
    assert isinstance(decision, Decided)
    return decision.state, decision.events


def reply(at: int, item: int, outcome: Outcome) -> ReplyReceived:
    return ReplyReceived(at, "each", item, Direction.FORWARD, 1, 1, outcome, None, "busy", "try again")


def test_it_is_never_too_late_whatever_has_happened(plan: Plan) -> None:
    state, events = taken(plan, SagaState(UUID(int=1)), Start(BEGAN, "h", "k", 1, {"items": list(range(60))}))
    due = due_after(plan, state, events, None, BEGAN)
    now = BEGAN
    for item in range(25):
        now += SECOND // 2
        outcome = Outcome.FAILED if item % 3 == 0 else Outcome.SUCCEEDED
        state, events = taken(plan, state, reply(now, item, outcome))
        due = due_after(plan, state, events, due, now)
        exact = next_due(plan, state, now)
        assert due is not None
        assert exact is not None
        assert due <= exact


def test_once_it_has_passed_everything_is_looked_at(plan: Plan) -> None:
    state, _ = taken(plan, SagaState(UUID(int=1)), Start(BEGAN, "h", "k", 1, {"items": list(range(60))}))
    now = BEGAN + 11 * SECOND
    state, events = taken(plan, state, reply(now, 0, Outcome.SUCCEEDED))
    assert due_after(plan, state, events, BEGAN + 10 * SECOND, now) == next_due(plan, state, now)


def test_what_changes_the_whole_saga_is_looked_at_as_a_whole(plan: Plan) -> None:
    state, _ = taken(plan, SagaState(UUID(int=1)), Start(BEGAN, "h", "k", 1, {"items": list(range(60))}))
    now = BEGAN + 60 * SECOND
    state, events = taken(plan, state, Due(now))
    assert due_after(plan, state, events, now + SECOND, now) == next_due(plan, state, now)


def test_an_item_costs_the_same_however_many_are_in_flight(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    state, events = taken(plan, SagaState(UUID(int=1)), Start(BEGAN, "h", "k", 1, {"items": list(range(60))}))
    due = due_after(plan, state, events, None, BEGAN)
    looked: list[str] = []
    known = timing.open_command

    def counted(plan: Plan, state: SagaState, place: str) -> timing.OpenCommand | None:
        looked.append(place)
        return known(plan, state, place)

    monkeypatch.setattr(timing, "open_command", counted)
    state, events = taken(plan, state, reply(BEGAN + 1, 0, Outcome.SUCCEEDED))
    due_after(plan, state, events, due, BEGAN + 1)
    assert looked == ["each/30"]
