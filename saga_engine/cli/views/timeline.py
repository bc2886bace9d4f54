"""A saga's stream as a timeline that a person reads at a glance: when, to what, what happened.

Owns the wording of each event. Knows no terminal: it gives parts, `output` prints them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, TypeAlias, assert_never

from saga_engine.cli.output import Part, Styled, brief_json, rfc3339
from saga_engine.core import events as e
from saga_engine.core.events import Direction, Effect, Event
from saga_engine.core.forward import GAVE_UP
from saga_engine.core.state import address
from saga_engine.definition.model import Json
from saga_engine.elapsed import elapsed, exactly_elapsed
from saga_engine.plural import several

StepEvent: TypeAlias = (
    e.CommandIssued
    | e.StepSucceeded
    | e.StepRejected
    | e.StepFailed
    | e.StepGivenUp
    | e.StepSkipped
    | e.ItemsFixed
    | e.TimerSet
    | e.TimerFired
    | e.StepCompensated
    | e.CompensationFailed
    | e.StepBlocked
    | e.OperatorActed
)


_NOTHING: Final[Mapping[int, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: a sign, what it is about (a step, or the saga), what happened, and how it is coloured."""

    at: int
    sign: str
    subject: str
    text: str
    colour: str | None = None


def timeline(
    events: Sequence[Event],
    emitted: Mapping[int, str] = _NOTHING,
    *,
    after: int = 0,
    width: int = 0,
    unknown: Sequence[str] = (),
) -> list[list[Part]]:
    """The lines of a timeline, times counted from the first event. `emitted`: names of domain events, by version.

    `after`: only those of later versions. `width`: at least so many characters for what a line is about. `unknown`:
    what may have been done all the same once the saga is compensated.
    """
    waits = frozenset(event.step for event in events if isinstance(event, e.TimerSet))
    entries = [
        _telling(_in_its_course(event, waits, unknown), emitted.get(version))
        for version, event in enumerate(events[after:], start=after + 1)
    ]
    width = max([width, *(len(one.subject) for one in entries)])
    start = events[0].at if events else 0
    return [
        [
            Styled(f"  {f'+{exactly_elapsed(one.at - start)}':>11}  ", dim=True),
            Styled(one.sign, one.colour),
            f" {one.subject:<{width}}  ",
            Styled(one.text, one.colour),
        ]
        for one in entries
    ]


def _in_its_course(event: Event, waits: frozenset[str], unknown: Sequence[str]) -> Entry:
    """How an event is told beside the others. `waits`: steps that are no command, and so are rejected by nobody."""
    match event:
        case e.StepRejected(code=code) if code == GAVE_UP and event.step in waits:
            return replace(entry(event), text=f"out of time: {event.message}")
        case e.SagaCompensated() if unknown:
            doubt = f"whether {', '.join(unknown)} was done is unknown"
            return replace(entry(event), text=f"compensated: what is known to be done is undone; {doubt}")
        case _:
            return entry(event)


def _telling(entry: Entry, emitted: str | None) -> Entry:
    return entry if emitted is None else replace(entry, text=f"{entry.text}  ⇢ {emitted}")


def entry(event: Event) -> Entry:
    """How one event is told."""
    match event:
        case e.SagaStarted():
            return Entry(event.at, "●", "saga", "started")
        case e.CompensationBegan():
            cause = f"{event.step} failed, " if event.step else ""
            return Entry(event.at, "↶", "saga", f"compensates: {cause}{_why(event.code, event.message)}", "yellow")
        case e.SagaCompleted():
            return Entry(event.at, "●", "saga", _with("completed", event.output), "green")
        case e.SagaCompensated():
            return Entry(event.at, "●", "saga", "compensated: everything that was done is undone", "yellow")
        case e.SagaClosed():
            return Entry(event.at, "●", "saga", "closed: not everything was undone", "red")
        case e.Suspended():
            return Entry(event.at, "‖", "saga", f"suspended by {_who(event.who, event.why)}", "yellow")
        case e.Resumed():
            return Entry(event.at, "▸", "saga", f"resumed by {_who(event.who, event.why)}")
        case e.CancelRequested():
            verdict = "" if event.accepted else "; refused, past the point of no return"
            return Entry(event.at, "■", "saga", f"cancel asked by {_who(event.who, event.why)}{verdict}", "yellow")
        case e.SignalReceived():
            return Entry(event.at, "✉", "saga", _with(f"signal {event.name}", event.data))
        case _:
            return _step_entry(event)


def _step_entry(event: StepEvent) -> Entry:
    def told(sign: str, text: str, colour: str | None = None) -> Entry:
        subject = event.step if isinstance(event, _WHOLE_STEP) else address(event.step, event.item)
        return Entry(event.at, sign, subject, text, colour)

    match event:
        case e.CommandIssued():
            again = f", attempt {event.attempt}" if event.attempt > 1 else ""
            if event.direction is Direction.COMPENSATE:
                return told("←", f"compensation sent{again}")
            return told("→", f"command sent{again}")
        case e.StepSucceeded():
            return told("✓", _with("succeeded", event.result), "green")
        case e.StepRejected():
            return told("✗", f"rejected: {_why(event.code, event.message)}", "red")
        case e.StepFailed():
            return told("!", f"failed: {_why(event.code, event.message)}{_again(event.at, event.retry_at)}", "red")
        case e.StepGivenUp():
            return told("?", f"given up, outcome unknown: {_why(event.code, event.message)}", "red")
        case e.StepSkipped():
            return told("-", "skipped: its condition is false")
        case e.ItemsFixed():
            return told("≡", f"for each of {several(len(event.items), 'item')}")
        case e.TimerSet():
            return told("◷", "waits" if event.due is None else f"waits until {rfc3339(event.due)}")
        case e.TimerFired():
            return told("◷", "time is up")
        case e.StepCompensated():
            return told("↺", "undone" if event.effect is Effect.UNDONE else "nothing to undo", "yellow")
        case e.CompensationFailed():
            why = _why(event.code, event.message)
            return told("!", f"compensation failed: {why}{_again(event.at, event.retry_at)}", "red")
        case e.StepBlocked():
            return told("■", f"blocked, an operator is needed: {_why(event.code, event.message)}", "red")
        case e.OperatorActed():
            return told("☞", f"{event.verb} by {_who(event.who, event.why)}", "cyan")
    assert_never(event)


_WHOLE_STEP = (e.StepSkipped, e.ItemsFixed, e.TimerSet, e.TimerFired)


def _with(text: str, value: Json) -> str:
    return text if value is None else f"{text}  {brief_json(value, 80)}"


def _why(code: str, message: str) -> str:
    return f"{code}: {message}" if message else code


def _who(who: str, why: str) -> str:
    return f"{who}: {why}" if why else who


def _again(at: int, retry_at: int | None) -> str:
    if retry_at is None:
        return "; no further attempt"
    return f"; next attempt in {elapsed(retry_at - at)}"
