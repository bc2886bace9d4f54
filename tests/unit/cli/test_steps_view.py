"""The steps of a saga as `show` and `watch` print them: signs, durations, attempts, what went wrong, bars."""

from __future__ import annotations

import pytest

from saga_engine.cli.output import Styled
from saga_engine.cli.views.steps import BAR, steps_lines
from saga_engine.core import events as e
from saga_engine.core.compiling import compile_plan
from saga_engine.core.events import Direction, Effect, Event, Verb
from saga_engine.core.evolve import fold
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState
from saga_engine.definition.loader import Loaded, load_text
from tests.unit.cli.test_views import COMPENSATED, CREATED, SAGA, START, STARTED

DEFINITION = """
saga: place_order
version: 1
steps:
  - {step: create_order, call: order.create, compensate: {call: order.reject}}
  - {step: debit_payment, call: payment.debit, compensate: {call: payment.refund}}
  - {step: approve_order, kind: retriable, call: order.approve}
"""
ITEMS = """
saga: place_order
version: 1
steps:
  - {step: ship, for_each: {in: "${{ [1, 2, 3] }}", as: n}, call: post.send, compensate: {call: post.fetch}}
  - {step: tell, if: "${{ input.loud }}", call: mail.send, compensate: none}
"""


def plan(text: str = DEFINITION) -> Plan:
    loaded = load_text(text.encode(), "x.yaml")
    assert isinstance(loaded, Loaded), loaded
    return compile_plan(loaded.definition)


def told(events: list[Event], now: int = START, *, bars: bool = False, of: str = DEFINITION) -> list[str]:
    lines = steps_lines(plan(of), fold(SagaState(SAGA), events), events, now, bars=bars)
    return ["".join(part.text if isinstance(part, Styled) else part for part in line).rstrip() for line in lines]


def test_a_compensated_saga_shows_what_each_step_took_and_why_it_failed() -> None:
    assert told(COMPENSATED) == [
        "  ↺ create_order   compensated  0.001 s; compensation 0.001 s",
        "  ✗ debit_payment  rejected     1 s; 2 attempts; card_declined: over the limit",
        "  · approve_order  not run",
    ]


def test_a_running_saga_shows_for_how_long_its_step_is_under_way() -> None:
    assert told(CREATED, START + 2_003_000) == [
        "  ✓ create_order   succeeded  0.001 s",
        "  → debit_payment  running    for 2 s",
        "  · approve_order  pending",
    ]


def test_a_step_that_is_tried_again_shows_its_error() -> None:
    failed = e.StepFailed(START + 4_000, "debit_payment", 1, "timeout", "no answer", START + 1_004_000)
    assert told([*CREATED, failed], START + 5_000)[1] == "  → debit_payment  retrying   for 0.002 s; timeout: no answer"


@pytest.mark.parametrize(
    ("after", "line"),
    [
        ([], "← create_order   compensating  0.001 s; compensation for 3 s"),
        (
            [e.StepBlocked(START + 1_105_000, "create_order", "away", "nobody there")],
            "■ create_order   blocked     0.001 s; compensation for 3 s; away: nobody there",
        ),
        (
            [
                e.StepBlocked(START + 1_105_000, "create_order", "away", ""),
                e.OperatorActed(START + 2_105_000, Verb.SKIP, "create_order", "ann", "sold"),
            ],
            "✗ create_order   compensation skipped  0.001 s; compensation 1.1 s; away",
        ),
        (
            [e.StepCompensated(START + 1_205_000, "create_order", Effect.NONE)],
            "- create_order   without effect  0.001 s; compensation 0.200 s",
        ),
    ],
)
def test_a_compensation_shows_how_far_it_is(after: list[Event], line: str) -> None:
    assert told([*COMPENSATED[:-2], *after], START + 4_005_000)[0].split() == line.split()


def test_a_step_over_items_counts_them_and_a_skipped_one_took_no_time() -> None:
    events: list[Event] = [
        STARTED,
        e.ItemsFixed(START, "ship", (1, 2, 3)),
        e.CommandIssued(START, "ship", Direction.FORWARD, 1, item=0, payload={}),
        e.CommandIssued(START, "ship", Direction.FORWARD, 1, item=1, payload={}),
        e.StepSucceeded(START + 5_000, "ship", item=1),
        e.StepSkipped(START + 5_000, "tell"),
    ]
    assert told(events, START + 1_000_000, of=ITEMS) == [
        "  → ship  running  for 1 s; 1 of 3 items succeeded",
        "  - tell  skipped",
    ]


RESERVING: list[Event] = [
    STARTED,
    e.ItemsFixed(START, "ship", (1, 2, 3)),
    e.CommandIssued(START, "ship", Direction.FORWARD, 1, item=0, payload={}),
    e.CommandIssued(START, "ship", Direction.FORWARD, 1, item=1, payload={}),
    e.StepRejected(START + 1_000, "ship", "taken", "taken", item=0),
    e.CompensationBegan(START + 1_000, "ship", "taken", "item 0: taken"),
]
ITEM_1_UNDONE: list[Event] = [
    e.StepSucceeded(START + 2_000, "ship", item=1),
    e.CommandIssued(START + 2_000, "ship", Direction.COMPENSATE, 1, item=1, payload={}),
    e.StepCompensated(START + 3_000, "ship", Effect.UNDONE, item=1),
    e.SagaCompensated(START + 3_000),
]


