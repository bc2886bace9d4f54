"""What `show` says a saga waits for: each kind of waiting, from the real decider's states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast
from uuid import UUID

import pytest

from saga_engine.cli.output import Styled
from saga_engine.cli.views.waits import waits_lines
from saga_engine.core.compiling import compile_plan
from saga_engine.core.decider import Decided, decide
from saga_engine.core.events import Direction
from saga_engine.core.inputs import Cancel, Due, Input, Outcome, ReplyReceived, Start, Suspend
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState
from saga_engine.core.waits import waits_for
from saga_engine.definition.loader import Loaded, load_text
from saga_engine.definition.model import Json
from saga_engine.documents.waits import waits_json

SAGA = UUID("01938f5e-7c00-7000-8000-000000000001")
START = 1_700_000_000_000_000
SECOND = 1_000_000
DEFINITION = """
saga: parcel
steps:
  - step: pack
    call: store.pack
    timeout: {reply: 10s, total: 1m}
    retry: {maximum_attempts: 2, initial_interval: 4s, jitter: none}
    compensate: {call: store.unpack, retry: {maximum_attempts: 2, initial_interval: 7s, jitter: none}}
  - {step: rest, sleep: 30s}
  - step: send
    for_each: {in: "${{ input.to }}", as: to}
    call: post.send
    compensate: {call: post.fetch, with: {at: "${{ steps.pack.result == null ? 'x' : steps.pack.result.shelf }}"}}
