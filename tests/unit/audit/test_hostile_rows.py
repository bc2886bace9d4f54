"""Rows that hold anything at all: an audit names them, and never trips over them itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import orjson
import pytest

from saga_engine.audit.check import Judge, check
from saga_engine.audit.grouping import group
from saga_engine.audit.history import Record
from saga_engine.audit.records.stored import StoredEvent, StreamRow
from saga_engine.core.events import Event
from tests.unit.audit.planting import (
    COMPENSATED,
    COMPLETED,
    KEY,
    STORE,
    defined,
    failed,
    gave_up,
    head,
    history,
    issued,
    stream,
)

ANYTHING: Final[tuple[object, ...]] = (None, -1, 1.5, "x", [1], {"a": None})
RETRIED = (issued("flight"), failed("flight", 1, 9_000_000), issued("flight", 2), gave_up("flight"))


def hostile(events: Sequence[Event]) -> list[tuple[int, str, object]]:
    """Every field of every stored event, with anything in its place."""
    return [
        (event.version, field, value)
        for event in stream(events)
        for field in orjson.loads(event.data)
        for value in ANYTHING
    ]


def put(events: Sequence[Event], version: int, data: str) -> list[Record]:
    stored: list[StoredEvent] = stream(events)
    row = StreamRow(head(stored))
    stored[version - 1] = replace(stored[version - 1], data=data)
    return [*stored, row, KEY, defined()]


@pytest.mark.parametrize("events", [COMPLETED, COMPENSATED, RETRIED], ids=["completed", "compensated", "retried"])
def test_any_value_in_any_field_is_judged_without_tripping(events: tuple[Event, ...]) -> None:
    cases = hostile(events)
    around = history([defined()], STORE).around
    named = 0
    for version, field, value in cases:
        fields = orjson.loads(stream(events)[version - 1].data)
        data = orjson.dumps({**fields, field: value}).decode()
        (saga,) = group(put(events, version, data)[:-1]).sagas
        named += bool(Judge(around).saga(saga))
    assert named > len(cases) * 0.6


@pytest.mark.parametrize("data", ["", "null", "[]", "1", '"x"', "{}", '{"step": 1}', "{" * 1000, '{"at": 1}'])
def test_any_text_in_place_of_an_event_is_named(data: str) -> None:
    assert "A3" in {violation.invariant for violation in check(history(put(COMPLETED, 3, data), STORE))}


@pytest.mark.parametrize("content", ["", "null", "[]", "{}", '{"saga": 1}', '{"steps": [{}]}'])
def test_any_text_in_place_of_a_definition_is_named(content: str) -> None:
    records = put(COMPLETED, 3, stream(COMPLETED)[2].data)[:-1]
    found = check(history([*records, replace(defined(), content=content)], STORE))
    assert "A8" in {violation.invariant for violation in found}
