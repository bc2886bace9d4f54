"""Group C: effects. What participants did, told from the ledger that they wrote in the transaction of each effect.

Owns these invariants. Which of two rows came first is known by their order, or between participants by their time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from saga_engine.audit.case import Case, Surroundings
from saga_engine.audit.course import Track
from saga_engine.audit.graph import behind, call_of
from saga_engine.audit.history import Section
from saga_engine.audit.invariant import CommonInvariant, Finding, Findings, SagaInvariant, invariant
from saga_engine.audit.records.messages import Carried
from saga_engine.audit.records.participants import LedgerKind, LedgerRow
from saga_engine.core import events as e
from saga_engine.core.events import Direction, Verb
from saga_engine.core.inputs import Outcome
from saga_engine.core.state import address
from saga_engine.definition.model import Kind, OnExhausted
from saga_engine.envelope import parse_key


def _rows(case: Case, kind: LedgerKind) -> Mapping[str, Sequence[LedgerRow]]:
    """The rows of one kind by place."""
    rows: defaultdict[str, list[LedgerRow]] = defaultdict(list)
    for row in case.saga.ledger:
        if row.kind is kind:
            rows[address(row.step, row.item)].append(row)
    return rows


@invariant("C1", Section.LEDGER)
def one_effect(case: Case) -> Findings:
    """C1: A step, or an item of one, takes effect at most once, however often its command is sent."""
    for place, rows in _rows(case, LedgerKind.EFFECT).items():
        if len(rows) > 1 and all(row.fenced for row in rows):
            yield Finding(f"{place} took effect {len(rows)} times", "once")


@invariant("C2", Section.LEDGER, Section.STREAMS, Section.DEFINITIONS)
def completed_means_done(case: Case) -> Findings:
    """C2: Of a completed saga every step on its way took effect once and stands; what was skipped has no effect."""
    ended, plan = case.course.ended, case.plan
    if ended is None or plan is None or not isinstance(ended.event, e.SagaCompleted):
        return
    done, undone = _rows(case, LedgerKind.EFFECT), _rows(case, LedgerKind.COMPENSATION)
    for track in case.course.tracks.values():
        call = call_of(plan, track)
        if call is None or (call.for_each is not None and track.item is None):
            continue
        net = len(done.get(track.place, ())) - len(undone.get(track.place, ()))
        if track.succeeded and track.issued:
            fenced = all(row.fenced for row in done.get(track.place, ()))
            if net < 1 or (net > 1 and fenced) or track.place in undone:
                yield Finding(f"{track.place} has {net} effects in a completed saga", "one, not undone")
        elif net and (track.rejected or track.skipped or (call.compensation is not None and not _stands(case, track))):
            yield Finding(f"{track.place} has {net} effects, though it did not succeed", "none")


def _stands(case: Case, track: Track) -> bool:
    """Whether an effect may stand.

    So it is when an operator or the definition gave up its compensation, or a person saw to it where no ledger shows.
    """
    if track.by_hand(case.course.last + 1, Verb.SKIP, Verb.RESOLVE):
        return True
    call = None if case.plan is None else call_of(case.plan, track)
    exhausted = any(dated.event.retry_at is None for dated in track.compensation_failed)
    compensation = None if call is None else call.compensation
    return exhausted and compensation is not None and compensation.on_exhausted is OnExhausted.CONTINUE


@invariant("C3", Section.LEDGER, Section.STREAMS, Section.DEFINITIONS)
def compensated_means_undone(case: Case) -> Findings:
    """C3: Of a compensated saga every effect was undone, once; of a closed one all but those that were given up."""
    ended, plan = case.course.ended, case.plan
    if ended is None or plan is None or isinstance(ended.event, e.SagaCompleted):
        return
    done, undone = _rows(case, LedgerKind.EFFECT), _rows(case, LedgerKind.COMPENSATION)
    for place in dict.fromkeys([*done, *undone]):
        effects, compensations = len(done.get(place, ())), len(undone.get(place, ()))
        if compensations > 1 and all(row.fenced for row in undone[place]):
            yield Finding(f"{place} was undone {compensations} times", "once")
        track = case.course.tracks.get(place)
        call = None if track is None else call_of(plan, track)
        if track is None or call is None:
            yield Finding(f"{place} took effect, but the stream does not know it", "a step of the saga")
        elif call.compensation is not None and effects != compensations and not _stands(case, track):
            yield Finding(f"{place} took effect {effects} times and was undone {compensations} times", "as often")


@invariant("C4", Section.LEDGER, Section.STREAMS, Section.DEFINITIONS)
def undone_in_reverse(case: Case) -> Findings:
    """C4: Effects are undone in the reverse order of the graph; steps that do not depend on each other in any."""
    if case.plan is None or case.course.began is None:
        return
    ordered = Section.ORDER in case.around.sections
    undone = _rows(case, LedgerKind.COMPENSATION)
    for place, rows in undone.items():
        after = behind(case.plan, rows[0].step)
        for other, later in undone.items():
            track = case.course.tracks.get(other)
            # One that was given up is not waited for, and may still be done.
            if later[0].step not in after or (track is not None and _stands(case, track)):
                continue
            if _comes_after(later[0], rows[0], ordered=ordered):
                yield Finding(f"{place} was undone before {other}, which depends on it", "after it")


def _comes_after(one: LedgerRow, other: LedgerRow, *, ordered: bool) -> bool:
    if ordered or one.participant == other.participant:
        return one.order > other.order
    return one.at > other.at


@invariant("C5", Section.LEDGER)
def none_after_the_tombstone(case: Case) -> Findings:
    """C5: Once a step's compensation has run, its command takes no effect any more, however late it comes."""
    done = _rows(case, LedgerKind.EFFECT)
    for kind in (LedgerKind.COMPENSATION, LedgerKind.EMPTY_COMPENSATION):
        for place, rows in _rows(case, kind).items():
            for effect in done.get(place, ()):
                before = [row for row in rows if row.participant == effect.participant and row.order < effect.order]
                if before and effect.fenced:
                    yield Finding(f"{place} took effect after its compensation", "a refusal by the tombstone")


