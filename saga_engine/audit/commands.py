"""Group B: commands. What is on the wire was committed, what was committed is sent, and in an order that can be undone.

Owns B1 to B7; timers and attempts are `timers`'. Told from the events, the definition's graph and the wire.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from saga_engine.audit.case import Case
from saga_engine.audit.course import Course, Dated, Track
from saga_engine.audit.graph import behind, call_of, no_return_from
from saga_engine.audit.history import Section
from saga_engine.audit.invariant import Finding, Findings, SagaInvariant, invariant
from saga_engine.audit.records.messages import Carried, Published
from saga_engine.core import events as e
from saga_engine.core.events import Direction, Effect, Event, Verb
from saga_engine.core.plan import Plan
from saga_engine.core.state import address
from saga_engine.definition.model import Call, Emit, OnExhausted, Sleep, Wait
from saga_engine.envelope import Address, parse_key

_GIVEN_UP: Final = (Verb.SKIP, Verb.RESOLVE)


@invariant("B1", Section.STREAMS, Section.WIRE)
def committed_first(case: Case) -> Findings:
    """B1: Nothing is on the wire before it was committed: a command has its CommandIssued, an event its cause."""
    orders = {event.version: event.order for event in case.saga.stored}
    for sent in _genuine(case, Carried.COMMAND):
        issued = _issue_of(case.course, sent)
        if issued is None:
            yield Finding(f"{_told(sent)} was sent, but never issued", "its CommandIssued in the stream")
        else:
            yield from _too_early(sent, orders.get(issued.version))
    for sent in _genuine(case, Carried.EVENT):
        if not 1 <= sent.version <= case.course.last:
            yield Finding(f"event {sent.name} of version {sent.version} was published", "a version of the stream")
        else:
            yield from _too_early(sent, orders.get(sent.version))


def _too_early(sent: Published, committed: int | None) -> Findings:
    if sent.order is not None and committed is not None and sent.order < committed:
        yield Finding(f"{_told(sent)} was sent at {sent.order}, before its commit at {committed}", "after its commit")


def _genuine(case: Case, carried: Carried) -> Iterator[Published]:
    return (sent for sent in case.saga.published if sent.carried is carried and not sent.forged)


def _told(sent: Published) -> str:
    return f"{sent.key} attempt {sent.attempt}" if sent.key else f"event {sent.name} of version {sent.version}"


def _issue_of(course: Course, sent: Published) -> Dated[e.CommandIssued] | None:
    place = parse_key(sent.key)
    track = None if place is None else course.tracks.get(address(place.step, place.item))
    if place is None or track is None:
        return None
    issues = track.issued if place.direction is Direction.FORWARD else track.compensations
    return next((dated for dated in issues if dated.event.attempt == sent.attempt), None)


@invariant("B2", Section.STREAMS, Section.WIRE)
def published_up_to_the_cursor(case: Case) -> Findings:
    """B2: What lies below a saga's published cursor was acknowledged, unless nobody waits for it any more."""
    row, plan = case.saga.row, case.plan
    if row is None or plan is None:
        return
    acknowledged = {
        (sent.key, sent.attempt) if sent.carried is Carried.COMMAND else sent.version
        for sent in case.saga.published
        if sent.acknowledged and not sent.forged
    }
    for dated in case.course.events:
        if dated.version > row.head.published:
            return
        event = dated.event
        if isinstance(event, e.CommandIssued):
            key = Address(case.saga.saga_id, event.step, event.item, event.direction).key
            if (key, event.attempt) not in acknowledged and not _is_moot(case.course, dated.version, event):
                yield Finding(f"{key} attempt {event.attempt} counts as published", "an acknowledgement of it")
        elif _emits(plan, case.course, dated) and dated.version not in acknowledged:
            yield Finding(f"the event of version {dated.version} counts as published", "an acknowledgement of it")


def _is_moot(course: Course, version: int, event: e.CommandIssued) -> bool:
    """Whether something came after a command that took away the reason to send it."""
    later = (dated.event for dated in course.events if dated.version > version)
    return any(_takes_away(one, event) for one in later)


def _takes_away(later: Event, issued: e.CommandIssued) -> bool:
    if isinstance(later, e.Suspended | e.SagaCompleted | e.SagaCompensated | e.SagaClosed):
        return True
    forward = issued.direction is Direction.FORWARD
    if isinstance(later, e.CompensationBegan):
        return forward
    answers = (
        (e.StepSucceeded, e.StepRejected, e.StepFailed, e.StepGivenUp)
        if forward
        else (e.StepCompensated, e.CompensationFailed, e.OperatorActed)
    )
    return isinstance(later, answers) and (later.step, later.item) == (issued.step, issued.item)


