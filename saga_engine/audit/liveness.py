"""Group E: liveness. Sagas end or say why not, for reasons that are their author's, and leave nothing behind.

Owns these invariants, at rest after faults as well as in a store that is at work.
"""

from __future__ import annotations

from typing import Final

from saga_engine.audit.case import Case, Surroundings
from saga_engine.audit.course import Track
from saga_engine.audit.graph import call_of
from saga_engine.audit.history import Section
from saga_engine.audit.invariant import CommonInvariant, Finding, Findings, SagaInvariant, invariant
from saga_engine.core.bounds import MOST_EVENTS, TOO_MANY_EVENTS
from saga_engine.core.events import Verb
from saga_engine.core.state import StepStatus
from saga_engine.definition.model import Call, Retry

LONG_US: Final = 10 * 60 * 1_000_000
"""How long a saga may be overdue, or have something unpublished, before an audit names it."""

_EXPRESSION: Final = "expression"


@invariant("E1", Section.STREAMS, Section.REST)
def comes_to_an_end(case: Case) -> Findings:
    """E1: At rest every saga has ended, or is blocked with a reason, or waits for what only people can give."""
    state = case.folded
    if state is None or case.course.ended is not None or state.suspended:
        return
    reasons = {track.place for track in case.course.tracks.values() if track.blocked}
    unexplained = [place for place in state.blocked if place not in reasons]
    waits = [place for place in state.active if state.steps[place].status is not StepStatus.WAITING]
    endless = [place for place in state.active if state.steps[place].due is None]
    if unexplained:
        yield Finding(f"{', '.join(unexplained)} is blocked without a reason", "its last error")
    elif not state.blocked and (waits or not endless):
        yield Finding(f"the saga is {state.status}", "completed, compensated, closed or blocked")


@invariant("E1", Section.STREAMS, Section.NOW)
def is_looked_at(case: Case) -> Findings:
    """E1: No saga is forgotten: one that waits for anything is due at some time, and is looked at when it is."""
    state, row, now = case.folded, case.saga.row, case.around.now
    if state is None or row is None or now is None or case.course.ended is not None or state.suspended:
        return
    due = row.head.next_due
    timed = [place for place in state.active if state.steps[place].status is not StepStatus.WAITING]
    timed += [place for place in state.active if state.steps[place].due is not None and place not in timed]
    if due is None and timed:
        yield Finding(f"{', '.join(timed)} waits, but the saga is never due", "a time at which it is looked at")
    elif due is not None and due < now - LONG_US:
        minutes = (now - due) // 60_000_000
        yield Finding(f"it has been due for {minutes} minutes", "to be looked at: is an orchestrator running?")


@invariant("E2", Section.STREAMS, Section.DEFINITIONS)
def turns_back_for_a_reason(case: Case) -> Findings:
    """E2: A saga is compensated only for a reason of its author's: a rejection, spent attempts, a limit, a cancel."""
    began, plan, course = case.course.began, case.plan, case.course
    if began is None or plan is None or course.started is None:
        return
    step, expected = began.event.step, "a rejection, spent attempts, or a limit of the definition"
    if step is not None:
        tracks = [track for track in course.of(step) if _failed_for_a_reason(case, track, began.version)]
        if not tracks:
            yield Finding(f"compensation began because of {step} ({began.event.code})", expected)
    elif began.event.code == TOO_MANY_EVENTS:
        if began.version <= MOST_EVENTS:
            yield Finding(f"{began.version} events were too many", f"more than {MOST_EVENTS}")
    elif began.event.code == "saga_timeout":
        limit = plan.definition.timeout_us
        if limit is None or began.event.at < case.course.events[0].event.at + limit:
            yield Finding(f"the saga was timed out at {began.event.at}", f"its own time limit ({limit} us) to be over")
    elif not any(dated.version < began.version and dated.event.accepted for dated in course.cancels):
        yield Finding(f"compensation began with code {began.event.code}", "a cancel before it")


