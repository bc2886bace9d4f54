"""What a given/when/then test expects, as patterns, and how a difference is shown: as a timeline with marks.

Owns the short form of events and commands (`CommandIssued debit compensate attempt 2`). Runs nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from saga_engine.core.events import Direction, Effect, Event, StepCompensated
from saga_engine.core.inputs import Input, Operate, ReplyReceived, Signal
from saga_engine.core.outgoing import PublishEvent
from saga_engine.core.state import address
from saga_engine.definition.model import Json

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class SentCommand:
    """A command as a participant gets it. `again`: asked once more, the attempt being the same."""

    name: str
    step: str
    item: int | None
    direction: Direction
    attempt: int
    payload: Json
    again: bool = False


class Pattern(Protocol[T_contra]):
    """Something that one event, command or published event either fits or does not."""

    def fits(self, actual: T_contra, /) -> bool: ...


ExpectedEvent: TypeAlias = "str | Pattern[Event]"
ExpectedCommand: TypeAlias = "str | Pattern[SentCommand]"
ExpectedPublished: TypeAlias = "str | Pattern[PublishEvent]"


@dataclass(frozen=True, slots=True)
class Fields(Generic[T]):
    """A pattern over some of the fields. Two values fit when they are equal."""

    type: type[T]
    values: Mapping[str, object]

    def fits(self, actual: T) -> bool:
        return isinstance(actual, self.type) and all(getattr(actual, name) == v for name, v in self.values.items())

    def __str__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.values.items())
        return f"{self.type.__name__}({fields})"


def event(type: type[Event], **fields: object) -> Fields[Event]:
    """An event of this type with these fields; others may hold anything: `event(StepFailed, code="busy")`."""
    return _pattern(type, fields)


def command(name: str, **fields: object) -> Fields[SentCommand]:
    """A command `participant.command` with these fields: `payload`, `step`, `item`, `attempt`, `direction`, `again`."""
    return _pattern(SentCommand, {"name": name, **fields})


def published(name: str, data: Json) -> Fields[PublishEvent]:
    """A domain event with this data."""
    return _pattern(PublishEvent, {"name": name, "data": data})


def _pattern(type: type[T], values: Mapping[str, object]) -> Fields[T]:
    known = getattr(type, "__match_args__", ())
    unknown = [name for name in values if name not in known]
    if unknown:
        raise TypeError(f"{type.__name__} has no field {', '.join(unknown)}; it has {', '.join(known)}")
    return Fields(type, values)


def brief(event: Event) -> str:
    """An event in short: its type, its step, and what sets it apart."""
    words = [type(event).__name__]
    step, item = getattr(event, "step", None), getattr(event, "item", None)
    if step is not None:
        words.append(address(step, item))
    if getattr(event, "direction", None) is Direction.COMPENSATE:
        words.append("compensate")
    attempt = getattr(event, "attempt", 1)
    if attempt > 1:
        words.append(f"attempt {attempt}")
    if isinstance(event, StepCompensated) and event.effect is Effect.NONE:
        words.append("without effect")
    return " ".join(words)


def told(input: Input) -> str:
    """An input in short."""
    match input:
        case ReplyReceived():
            what = "reply" if input.direction is Direction.FORWARD else "undo reply"
            return f"{what} {address(input.step, input.item)} {input.outcome} {input.code}".rstrip()
        case Signal():
            return f"signal {input.name}"
        case Operate():
            place = "" if input.step is None else " " + address(input.step, input.item)
            return f"{input.verb}{place}"
        case _:
            return type(input).__name__.lower()


def differences(expected: Sequence[str | Pattern[T]], actual: Sequence[T], short: Mapping[int, str]) -> str | None:
    """The two as one list, marked `-` (missing) and `+` (not expected); None when all fit. `short`: actual in short."""
    wanted: list[str] = []
    for i, pattern in enumerate(expected):
        if isinstance(pattern, str):
            wanted.append(pattern)
        elif i < len(actual) and pattern.fits(actual[i]):
            wanted.append(short[i])
        else:
            wanted.append(str(pattern))
    found = [short[i] for i in range(len(actual))]
    if wanted == found:
        return None
    return "\n".join(line for line in difflib.ndiff(wanted, found) if not line.startswith("?"))
