"""What commands print about sagas: the timeline, the heading, the JSON of one saga and of one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import cast, get_args
from uuid import UUID

import pytest

from saga_engine.cli.output import Styled
from saga_engine.cli.views.saga import saga_heading
from saga_engine.cli.views.timeline import entry, timeline
from saga_engine.cli.views.whole import stopped_lines
from saga_engine.core import events as e
from saga_engine.core.compiling import compile_plan
from saga_engine.core.events import Direction, Effect, Event, Verb
from saga_engine.core.evolve import fold
from saga_engine.core.state import SagaState
from saga_engine.definition.loader import Loaded, load_text
from saga_engine.definition.model import Json
from saga_engine.documents.saga import head_json, saga_json, step_status
from saga_engine.envelope import StreamHead

SAGA = UUID("01938f5e-7c00-7000-8000-000000000001")
STEPS = ("create_order", "debit_payment", "approve_order")
START = 1_700_000_000_000_000

STARTED = e.SagaStarted(START, "place_order", 1, "h", "o-1", 1, {"amount": 5})
CREATED: list[Event] = [
    STARTED,
    e.CommandIssued(START + 1_000, "create_order", Direction.FORWARD, 1, payload={}),
    e.StepSucceeded(START + 2_000, "create_order", result={"status": "pending"}),
    e.CommandIssued(START + 3_000, "debit_payment", Direction.FORWARD, 1, payload={}),
]
COMPENSATED: list[Event] = [
    *CREATED,
    e.StepFailed(START + 4_000, "debit_payment", 1, "timeout", "no answer", START + 1_004_000),
    e.CommandIssued(START + 1_004_000, "debit_payment", Direction.FORWARD, 2),
    e.StepRejected(START + 1_005_000, "debit_payment", "card_declined", "over the limit"),
    e.CompensationBegan(START + 1_005_000, "debit_payment", "card_declined", "over the limit"),
    e.CommandIssued(START + 1_005_000, "create_order", Direction.COMPENSATE, 1, payload={}),
    e.StepCompensated(START + 1_006_000, "create_order", Effect.UNDONE),
    e.SagaCompensated(START + 1_006_000),
]


PLACE_ORDER = b"""
saga: place_order
steps:
  - {step: create_order, call: order.create, compensate: {call: order.reject}}
  - {step: debit_payment, call: payment.debit, compensate: {call: payment.refund}}
  - {step: approve_order, kind: retriable, call: order.approve}
