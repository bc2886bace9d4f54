"""Group D: replies. What participants said is applied once, nothing else is, and a late success does not stand.

Owns these invariants. Told from the events beside the wire and the inboxes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from saga_engine.audit.case import Case
from saga_engine.audit.course import Dated, Track
from saga_engine.audit.graph import call_of
from saga_engine.audit.history import Section
from saga_engine.audit.invariant import Finding, Findings, SagaInvariant, invariant
from saga_engine.audit.records.messages import Carried, Published
from saga_engine.audit.records.participants import InboxRow
from saga_engine.core import events as e
from saga_engine.core.events import Direction, Event, Verb
from saga_engine.core.inputs import Outcome
from saga_engine.core.plan import Plan
from saga_engine.core.state import address
from saga_engine.envelope import Address, parse_key

_GAVE_UP: Final = "gave_up"


@dataclass(frozen=True, slots=True)
class _Applied:
    """An event that a reply must have led to. `attempt` None: an answer to any attempt will do."""

    version: int
    event: Event
    key: str
    participant: str
    outcomes: tuple[Outcome, ...]
    attempt: int | None


def _applied(case: Case, plan: Plan) -> Iterator[_Applied]:
    for track in case.course.tracks.values():
        call = call_of(plan, track)
        if call is None or not track.issued:
            continue
        key = Address(case.saga.saga_id, track.step, track.item, Direction.FORWARD).key
        for succeeded in track.succeeded:
            yield _Applied(succeeded.version, succeeded.event, key, call.participant, (Outcome.SUCCEEDED,), None)
        for rejected in track.rejected:
            yield _Applied(rejected.version, rejected.event, key, call.participant, (Outcome.REJECTED,), None)
        for failed in track.failed:
            yield _Applied(failed.version, failed.event, key, call.participant, _NO, failed.event.attempt)
        if call.compensation is None:
            continue
        key, whose = Address(case.saga.saga_id, track.step, track.item, Direction.COMPENSATE).key, call.compensation
        for undone in track.compensated:
            yield _Applied(undone.version, undone.event, key, whose.participant, (Outcome.SUCCEEDED,), None)
        for failure in track.compensation_failed:
            if failure.event.code != _GAVE_UP:
                yield _Applied(failure.version, failure.event, key, whose.participant, _NO, failure.event.attempt)


_NO: Final = (Outcome.FAILED, Outcome.REJECTED)


@invariant("D1", Section.STREAMS, Section.INBOX, Section.REST)
def kept_replies_are_applied(case: Case) -> Findings:
    """D1: A reply that an inbox keeps was applied once, unless the saga had stopped waiting for it."""
    for row in case.saga.inbox:
        place = parse_key(row.key)
        track = None if place is None else case.course.tracks.get(address(place.step, place.item))
        if place is None or track is None:
            yield Finding(f"the inbox of {row.participant} has an answer to {row.key}", "a command of the saga")
            continue
        applied = len(_outcomes(track, place, row))
        if applied > 1:
            yield Finding(f"the answer to {row.key} was applied {applied} times", "once")
        elif not applied and not _stopped_waiting(case, track, place, row):
            yield Finding(f"the answer {row.outcome} to {row.key} was never applied", "once, at rest")


def _outcomes(track: Track, place: Address, row: InboxRow) -> list[int]:
    if place.direction is Direction.COMPENSATE:
        return [dated.version for dated in track.compensated]
    if row.outcome == Outcome.SUCCEEDED:
        return [dated.version for dated in track.succeeded]
    return [dated.version for dated in track.rejected]


def _stopped_waiting(case: Case, track: Track, place: Address, row: InboxRow) -> bool:
    if place.direction is Direction.COMPENSATE:
        # A stored rejection of a compensation is none: it counts as a failure.
        exhausted = any(dated.event.retry_at is None for dated in track.compensation_failed)
        return exhausted or track.by_hand(case.course.last + 1, Verb.SKIP, Verb.RESOLVE)
    if row.outcome == "tombstone":
        return True
    rejection = row.outcome == Outcome.REJECTED and bool(track.failed)
    return track.unknown_from is not None or rejection


@invariant("D2", Section.STREAMS, Section.WIRE, Section.DEFINITIONS)
def only_genuine_replies(case: Case) -> Findings:
    """D2: Only a genuine answer of the participant that was asked, to this command, changes the saga."""
    if case.plan is None:
        return
    replies = [sent for sent in case.saga.published if sent.carried is Carried.REPLY and not sent.forged]
    orders = {event.version: event.order for event in case.saga.stored}
    for applied in _applied(case, case.plan):
        if not any(_answers(reply, applied, orders.get(applied.version)) for reply in replies):
            said = " or ".join(applied.outcomes)
            seen = f"{type(applied.event).__name__} at version {applied.version}"
            yield Finding(seen, f"a reply {said} of {applied.participant} to {applied.key} before it")


def _answers(reply: Published, applied: _Applied, committed: int | None) -> bool:
    fits = (reply.key, reply.participant) == (applied.key, applied.participant) and reply.outcome in applied.outcomes
    in_time = reply.order is None or committed is None or reply.order < committed
    return fits and in_time and applied.attempt in (None, reply.attempt)


@invariant("D3", Section.STREAMS, Section.WIRE, Section.DEFINITIONS)
def late_success_is_undone(case: Case) -> Findings:
    """D3: A step that its participant has done after it was given up is compensated all the same."""
    plan, ended = case.plan, case.course.ended
    if plan is None or ended is None:
        return
    done = {reply.key for reply in case.saga.published if _says(reply, Outcome.SUCCEEDED)}
    for track in case.course.tracks.values():
        call = call_of(plan, track)
        key = Address(case.saga.saga_id, track.step, track.item, Direction.FORWARD).key
        if call is None or call.compensation is None or track.unknown_from is None or key not in done:
            continue
        given_up = any(dated.event.retry_at is None for dated in track.compensation_failed)
        if not (track.compensated or given_up or track.by_hand(ended.version, Verb.SKIP, Verb.RESOLVE)):
            yield Finding(f"{track.place} was done after it was given up, and its effect stands", "its compensation")


def _says(reply: Published, outcome: Outcome) -> bool:
    return reply.carried is Carried.REPLY and not reply.forged and reply.outcome is outcome


@invariant("D4", Section.STREAMS)
def one_outcome(case: Case) -> Findings:
    """D4: Of contradictory answers the first one counts: a step has one definite outcome, and it does not change."""
    for track in case.course.tracks.values():
        definite: list[Dated[e.StepSucceeded] | Dated[e.StepRejected]] = [*track.succeeded, *track.rejected]
        if len(definite) > 1:
            told = ", ".join(f"{type(one.event).__name__} at {one.version}" for one in definite)
            yield Finding(f"{track.place} has the outcomes {told}", "one definite outcome")
        if len(track.compensated) > 1:
            yield Finding(f"{track.place} was compensated {len(track.compensated)} times", "once")


SAGA: Final[tuple[SagaInvariant, ...]] = (
    kept_replies_are_applied,
    only_genuine_replies,
    late_success_is_undone,
    one_outcome,
)