def _emits(plan: Plan, course: Course, dated: Dated[Event]) -> bool:
    """Whether the definition makes a domain event of this one."""
    event = dated.event
    match event:
        case e.StepSucceeded(item=None):
            return _emit_of_success(plan, course, dated.version, event) is not None
        case e.StepCompensated(effect=Effect.UNDONE):
            call = plan.nodes[event.step].call if event.step in plan.nodes else None
            return call is not None and call.compensation is not None and call.compensation.emit is not None
        case e.SagaCompleted():
            return plan.definition.emit.completed is not None
        case e.SagaCompensated():
            return plan.definition.emit.compensated is not None
        case e.SagaClosed():
            return plan.definition.emit.closed is not None
        case _:
            return False


def _emit_of_success(plan: Plan, course: Course, version: int, event: e.StepSucceeded) -> Emit | None:
    node = plan.nodes.get(event.step)
    action = None if node is None else node.action
    # A wait that ran out of time has succeeded as far as others go, but nothing has happened.
    fired = any(dated.version < version for dated in course.tracks[event.step].fired)
    if isinstance(action, Wait):
        return None if fired else action.emit
    return action.emit if isinstance(action, Call) else None


@invariant("B2", Section.STREAMS, Section.WIRE, Section.REST)
def published_at_rest(case: Case) -> Findings:
    """B2: At rest all that an ended saga had to publish is published, and its row says so."""
    row = case.saga.row
    if row is not None and case.course.ended is not None and row.head.published < row.head.version:
        yield Finding(f"published up to version {row.head.published}", f"up to version {row.head.version}")


@invariant("B3", Section.WIRE)
def same_for_every_send(case: Case) -> Findings:
    """B3: All sends of a command have one subject and one body, and its key names this saga, a step and a direction."""
    seen: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for sent in _genuine(case, Carried.COMMAND):
        seen[sent.key].add((sent.subject, sent.body_hash))
        place = parse_key(sent.key)
        if place is None or place.saga_id != case.saga.saga_id:
            yield Finding(f"the key {sent.key!r}", f"a key of saga {case.saga.saga_id}")
    for key, contents in seen.items():
        if len(contents) > 1:
            yield Finding(f"{key} was sent in {len(contents)} forms", "the same subject and body every time")


@invariant("B3", Section.STREAMS)
def attempts_follow_failures(case: Case) -> Findings:
    """B3: An attempt is used up by a failed reply, or asked for by an operator; silence costs none."""
    for track in case.course.tracks.values():
        failures = {dated.event.attempt: dated.version for dated in track.failed}
        yield from _without_failure(track, track.issued, failures)
        failures = {dated.event.attempt: dated.version for dated in track.compensation_failed}
        yield from _without_failure(track, track.compensations, failures)


def _without_failure(track: Track, issues: list[Dated[e.CommandIssued]], failures: dict[int, int]) -> Findings:
    for before, dated in pairwise(issues):
        failed = before.version < failures.get(before.event.attempt, 0) < dated.version
        if not failed and not _asked_for(track, before.version, dated.version):
            seen = f"attempt {dated.event.attempt} of {track.place} ({dated.event.direction}) at {dated.version}"
            yield Finding(seen, f"a failure of attempt {before.event.attempt} before it")


def _asked_for(track: Track, after: int, before: int) -> bool:
    return any(after < dated.version < before and dated.event.verb is Verb.RETRY for dated in track.acted)


@invariant("B4", Section.STREAMS)
def no_forward_after_turning_back(case: Case) -> Findings:
    """B4: Once compensation has begun no forward command is issued: no first attempt, and no further one."""
    began = case.course.began
    for track in case.course.tracks.values():
        for dated in track.issued:
            if began is not None and dated.version > began.version:
                seen = f"attempt {dated.event.attempt} of {track.place} was issued at version {dated.version}"
                yield Finding(seen, f"none after compensation began at version {began.version}")


