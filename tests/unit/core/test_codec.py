"""Stored events and states: exact both ways, readable by later releases, and a clear error for what is not known."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from saga_engine.codec import UnknownEventError, decode_event, decode_state, encode_event, encode_state, event_data
from saga_engine.core import events as e
from saga_engine.core.evolve import evolve
from saga_engine.core.state import SagaState
from saga_engine.envelope import EventRecord
from saga_engine.testing.given import Scenario, given
from saga_engine.testing.moves import cancel, compensation, reply, resolve, resume, signal, suspend
from tests.unit.core.sagas import saga

EMPTY = SagaState(UUID(int=1))


def eventful() -> Scenario:
    """A saga in whose stream every type of event stands but two of the three ends."""
    text = saga(
        """
        step: gift, if: "${{ input.no }}", call: p.gift, compensate: none
        step: nap, sleep: 1s
        step: news, wait: {event: News}
        step: each, call: p.do, for_each: {in: [1, 2], tolerate: 1}, compensate: {call: p.x, retry: ONCE}
        step: slow, call: p.slow, timeout: {reply: 1s, total: 1s}, compensate: {call: p.undo_slow}
        """.replace("ONCE", "{maximum_attempts: 1}")
    )
    scenario = given(text).started({"no": False}).after("1s").when(signal("News", {"ü": [1.5, None, True]}))
    scenario = scenario.when(reply("each", 0).rejected("no"), reply("each", 1).succeeded({"a": 1}))
    scenario = scenario.when(suspend(), resume()).after("1s").after("1s")
    scenario = scenario.when(
        compensation("slow").succeeded(effect=e.Effect.NONE), compensation("each", 1).failed("broken")
    )
    return scenario.when(resolve()).when(cancel())


SAMPLES: list[e.Event] = [
    *eventful().stream,
    e.StepFailed(5, "a", 2, "c", "m", None, item=0, fenced=False),
    e.StepFailed(5, "a", 2, "c", "m", 9),
    e.CancelRequested(5, "who", "why", accepted=False),
    e.SagaCompleted(5, {"out": [1, "2", None]}),
    e.SagaCompleted(5, None, "no value"),
    e.SagaClosed(5),
]


def test_the_samples_hold_every_type_of_event() -> None:
    missing = {t.__name__ for t in e.Event.__args__} - {type(sample).__name__ for sample in SAMPLES}
    assert missing == set()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_an_event_is_read_back_as_it_was_stored(sample: e.Event) -> None:
    record = encode_event(sample, 7)
    assert (record.version, record.type, record.at) == (7, type(sample).__name__, sample.at)
    assert decode_event(record) == sample
    assert event_data(record) == json.loads(record.data)


def test_what_holds_its_default_is_left_out() -> None:
    assert encode_event(e.StepSucceeded(1, "a"), 1).data == b'{"step":"a"}'
    assert (
        encode_event(e.StepSucceeded(1, "a", item=0, result=False), 1).data == b'{"step":"a","item":0,"result":false}'
    )


def test_a_state_is_read_back_as_it_was_kept_at_every_version() -> None:
    scenario = eventful()
    state = SagaState(scenario.state.saga_id)
    for each in scenario.stream:
        state = evolve(state, each)
        assert decode_state(encode_state(state), SagaState(state.saga_id)) == state


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (EventRecord(9, "SagaTeleported", b"{}", 1), "its type is not known"),
        (EventRecord(9, "StepSucceeded", b'{"step":"a","colour":"red"}', 1), "colour"),
        (EventRecord(9, "StepSucceeded", b"{}", 1), "step"),
        (EventRecord(9, "StepSucceeded", b"[]", 1), ""),
        (EventRecord(9, "StepSucceeded", b'{"step":', 1), ""),
        (EventRecord(9, "OperatorActed", b'{"verb":"bribe","step":"a","who":"w","why":"y"}', 1), "bribe"),
        (EventRecord(9, "ItemsFixed", b'{"step":"a"}', 1), "items"),
    ],
)
def test_an_event_that_is_not_known_is_an_error_that_says_what_to_do(record: EventRecord, why: str) -> None:
    with pytest.raises(UnknownEventError, match="upgrade this process") as caught:
        decode_event(record)
    assert record.type in str(caught.value)
    assert "version 9" in str(caught.value)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: {**kept, "format": 2},
        lambda kept: kept["state"],
        lambda kept: {**kept, "state": {**kept["state"], "mood": "good"}},
        lambda kept: {**kept, "state": {**kept["state"], "phase": "sideways"}},
        lambda kept: {**kept, "state": {name: value for name, value in kept["state"].items() if name != "steps"}},
        lambda kept: [],
    ],
    ids=["format", "no format", "field", "phase", "missing", "list"],
)
def test_a_snapshot_that_is_not_known_is_an_error_that_says_what_to_do(change: object) -> None:
    kept = json.loads(encode_state(eventful().state))
    assert callable(change)
    with pytest.raises(UnknownEventError, match="read the whole stream"):
        decode_state(json.dumps(change(kept)).encode(), EMPTY)


def test_what_is_no_part_of_a_state_is_never_written() -> None:
    with pytest.raises(TypeError):
        encode_state(SagaState(UUID(int=1), input=object()))  # type: ignore[arg-type]  # what no input can hold