"""


@pytest.fixture(scope="module")
def plan() -> Plan:
    loaded = load_text(DEFINITION.encode(), "parcel.yaml")
    assert isinstance(loaded, Loaded), loaded
    return compile_plan(loaded.definition)


def state_after(plan: Plan, *inputs: Input) -> SagaState:
    state = SagaState(SAGA)
    for given in (Start(START, "h", "p-1", 1, {"to": ["a", "b"]}), *inputs):
        decided = decide(plan, state, given)
        assert isinstance(decided, Decided), decided
        state = decided.state
    return state


def reply(
    at: int,
    step: str,
    outcome: Outcome,
    *,
    attempt: int = 1,
    item: int | None = None,
    direction: Direction = Direction.FORWARD,
    result: Json = None,
    fenced: bool = True,
) -> ReplyReceived:
    said = ("busy", "come later") if outcome is Outcome.FAILED else ("", "")
    return ReplyReceived(
        START + at * SECOND, step, item, direction, attempt, 1, outcome, result, said[0], said[1], fenced=fenced
    )


def rows(plan: Plan, state: SagaState, now: int) -> list[Mapping[str, Json]]:
    found = waits_json(waits_for(plan, state, START + now * SECOND))
    return [cast(Mapping[str, Json], row) for row in found]


def told(plan: Plan, state: SagaState, now: int) -> list[str]:
    lines: Sequence[Sequence[str | Styled]] = waits_lines(
        waits_for(plan, state, START + now * SECOND), plan, state, START + now * SECOND
    )
    return ["".join(part if isinstance(part, str) else part.text for part in line).strip() for line in lines]


def test_a_command_that_is_out_is_told_with_its_next_send_and_its_limit(plan: Plan) -> None:
    (row,) = rows(plan, state_after(plan), now=11)
    assert told(plan, state_after(plan), now=11)[0] == (
        "waits    pack: for the reply of store.pack, attempt 1 for 11 s, asked again in 19 s, at "
        "2023-11-14T22:13:50.000000Z, given up in 49 s, at 2023-11-14T22:14:20.000000Z "
        "→ saga doctor says whether a worker serves it"
    )
    assert "saga doctor" not in told(plan, state_after(plan), now=4)[0], "a handler may take its time"
    assert row == {
        "for": "reply",
        "step": "pack",
        "item": None,
        "direction": "forward",
        "participant": "store",
        "command": "pack",
        "attempt": 1,
        "since": "2023-11-14T22:13:20.000000Z",
        "next_send": "2023-11-14T22:13:50.000000Z",
        "until": "2023-11-14T22:14:20.000000Z",
    }


def test_an_attempt_that_failed_is_told_with_its_error_and_the_time_of_the_next(plan: Plan) -> None:
    state = state_after(plan, reply(1, "pack", Outcome.FAILED))
    (row,) = rows(plan, state, now=2)
    assert (row["for"], row["attempt"], row["code"], row["until"]) == (
        "attempt",
        2,
        "busy",
        "2023-11-14T22:13:25.000000Z",
    )
    assert told(plan, state, now=2) == [
        "waits    pack: for attempt 2 forward in 3 s, at 2023-11-14T22:13:25.000000Z, after busy: come later",
        "possible cancel, suspend",
    ]


def test_a_sleep_is_told_with_its_end(plan: Plan) -> None:
    state = state_after(plan, reply(1, "pack", Outcome.SUCCEEDED))
    assert rows(plan, state, now=2) == [
        {"for": "time", "step": "rest", "item": None, "until": "2023-11-14T22:13:51.000000Z"}
    ]
    assert told(plan, state, now=2)[0] == "waits    rest: to go on in 29 s, at 2023-11-14T22:13:51.000000Z"


def test_a_suspended_saga_sends_nothing_again(plan: Plan) -> None:
    resume, asked = rows(plan, state_after(plan, Suspend(START + SECOND, "ann", "x")), now=2)
    assert resume == {"for": "resume"}
    assert asked["next_send"] is None


def test_a_forward_step_in_flight_is_awaited_to_its_deadline_when_the_saga_is_cancelled(plan: Plan) -> None:
    state = state_after(plan, Cancel(START + 5 * SECOND, "ann", "x"))
    (row,) = rows(plan, state, now=6)
    assert (row["direction"], row["next_send"], row["until"]) == ("forward", None, "2023-11-14T22:13:35.000000Z")


def test_a_compensation_is_told_as_one_and_so_is_its_next_attempt(plan: Plan) -> None:
    cancelled = state_after(plan, reply(1, "pack", Outcome.SUCCEEDED), Cancel(START + 2 * SECOND, "ann", "x"))
    (row,) = rows(plan, cancelled, now=3)
    assert (row["direction"], row["command"], row["until"]) == ("compensate", "unpack", None)
    assert told(plan, cancelled, now=3)[0].startswith("waits    pack: for the compensation of store.unpack, attempt 1")
    failed = decide(plan, cancelled, reply(4, "pack", Outcome.FAILED, direction=Direction.COMPENSATE))
    assert isinstance(failed, Decided)
    assert told(plan, failed.state, now=5)[0].startswith("waits    pack: for attempt 2 in compensation in 6 s, ")


def test_a_step_without_an_inbox_is_waited_for_until_it_cannot_run_any_more(plan: Plan) -> None:
    state = state_after(
        plan,
        reply(1, "pack", Outcome.FAILED, fenced=False),
        Due(START + 5 * SECOND),
        reply(6, "pack", Outcome.FAILED, attempt=2, fenced=False),
    )
    assert rows(plan, state, now=7) == [
        {"for": "time", "step": "pack", "item": None, "until": "2023-11-14T22:13:36.000000Z"}
    ]


def test_items_are_told_one_by_one(plan: Plan) -> None:
    state = state_after(plan, reply(1, "pack", Outcome.SUCCEEDED), Due(START + 31 * SECOND))
    assert [(row["step"], row["item"]) for row in rows(plan, state, now=32)] == [("send", 0), ("send", 1)]
    assert told(plan, state, now=32)[1].startswith("waits    send/1: for the reply of post.send")


def test_an_item_that_is_blocked_stands_before_what_is_still_in_flight(plan: Plan) -> None:
    state = state_after(
        plan,
        reply(1, "pack", Outcome.SUCCEEDED, result={"no": "shelf"}),
        Due(START + 31 * SECOND),
        reply(32, "send", Outcome.SUCCEEDED, item=0),
        Cancel(START + 33 * SECOND, "ann", "x"),
    )
    blocked, asked = rows(plan, state, now=34)
    assert (blocked["for"], blocked["step"], blocked["item"], blocked["direction"], blocked["code"]) == (
        "operator",
        "send",
        0,
        "compensate",
        "expression",
    )
    assert (asked["for"], asked["item"]) == ("reply", 1)
    assert told(plan, state, now=34)[0].startswith("waits    send/0: blocked in compensation, expression: ")
    assert told(plan, state, now=34)[0].endswith(" → saga retry p-1, or skip or resolve it with --why")