@invariant("B5", Section.STREAMS, Section.DEFINITIONS)
def compensates_what_may_have_happened(case: Case) -> Findings:
    """B5: What was never issued, or was rejected, is not compensated; what succeeded or is unknown always is."""
    course, plan = case.course, case.plan
    for track in course.tracks.values():
        for dated in track.compensations:
            if not track.was_issued(dated.version):
                yield Finding(f"{track.place} is compensated at version {dated.version}", "its command before that")
            elif not track.may_have_effect(dated.version):
                yield Finding(f"{track.place} is compensated, though it was rejected", "nothing: it has no effect")
        call = None if plan is None else call_of(plan, track)
        if call is None or call.compensation is None or not track.issued or track.rejected or course.ended is None:
            continue
        turned_back = not isinstance(course.ended.event, e.SagaCompleted)
        left = turned_back or track.unknown_from is not None or not track.succeeded
        if left and not track.compensations and not track.by_hand(course.last, *_GIVEN_UP):
            what = "has succeeded" if track.succeeded else "is unknown"
            yield Finding(f"{track.place}, whose outcome {what}, was not compensated", "its compensation")


@invariant("B6", Section.STREAMS, Section.DEFINITIONS)
def forward_in_order(case: Case) -> Findings:
    """B6: A step is opened only after all that it needs is closed: succeeded, skipped, or its time over."""
    plan, course = case.plan, case.course
    if plan is None:
        return
    closed = {name: _closed_from(plan, course.tracks[name]) for name in course.tracks}
    for track in course.tracks.values():
        node, opened = plan.nodes.get(track.step), _opened_from(track)
        if node is None or opened is None:
            continue
        for need in node.needs:
            at = closed.get(need)
            if at is None or at > opened:
                yield Finding(f"{track.place} was opened at version {opened}, before {need} was closed", "after it")


def _opened_from(track: Track) -> int | None:
    events = (track.issued, track.skipped, track.fixed, track.set)
    return min((dated.version for found in events for dated in found), default=None)


def _closed_from(plan: Plan, track: Track) -> int | None:
    node = plan.nodes.get(track.step)
    sleeps = node is not None and isinstance(node.action, Sleep)
    events = (track.succeeded, track.skipped, track.fired if sleeps else ())
    return min((dated.version for found in events for dated in found), default=None)


@invariant("B6", Section.STREAMS, Section.DEFINITIONS)
def backward_in_order(case: Case) -> Findings:
    """B6: A compensation is issued only when all that depends on its step is undone, given up, or without effect."""
    plan, course = case.plan, case.course
    if plan is None:
        return
    for track in course.tracks.values():
        after = behind(plan, track.step)
        for dated in track.compensations:
            for other in course.tracks.values():
                if other.step in after and not _is_settled(plan, other, dated.version):
                    seen = f"{track.place} is compensated at version {dated.version}"
                    yield Finding(seen, f"{other.place}, which depends on it, to be undone or without effect before")


def _is_settled(plan: Plan, track: Track, version: int) -> bool:
    """Whether before `version` nothing more was to be done about a step."""
    if track.in_doubt(version):
        return False
    call = call_of(plan, track)
    if not track.may_have_effect(version) or call is None or call.compensation is None:
        return True
    exhausted = call.compensation.on_exhausted is OnExhausted.CONTINUE and any(
        dated.version < version and dated.event.retry_at is None for dated in track.compensation_failed
    )
    undone = any(dated.version < version for dated in track.compensated)
    return undone or exhausted or track.by_hand(version, *_GIVEN_UP)


@invariant("B7", Section.STREAMS, Section.DEFINITIONS)
def no_way_back(case: Case) -> Findings:
    """B7: Past the point of no return nothing is compensated any more: the saga goes forward, however long it takes."""
    plan, course = case.plan, case.course
    passed = None if plan is None else no_return_from(plan, course)
    if passed is None:
        return
    if course.began is not None and course.began.version > passed:
        yield Finding(f"compensation began at version {course.began.version}", f"none after version {passed}")
    for track in course.tracks.values():
        for dated in track.compensations:
            if dated.version > passed:
                seen = f"{track.place} is compensated at version {dated.version}"
                yield Finding(seen, f"no compensation after the point of no return at version {passed}")


SAGA: Final[tuple[SagaInvariant, ...]] = (
    committed_first,
    published_up_to_the_cursor,
    published_at_rest,
    same_for_every_send,
    attempts_follow_failures,
    no_forward_after_turning_back,
    compensates_what_may_have_happened,
    forward_in_order,
    backward_in_order,
    no_way_back,
)