@invariant("C6", Section.LEDGER)
def empty_changes_nothing(case: Case) -> Findings:
    """C6: A compensation that finds nothing to undo is recorded and changes nothing; another one undoes an effect."""
    done = _rows(case, LedgerKind.EFFECT)
    for place, rows in _rows(case, LedgerKind.EMPTY_COMPENSATION).items():
        for row in rows:
            if row.amount:
                yield Finding(f"the empty compensation of {place} changed {row.amount}", "no change")
            if any(
                effect.order < row.order and effect.participant == row.participant for effect in done.get(place, ())
            ):
                yield Finding(f"the compensation of {place} found nothing, but there was an effect", "it is undone")
    for place, rows in _rows(case, LedgerKind.COMPENSATION).items():
        if place not in done and all(row.fenced for row in rows):
            yield Finding(f"{place} was undone, but had no effect", "an empty compensation")


@invariant("C7", Section.LEDGER, Section.STREAMS)
def rejected_means_no_effect(case: Case) -> Findings:
    """C7: A step that was rejected has no effect, and neither has one whose participant has said so for good."""
    done = _rows(case, LedgerKind.EFFECT)
    rejected = {track.place for track in case.course.tracks.values() if track.rejected and track.issued}
    for place in sorted(rejected | set(_rejections(case))):
        if any(row.fenced for row in done.get(place, ())):
            yield Finding(f"{place} was rejected, but took effect", "no effect")


def _rejections(case: Case) -> Iterator[str]:
    """Places whose participant has rejected the command for good, on the wire."""
    for sent in case.saga.published:
        if sent.carried is not Carried.REPLY or sent.forged or sent.outcome is not Outcome.REJECTED or not sent.fenced:
            continue
        place = parse_key(sent.key)
        if place is None or place.direction is Direction.COMPENSATE:
            continue
        node = None if case.plan is None else case.plan.nodes.get(place.step)
        call = None if node is None else node.call
        # Past the point of no return a rejection is a failed attempt, and another may succeed.
        if call is not None and call.kind in (Kind.COMPENSATABLE, Kind.PIVOT):
            yield address(place.step, place.item)


@invariant("C8", Section.BALANCES)
def conserved(around: Surroundings) -> Findings:
    """C8: At rest the sum of all accounts is what it was at the start, and none has gone below zero."""
    before, after = Counter[str](), Counter[str]()
    for balance in around.balances:
        (after if balance.at_rest else before)[balance.account] += balance.amount
        if balance.lowest < 0:
            yield Finding(f"{balance.account} at {balance.participant} went down to {balance.lowest}", "never below 0")
    for account in sorted({*before, *after}):
        if before[account] != after[account]:
            yield Finding(f"the sum of {account} is {after[account]} at rest", f"{before[account]}, as at the start")


@invariant("C9", Section.LOCKS, Section.STREAMS)
def holds_no_lock(case: Case) -> Findings:
    """C9: A saga that has ended holds no semantic lock at any participant, unless a person saw to a compensation."""
    ended = case.course.ended
    last = case.course.last + 1
    by_hand = any(track.by_hand(last, Verb.SKIP, Verb.RESOLVE) for track in case.course.tracks.values())
    if ended is None or by_hand or isinstance(ended.event, e.SagaClosed):
        return
    for lock in case.saga.locks:
        yield Finding(f"{lock.what} at {lock.participant} is locked by a saga that has ended", "no lock")


SAGA: Final[tuple[SagaInvariant, ...]] = (
    one_effect,
    completed_means_done,
    compensated_means_undone,
    undone_in_reverse,
    none_after_the_tombstone,
    empty_changes_nothing,
    rejected_means_no_effect,
    holds_no_lock,
)
COMMON: Final[tuple[CommonInvariant, ...]] = (conserved,)