"""


def state(events: list[Event]) -> SagaState:
    return fold(SagaState(SAGA), events)


def text(parts: list[str | Styled]) -> str:
    return "".join(part if isinstance(part, str) else part.text for part in parts)


def test_a_timeline_tells_when_to_what_and_what_happened() -> None:
    assert [text(line) for line in timeline(COMPENSATED)] == [
        "     +0.000 s  ● saga           started",
        "     +0.001 s  → create_order   command sent",
        '     +0.002 s  ✓ create_order   succeeded  {"status": "pending"}',
        "     +0.003 s  → debit_payment  command sent",
        "     +0.004 s  ! debit_payment  failed: timeout: no answer; next attempt in 1 s",
        "     +1.004 s  → debit_payment  command sent, attempt 2",
        "     +1.005 s  ✗ debit_payment  rejected: card_declined: over the limit",
        "     +1.005 s  ↶ saga           compensates: debit_payment failed, card_declined: over the limit",
        "     +1.005 s  ← create_order   compensation sent",
        "     +1.006 s  ↺ create_order   undone",
        "     +1.006 s  ● saga           compensated: everything that was done is undone",
    ]


def test_a_compensated_saga_does_not_claim_what_nobody_knows() -> None:
    ended: list[Event] = [STARTED, e.SagaCompensated(START)]
    assert text(timeline(ended, unknown=["charge", "mail/0"])[-1]).endswith(
        "compensated: what is known to be done is undone; whether charge, mail/0 was done is unknown"
    )


def test_one_item_is_one_and_a_wait_that_failed_ran_out_of_time() -> None:
    events: list[Event] = [
        STARTED,
        e.ItemsFixed(START, "ship", (1,)),
        e.ItemsFixed(START, "post", (1, 2)),
        e.TimerSet(START, "confirmed", START),
        e.StepRejected(START, "confirmed", "gave_up", "no Confirmed came in time"),
        e.StepRejected(START, "debit", "gave_up", "the clerk went home", fenced=True),
    ]
    assert [text(line).split("  ", 4)[-1].strip() for line in timeline(events)[1:] if "waits" not in text(line)] == [
        "for each of 1 item",
        "for each of 2 items",
        "out of time: no Confirmed came in time",
        "rejected: gave_up: the clerk went home",
    ]


def test_the_end_of_a_timeline_is_told_as_it_stands_in_the_whole() -> None:
    whole = timeline(COMPENSATED)
    assert timeline(COMPENSATED, after=9, width=len("debit_payment")) == whole[9:]
    assert timeline(COMPENSATED, after=len(COMPENSATED)) == []


SAMPLES: dict[str, object] = {
    "at": START,
    "step": "a",
    "direction": Direction.FORWARD,
    "attempt": 1,
    "item": None,
    "effect": Effect.NONE,
    "verb": Verb.SKIP,
    "items": (1, 2),
    "due": None,
    "retry_at": None,
    "who": "ann",
    "why": "because",
    "code": "c",
    "message": "m",
    "name": "Paid",
}


@pytest.mark.parametrize("event_type", get_args(Event), ids=lambda event_type: event_type.__name__)
def test_every_event_has_a_line_of_its_own(event_type: type[Event]) -> None:
    build = cast(Callable[..., Event], event_type)
    told = entry(build(**{field.name: SAMPLES.get(field.name, 1) for field in fields(event_type)}))
    assert told.at == START
    assert told.sign
    assert told.text
    others = {entry(one).text for one in COMPENSATED if type(one) is not event_type}
    assert told.text not in others


@pytest.mark.parametrize(
    ("microseconds", "shown"),
    [(0, "+0.000 s"), (59_949_000, "+59.949 s"), (100_000_000, "+1 min 40 s"), (90_061_000_000, "+1 d 1 h")],
)
def test_long_times_are_told_in_their_two_largest_units(microseconds: int, shown: str) -> None:
    lines = timeline([STARTED, e.SagaCompensated(START + microseconds)])
    assert text(lines[1]).split("  ●")[0].strip() == shown


def test_an_item_is_named_by_its_step_and_index() -> None:
    assert entry(e.StepSucceeded(START, "ship", item=3)).subject == "ship/3"


def test_the_json_of_a_saga_has_exactly_the_promised_keys_and_steps_in_order() -> None:
    assert saga_json(state(COMPENSATED), STEPS) == {
        "id": str(SAGA),
        "saga": "place_order",
        "version": 1,
        "key": "o-1",
        "status": "compensated",
        "input": {"amount": 5},
        "steps": [
            {"step": "create_order", "status": "compensated", "attempts": 1, "result": {"status": "pending"}},
            {"step": "debit_payment", "status": "rejected", "attempts": 2, "result": None},
            {"step": "approve_order", "status": "not_run", "attempts": 0, "result": None},
        ],
        "failure": {"step": "debit_payment", "code": "card_declined", "message": "over the limit"},
        "started_at": "2023-11-14T22:13:20.000000Z",
        "ended_at": "2023-11-14T22:13:21.006000Z",
    }


def test_a_running_saga_has_pending_steps_and_no_end() -> None:
    shown = saga_json(state(CREATED), STEPS)
    assert (shown["status"], shown["failure"], shown["ended_at"]) == ("running", None, None)
    assert [step_status(state(CREATED), step) for step in STEPS] == ["succeeded", "running", "pending"]


def test_the_results_of_a_step_over_items_are_listed_in_their_order() -> None:
    events: list[Event] = [
        STARTED,
        e.ItemsFixed(START, "ship", ("x", "y")),
        e.CommandIssued(START, "ship", Direction.FORWARD, 1, item=0),
        e.CommandIssued(START, "ship", Direction.FORWARD, 1, item=1),
        e.StepFailed(START, "ship", 1, "c", "m", START + 1, item=1),
        e.CommandIssued(START, "ship", Direction.FORWARD, 2, item=1),
        e.StepSucceeded(START, "ship", item=1, result="shipped y"),
    ]
    steps: Json = saga_json(state(events), ("ship",))["steps"]
    assert steps == [{"step": "ship", "status": "running", "attempts": 2, "result": [None, "shipped y"]}]


@pytest.mark.parametrize(
    ("undoing", "expected"),
    [
        ([], "compensating"),
        ([e.StepCompensated(START, "create_order", Effect.NONE)], "without_effect"),
        ([e.StepBlocked(START, "create_order", "c", "m")], "blocked"),
        (
            [
                e.StepBlocked(START, "create_order", "c", "m"),
                e.OperatorActed(START, Verb.SKIP, "create_order", "ann", "sold the shop"),
            ],
            "compensation_skipped",
        ),
        (
            [
                e.StepBlocked(START, "create_order", "c", "m"),
                e.OperatorActed(START, Verb.RESOLVE, "create_order", "ann", "by hand"),
            ],
            "resolved",
        ),
    ],
)
def test_a_step_that_is_undone_shows_how_far_that_is(undoing: list[Event], expected: str) -> None:
    assert step_status(state([*COMPENSATED[:-2], *undoing]), "create_order") == expected


def test_the_heading_names_saga_key_status_and_failure() -> None:
    lines = [text(line) for line in saga_heading(state(COMPENSATED), START)]
    assert lines[:2] == [
        "place_order  o-1  compensated  in 1 s",
        "  failure  debit_payment: card_declined: over the limit",
    ]
    assert "  ended    2023-11-14T22:13:21.006000Z" in lines


def test_the_heading_tells_what_was_given_from_what_is_as_by_default() -> None:
    schema: dict[str, Json] = {
        "type": "object",
        "properties": {
            "amount": {"type": "integer", "default": 3},
            "currency": {"default": "EUR"},
            "items": {"default": []},
            "note": {"default": ""},
        },
    }
    given: dict[str, Json] = {"id": "o-1", "amount": 5, "currency": "EUR", "items": [], "note": ""}
    started = state([replace(STARTED, input=given)])
    told = [text(line) for line in saga_heading(started, START, schema)]
    assert '  input    {"id": "o-1", "amount": 5}  by default: currency "EUR", items, note' in told
    assert '  input    {"id": "o-1", "amount": 5, "currency": "EUR", "items": [], "note": ""}' in [
        text(line) for line in saga_heading(started, START)
    ]


def test_the_heading_of_a_saga_that_goes_on_says_for_how_long() -> None:
    first, *_ = saga_heading(state(CREATED), START + 2_500_000)
    assert text(first) == "place_order  o-1  running  for 2.5 s"


def test_the_heading_of_a_blocked_saga_names_what_is_blocked() -> None:
    blocked = state([*COMPENSATED[:-2], e.StepBlocked(START, "create_order", "c", "m")])
    assert "  blocked  create_order" in [text(line) for line in saga_heading(blocked, START)]


def test_a_saga_that_was_waited_for_tells_why_it_stopped_and_what_to_type_next() -> None:
    loaded = load_text(PLACE_ORDER, "place_order.yaml")
    assert isinstance(loaded, Loaded), loaded
    plan, failure = compile_plan(loaded.definition), "  failure  debit_payment: card_declined: over the limit"
    next_ = f"  next     saga show {SAGA}"
    assert [text(line) for line in stopped_lines(plan, state(COMPENSATED), START)] == [failure, next_]
    blocked = state([*COMPENSATED[:-2], e.StepBlocked(START, "create_order", "poison", "ten tries")])
    waits = "  waits    create_order: blocked in compensation, poison: ten tries → saga retry o-1, or skip or resolve "
    assert [text(line) for line in stopped_lines(plan, blocked, START)] == [failure, f"{waits}it with --why", next_]


def test_a_row_of_a_list_has_the_definition_version_and_times_in_utc() -> None:
    head = StreamHead(SAGA, "place_order", "o-1", 1, 7, "h", 3, 12, 12, "running", None, START, None)
    assert head_json(head) == {
        "id": str(SAGA),
        "saga": "place_order",
        "version": 7,
        "key": "o-1",
        "status": "running",
        "started_at": "2023-11-14T22:13:20.000000Z",
        "ended_at": None,
    }
