"""The course of a saga, told from its events alone: what happened at each step and item, and when it turned back.

Deliberately not the engine's fold: what judges the decider must not see through the decider's eyes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from saga_engine.core import events as e
from saga_engine.core.events import Direction, Event
from saga_engine.core.state import address

E = TypeVar("E", bound=Event)
End: TypeAlias = e.SagaCompleted | e.SagaCompensated | e.SagaClosed


@dataclass(frozen=True, slots=True)
class Dated(Generic[E]):
    """An event and its version."""

    version: int
    event: E


@dataclass(slots=True)
class Track:
    """What happened at one step, or at one item of it."""

    step: str
    item: int | None
    issued: list[Dated[e.CommandIssued]] = field(default_factory=list)
    compensations: list[Dated[e.CommandIssued]] = field(default_factory=list)
    succeeded: list[Dated[e.StepSucceeded]] = field(default_factory=list)
    rejected: list[Dated[e.StepRejected]] = field(default_factory=list)
    failed: list[Dated[e.StepFailed]] = field(default_factory=list)
    given_up: list[Dated[e.StepGivenUp]] = field(default_factory=list)
    skipped: list[Dated[e.StepSkipped]] = field(default_factory=list)
    fixed: list[Dated[e.ItemsFixed]] = field(default_factory=list)
    set: list[Dated[e.TimerSet]] = field(default_factory=list)
    fired: list[Dated[e.TimerFired]] = field(default_factory=list)
    compensated: list[Dated[e.StepCompensated]] = field(default_factory=list)
    compensation_failed: list[Dated[e.CompensationFailed]] = field(default_factory=list)
    blocked: list[Dated[e.StepBlocked]] = field(default_factory=list)
    acted: list[Dated[e.OperatorActed]] = field(default_factory=list)

    @property
    def place(self) -> str:
        return address(self.step, self.item)

    @property
    def unknown_from(self) -> int | None:
        """The version from which its outcome was given up as unknown; None: it never was."""
        gave_up = [dated.version for dated in self.given_up]
        gave_up += [dated.version for dated in self.failed if dated.event.retry_at is None]
        return min(gave_up, default=None)

    def in_doubt(self, version: int) -> bool:
        """Whether before `version` its command was out and nothing definite was known, or given up, about it."""
        settled = (self.succeeded, self.rejected, self.given_up)
        known = any(dated.version < version for events in settled for dated in events)
        spent = any(dated.version < version and dated.event.retry_at is None for dated in self.failed)
        return self.was_issued(version) and not known and not spent

    def was_issued(self, version: int) -> bool:
        return any(dated.version < version for dated in self.issued)

    def may_have_effect(self, version: int) -> bool:
        """Whether before `version` its command was issued, and no answer has said that it is without effect."""
        return self.was_issued(version) and not any(dated.version < version for dated in self.rejected)

    def by_hand(self, version: int, *verbs: e.Verb) -> bool:
        """Whether an operator did one of these to it before `version`."""
        return any(dated.version < version and dated.event.verb in verbs for dated in self.acted)


@dataclass(slots=True)
class Course:
    """A saga's course. `began`: the version of CompensationBegan; `ended`: its last event, if that ends it."""

    tracks: Mapping[str, Track]
    events: Sequence[Dated[Event]]
    started: e.SagaStarted | None = None
    began: Dated[e.CompensationBegan] | None = None
    ended: Dated[End] | None = None
    cancels: list[Dated[e.CancelRequested]] = field(default_factory=list)
    signals: list[Dated[e.SignalReceived]] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.events[-1].version if self.events else 0

    def of(self, step: str) -> Iterator[Track]:
        """The track of a step and those of its items."""
        return (track for track in self.tracks.values() if track.step == step)


def course_of(versions: Sequence[int], events: Sequence[Event]) -> Course:
    """The course that these events tell; any events, also ones that no decider would have decided on."""
    tracks: dict[str, Track] = {}
    course = Course(tracks, [Dated(version, event) for version, event in zip(versions, events, strict=False)])
    for dated in course.events:
        event = dated.event
        match event:
            case e.SagaStarted():
                course.started = course.started or event
            case e.CompensationBegan():
                course.began = course.began or Dated(dated.version, event)
            case e.SagaCompleted() | e.SagaCompensated() | e.SagaClosed():
                course.ended = course.ended or Dated(dated.version, event)
            case e.CancelRequested():
                course.cancels.append(Dated(dated.version, event))
            case e.SignalReceived():
                course.signals.append(Dated(dated.version, event))
            case e.Suspended() | e.Resumed():
                pass
            case _:
                item = None if isinstance(event, e.StepSkipped | e.ItemsFixed) else event.item
                place = address(event.step, item)
                if place not in tracks:
                    tracks[place] = Track(event.step, item)
                _note(tracks[place], dated.version, event)
    return course


def _note(track: Track, version: int, event: Event) -> None:
    match event:
        case e.CommandIssued(direction=Direction.FORWARD):
            track.issued.append(Dated(version, event))
        case e.CommandIssued():
            track.compensations.append(Dated(version, event))
        case e.StepSucceeded():
            track.succeeded.append(Dated(version, event))
        case e.StepRejected():
            track.rejected.append(Dated(version, event))
        case e.StepFailed():
            track.failed.append(Dated(version, event))
        case e.StepGivenUp():
            track.given_up.append(Dated(version, event))
        case e.StepSkipped():
            track.skipped.append(Dated(version, event))
        case e.ItemsFixed():
            track.fixed.append(Dated(version, event))
        case e.TimerSet():
            track.set.append(Dated(version, event))
        case e.TimerFired():
            track.fired.append(Dated(version, event))
        case e.StepCompensated():
            track.compensated.append(Dated(version, event))
        case e.CompensationFailed():
            track.compensation_failed.append(Dated(version, event))
        case e.StepBlocked():
            track.blocked.append(Dated(version, event))
        case e.OperatorActed():
            track.acted.append(Dated(version, event))
        case _:
            pass