@pytest.mark.parametrize(
    ("after", "line"),
    [
        ([], "→ ship  running       for 0.005 s; 0 of 3 items succeeded"),
        (ITEM_1_UNDONE[:2], "← ship  compensating  for 0.005 s; 1 of 3 items succeeded; compensation for 0.003 s"),
        (ITEM_1_UNDONE, "↺ ship  compensated  0.003 s; 1 of 3 items succeeded; compensation 0.001 s"),
        (
            [e.StepRejected(START + 2_000, "ship", "taken", "", item=1), e.SagaCompensated(START + 2_000)],
            "✗ ship  rejected  0.002 s; 0 of 3 items succeeded",
        ),
        (
            [
                e.StepGivenUp(START + 2_000, "ship", "gave_up", "", item=1),
                e.CommandIssued(START + 2_000, "ship", Direction.COMPENSATE, 1, item=1, payload={}),
                e.StepBlocked(START + 3_000, "ship", "away", "", item=1),
            ],
            "■ ship  blocked  for 0.005 s; 0 of 3 items succeeded; compensation for 0.003 s",
        ),
    ],
)
def test_a_step_over_items_that_failed_is_as_what_became_of_its_items(after: list[Event], line: str) -> None:
    assert told([*RESERVING, *after], START + 5_000, of=ITEMS)[0].split() == line.split()


def test_a_step_over_items_that_had_succeeded_is_compensated_with_them() -> None:
    plain: list[Event] = [
        STARTED,
        e.ItemsFixed(START, "ship", (1,)),
        e.CommandIssued(START, "ship", Direction.FORWARD, 1, item=0, payload={}),
        e.StepSucceeded(START + 1_000, "ship", item=0),
        e.StepSucceeded(START + 1_000, "ship"),
        e.CompensationBegan(START + 2_000, None, "cancelled", ""),
    ]
    sent = e.CommandIssued(START + 2_000, "ship", Direction.COMPENSATE, 1, item=0, payload={})
    undone: list[Event] = [
        sent,
        e.StepCompensated(START + 3_000, "ship", Effect.UNDONE, item=0),
        e.SagaCompensated(START + 3_000),
    ]
    assert told(plain, START + 2_000, of=ITEMS)[0].split()[:3] == ["✓", "ship", "succeeded"]
    assert told([*plain, *undone], START + 3_000, of=ITEMS)[0].split()[:3] == ["↺", "ship", "compensated"]


def test_a_step_over_items_that_the_saga_left_behind_is_unfinished() -> None:
    events: list[Event] = [
        STARTED,
        e.ItemsFixed(START, "ship", (1, 2, 3)),
        e.CommandIssued(START, "ship", Direction.FORWARD, 1, item=0, payload={}),
        e.StepSucceeded(START + 1_000, "ship", item=0),
        e.CompensationBegan(START + 2_000, None, "cancelled", ""),
        e.SagaCompensated(START + 2_000),
    ]
    kept = ITEMS.replace("compensate: {call: post.fetch}", "compensate: none")
    assert told(events, of=kept)[0].split()[:3] == ["·", "ship", "unfinished"]


@pytest.mark.parametrize(
    ("step", "timer"),
    [
        ("wait: {event: Asked}", e.TimerSet(START, "it", None, "Asked")),
        ("sleep: 1h", e.TimerSet(START, "it", START + 3_600_000_000, None)),
    ],
)
def test_a_wait_or_sleep_is_given_up_when_compensation_begins(step: str, timer: Event) -> None:
    one = f"{{saga: place_order, version: 1, steps: [{{step: it, {step}}}]}}"
    began: list[Event] = [STARTED, timer, e.CompensationBegan(START + 2_000_000, None, "cancelled", "")]
    assert told(began, START + 9_000_000, of=one) == ["  · it  given up  2 s"]
    assert told([*began, e.SagaCompensated(START + 5_000_000)], of=one) == ["  · it  given up  2 s"]


def test_a_step_that_was_blocked_on_the_way_forward_is_given_up_when_compensation_begins() -> None:
    events: list[Event] = [STARTED, e.StepBlocked(START, "create_order", "expression", "no such key")]
    assert told(events)[0].split()[:3] == ["■", "create_order", "blocked"]
    events.append(e.CompensationBegan(START + 1_000_000, None, "rejected", ""))
    assert told(events)[0] == "  · create_order   given up  1 s; expression: no such key"


def test_bars_show_when_each_step_was_under_way() -> None:
    first, second, third = told(COMPENSATED, bars=True)
    assert first.count("▕") == second.count("▏") == 1
    bars = [line[line.index("▕") + 1 : line.index("▏")] for line in (first, second)]
    assert bars == ["━" + " " * (BAR - 2) + "╍", "━" * (BAR - 1) + " "]
    assert "▕" not in third


def test_the_bars_of_a_saga_that_has_only_begun_fit_as_well() -> None:
    began: list[Event] = [STARTED, e.CommandIssued(START, "create_order", Direction.FORWARD, 1, payload={})]
    line = told(began, START, bars=True)[0]
    assert line[line.index("▕") + 1 : line.index("▏")] == "━" + " " * (BAR - 1)