def _failed_for_a_reason(case: Case, track: Track, version: int) -> bool:
    if any(dated.version < version for dated in track.rejected):
        return True
    call = None if case.plan is None else call_of(case.plan, track)
    if call is None:
        return False
    for failed in track.failed:
        if failed.version < version and failed.event.retry_at is None:
            return _is_spent(call.retry, failed.event.attempt, failed.event.code) or not failed.event.fenced
    limit = call.timeout.total_us
    return limit is not None and any(
        dated.version < version and dated.event.at >= track.issued[0].event.at + limit for dated in track.given_up
    )


def _is_spent(retry: Retry, attempts: int, code: str) -> bool:
    return code in retry.non_retryable_errors or (
        retry.maximum_attempts is not None and attempts >= retry.maximum_attempts
    )


@invariant("E2", Section.STREAMS, Section.DEFINITIONS)
def blocks_for_a_reason(case: Case) -> Findings:
    """E2: A step is blocked only when its attempts or its time are spent, or its expression has no value."""
    for track in case.course.tracks.values():
        call = None if case.plan is None else call_of(case.plan, track)
        for dated in track.blocked:
            if dated.event.code == _EXPRESSION and not _was_asked(track, dated.version):
                continue
            if dated.version > MOST_EVENTS:
                continue
            if call is None or not _undo_is_spent(track, call, dated.version):
                seen = f"{track.place} was blocked at version {dated.version} ({dated.event.code})"
                yield Finding(seen, "as many failures as its policy allows, or its limit to be over")


def _was_asked(track: Track, version: int) -> bool:
    return any(dated.version < version for dated in track.compensations)


def _undo_is_spent(track: Track, call: Call, version: int) -> bool:
    failures = [dated for dated in track.compensation_failed if dated.version < version]
    if call.compensation is None or not failures:
        return False
    retried = max((a.version for a in track.acted if a.event.verb is Verb.RETRY and a.version < version), default=0)
    before = [dated.event.attempt for dated in track.compensations if dated.version < retried]
    last, how = failures[-1], call.compensation
    if _is_spent(how.retry, last.event.attempt - max(before, default=0), last.event.code):
        return True
    limit = how.timeout.total_us
    since = max(track.compensations[0].event.at, *(a.event.at for a in track.acted if a.version <= retried), 0)
    return limit is not None and last.event.at >= since + limit


@invariant("E4", Section.STREAMS, Section.REST)
def ended_is_done_with(case: Case) -> Findings:
    """E4: At rest nobody looks after a saga that has ended: it is due at no time."""
    row = case.saga.row
    if row is not None and case.course.ended is not None and row.head.next_due is not None:
        yield Finding(f"it ended, and is due at {row.head.next_due}", "no due time")


@invariant("E4", Section.STREAMS, Section.NOW)
def publishes_in_time(case: Case) -> Findings:
    """E4: What was committed is published before long."""
    row, now = case.saga.row, case.around.now
    if row is None or now is None or not case.stored or case.course.ended is None:
        return
    if row.head.published < row.head.version and case.stored[-1].at < now - LONG_US:
        minutes = (now - case.stored[-1].at) // 60_000_000
        seen = f"it ended {minutes} minutes ago, and is published up to version {row.head.published}"
        yield Finding(seen, f"version {row.head.version}: is an orchestrator running, and the broker there?")


@invariant("E4", Section.REMAINDERS)
def nothing_is_left(around: Surroundings) -> Findings:
    """E4: At rest no message is unacknowledged, no timer set and no task left above the baseline."""
    for left in around.remainders:
        if left.count:
            yield Finding(f"{left.count} {left.what} left at rest", "none")


SAGA: Final[tuple[SagaInvariant, ...]] = (
    comes_to_an_end,
    is_looked_at,
    turns_back_for_a_reason,
    blocks_for_a_reason,
    ended_is_done_with,
    publishes_in_time,
)
COMMON: Final[tuple[CommonInvariant, ...]] = (nothing_is_left,)
