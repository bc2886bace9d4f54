"""Core facts as stored records and back: events, and folded states for snapshots.

The only place that knows the stored JSON. What a release writes, every later release reads: a field that is left
out has its default, and a type that is not known stops that one saga with a clear error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from typing import Final, TypeVar, cast, get_args
from uuid import UUID

import orjson

from saga_engine.core import events as e
from saga_engine.core.events import Direction, Effect, Event, Verb
from saga_engine.core.state import (
    CompensationStatus,
    Failure,
    PendingSignal,
    Phase,
    Progress,
    SagaState,
    Status,
    StepState,
    StepStatus,
)
from saga_engine.definition.model import Json
from saga_engine.envelope import EventRecord
from saga_engine.errors import SagaEngineError

T = TypeVar("T")

_LATEST: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999, which is the last that a date can say."""

_MOST_SHOWN: Final = 40
"""Characters of a value that is not what it should be."""


class UnknownEventError(SagaEngineError):
    """A stream holds an event, or a snapshot, that this release cannot read: a newer one wrote it, or it is corrupt."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """How one event type is stored: its fields, and what an absent one means (`...`: it is never absent).

    `enums`: those of the fields whose values are members, and which.
    """

    type: type[Event]
    name: str
    fields: tuple[tuple[str, object], ...]
    enums: tuple[tuple[str, _Members], ...]


class _Members(dict[str, StrEnum]):
    """The members of an enum by their values: to call the enum takes five times as long."""

    def __init__(self, kind: type[StrEnum]) -> None:
        super().__init__((str(member), member) for member in kind)
        self._kind = kind

    def __missing__(self, value: str) -> StrEnum:
        """Raises `ValueError`, in the enum's own words."""
        return self._kind(value)


_ENUMS: Final = {"direction": _Members(Direction), "effect": _Members(Effect), "verb": _Members(Verb)}


def _shape(event_type: type[Event]) -> _Shape:
    described = [field for field in fields(event_type) if field.name != "at"]
    defaults = tuple((field.name, ... if field.default is MISSING else field.default) for field in described)
    enums = tuple((name, _ENUMS[name]) for name, _ in defaults if name in _ENUMS)
    return _Shape(event_type, event_type.__name__, defaults, enums)


_SHAPES: Final[Mapping[type[Event], _Shape]] = {cls: _shape(cls) for cls in get_args(Event)}
_BY_NAME: Final[Mapping[str, _Shape]] = {shape.name: shape for shape in _SHAPES.values()}


def encode_event(event: Event, version: int) -> EventRecord:
    """The record of one event. Fields that hold their default are left out."""
    shape = _SHAPES[type(event)]
    data: dict[str, object] = {}
    for name, default in shape.fields:
        value = getattr(event, name)
        if value is not default and value != default:
            data[name] = value
    return EventRecord(version, shape.name, orjson.dumps(data), event.at)


def decode_event(record: EventRecord) -> Event:
    """The event of one record.

    Raises:
        UnknownEventError: its type or a field of it is not known to this release, or it is no event at all.
    """
    shape = _BY_NAME.get(record.type)
    if shape is None:
        raise _unknown(record, "its type is not known")
    if not isinstance(record.version, int):
        raise _unknown(record, "its version is no integer")
    if not _is_time(record.at):
        raise _unknown(record, f"its time is {str(record.at)[:_MOST_SHOWN]!r}, expected microseconds since 1970")
    try:
        data = cast(dict[str, object], orjson.loads(record.data))
        for name, members in shape.enums:
            if name in data:
                data[name] = members[cast(str, data[name])]
        if record.type == e.ItemsFixed.__name__:
            data["items"] = tuple(cast(list[Json], data["items"]))
        return cast(Callable[..., Event], shape.type)(at=record.at, **data)
    except (KeyError, TypeError, ValueError) as error:
        raise _unknown(record, str(error)) from error


def decode_events(saga_id: UUID, records: Iterable[EventRecord]) -> list[Event]:
    """The events of a saga's records. Raises as `decode_event`, and names the saga."""
    try:
        return [decode_event(record) for record in records]
    except UnknownEventError as error:
        raise UnknownEventError(f"saga {saga_id}: {error}") from error


def _is_time(at: object) -> bool:
    """SQLite keeps in any column whatever somebody writes there by hand."""
    return isinstance(at, int) and 0 <= at <= _LATEST


def _unknown(record: EventRecord, why: str) -> UnknownEventError:
    return UnknownEventError(
        f"event {record.type} at version {record.version} cannot be read ({why}): if a newer release of saga-engine "
        "runs on this store, upgrade this process; else the row is damaged: `saga audit` says what else is, and a "
        "backup of the store has what it was"
    )


def event_data(record: EventRecord) -> Json:
    """The stored data of an event as JSON, for history and people."""
    return cast(Json, orjson.loads(record.data))


SNAPSHOT_FORMAT: Final = 1
"""Raised with every change of the state's fields or of what they mean: a snapshot of another format is not read."""


def encode_state(state: SagaState) -> bytes:
    """A folded state, for a snapshot."""
    return orjson.dumps({"format": SNAPSHOT_FORMAT, "state": state}, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, frozenset):
        return sorted(cast(frozenset[str], value))
    raise TypeError(f"{type(value).__name__} is no part of a state")


def decode_state(data: bytes, empty: SagaState) -> SagaState:
    """The state of a snapshot. `empty` is the state of the saga before its first event.

    Raises:
        UnknownEventError: another release wrote it, or it is no snapshot at all. The events say what it said.
    """
    try:
        snapshot = cast(dict[str, object], orjson.loads(data))
        if snapshot["format"] != SNAPSHOT_FORMAT:
            raise ValueError(f"its format is {snapshot['format']}, this release's is {SNAPSHOT_FORMAT}")
        return _decode_state(cast(dict[str, object], snapshot["state"]), empty)
    except (KeyError, TypeError, ValueError) as error:
        raise UnknownEventError(
            f"the snapshot of saga {empty.saga_id} cannot be read ({error}): read the whole stream instead"
        ) from error


def _decode_state(raw: dict[str, object], empty: SagaState) -> SagaState:
    raw["saga_id"] = empty.saga_id
    raw["phase"] = Phase(cast(str, raw["phase"]))
    raw["ended_as"] = None if raw["ended_as"] is None else Status(cast(str, raw["ended_as"]))
    raw["failure"] = None if raw["failure"] is None else _build(Failure, raw["failure"])
    steps = cast(dict[str, dict[str, object]], raw["steps"])
    raw["steps"] = {place: _decode_step(step) for place, step in steps.items()}
    raw["blocked"] = tuple(cast(list[str], raw["blocked"]))
    raw["signals"] = tuple(_build(PendingSignal, signal) for signal in cast(list[object], raw["signals"]))
    raw["signal_ids"] = frozenset(cast(list[str], raw["signal_ids"]))
    return _build(SagaState, raw)


def _decode_step(raw: dict[str, object]) -> StepState:
    raw["status"] = StepStatus(cast(str, raw["status"]))
    raw["undo"] = None if raw["undo"] is None else CompensationStatus(cast(str, raw["undo"]))
    for name in ("forward", "backward"):
        raw[name] = None if raw[name] is None else _build(Progress, raw[name])
    raw["items"] = None if raw["items"] is None else tuple(cast(list[Json], raw["items"]))
    return _build(StepState, raw)


def _build(kind: type[T], raw: object) -> T:
    return cast(Callable[..., T], kind)(**cast(dict[str, object], raw))
