"""The one way into a stream: load → fold → decide → commit, for many sagas in one commit.

Replies, due times, starts, signals and operator verbs all come through here. Sends nothing: what is to be sent is in
the result, and may be sent only because this returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from saga_engine.codec import encode_event, encode_state
from saga_engine.core.decider import Decided, Decision, decide
from saga_engine.core.events import Event
from saga_engine.core.inputs import Input
from saga_engine.core.outgoing import AskAgain, Outgoing, SendCommand
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState, address
from saga_engine.core.timing import OpenCommand, late_from, next_due, open_commands, send_is_due
from saga_engine.errors import SagaEngineError, UnavailableError
from saga_engine.orchestrator.cache import Cached, StateCache
from saga_engine.orchestrator.loading import revive, still_wanted
from saga_engine.orchestrator.plans import Plans
from saga_engine.ports import (
    WHOLE,
    Append,
    Appended,
    EventStore,
    KeyTaken,
    LoadedStream,
    NewStream,
    Settlement,
    Snapshot,
)

SNAPSHOT_EVERY: Final = 200
"""Events after which a snapshot is written, so that a long stream is never read from its start."""

RECOVERED_AFTER: Final = 30_000_000
"""Microseconds after which somebody looks at a saga that still had to send something and waits for no other time."""

_LOST_RACES: Final = 8
"""How often one turn may lose its commit before its inputs are put back."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Inputs for one saga, in order; none at all just looks what is still to be sent.

    `seen`: a version that somebody read in the store; an older cached state is stale. `due_since`: the saga was found
    due, and was to be looked at from that time on: what should have been asked again since then is. `ask_again`: ask
    again for everything open. `new` begins the stream. `looked_after`: this process owns the saga's partition; else the
    saga is made due at once, so that its owner looks.
    """

    saga_id: UUID
    inputs: Sequence[Input] = ()
    seen: int = 0
    due_since: int | None = None
    ask_again: bool = False
    new: NewStream | None = None
    looked_after: bool = True


@dataclass(slots=True)
class Turned:
    """What a turn led to. `answers` stand beside its inputs.

    `late`: it has passed its `sla` since it was looked at last.
    `unsent` is everything that is not acknowledged yet, `again` the commands to ask again. `taken` is set when a start
    lost its key. `missing`: there is no such saga. `trouble`: it could not be read or decided; nothing was written.
    `cause` is the exception behind it where that is a defect or corruption, which somebody has to look into.
    """

    saga_id: UUID
    answers: Sequence[Decision] = ()
    plan: Plan | None = None
    state: SagaState | None = None
    unsent: Sequence[Outgoing] = ()
    again: Sequence[OpenCommand] = ()
    committed: bool = False
    late: bool = False
    next_due: int | None = None
    taken: KeyTaken | None = None
    missing: bool = False
    trouble: str = ""
    cause: Exception | None = None


@dataclass(slots=True)
class _Work:
    """A turn under way."""

    turn: Turn
    base: Cached
    fresh: bool
    state: SagaState
    answers: list[Decision] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    unsent: list[Outgoing] = field(default_factory=list)


class Transactor:
    """Runs turns against the store. Blocking; one call at a time, since it owns the cache."""

    def __init__(self, store: EventStore, plans: Plans, cache: StateCache, now: Callable[[], int]) -> None:
        self._store = store
        self._plans = plans
        self._cache = cache
        self._now = now

    def transact(self, turns: Sequence[Turn]) -> Sequence[Turned]:
        """Run turns of distinct sagas in one commit; those that lost theirs to somebody else are decided again.

        Raises:
            StoreUnavailableError: nothing or all may be committed; repeating the turns is safe.
        """
        done: dict[UUID, Turned] = {}
        waiting = list(turns)
        for _ in range(_LOST_RACES):
            waiting = self._round(waiting, done)
            if not waiting:
                break
        for turn in waiting:
            done[turn.saga_id] = Turned(turn.saga_id, trouble="its commit was lost to others too often")
        self._make_room()
        return [done[turn.saga_id] for turn in turns]

    def acknowledged(self, sent: Iterable[tuple[UUID, int]]) -> None:
        """The broker has acknowledged everything these sagas sent out up to a version: nothing of it is sent again.

        Of a saga that goes on the store learns it with the next append; ended ones are settled now, in one statement.
        May be repeated.
        """
        ended = []
        for saga_id, version in sent:
            cached = self._cache.get(saga_id)
            if cached is not None:
                cached.unsent = tuple(each for each in cached.unsent if each.version > version)
                if cached.state.ended_as is not None and not cached.unsent:
                    ended.append(Settlement(saga_id, cached.state.version, cached.state.version, None))
        if ended:
            self._store.settle(ended)
            for settlement in ended:
                self._cache.drop(settlement.stream_id)

    def looked_at(self, turned: Iterable[Turned]) -> None:
        """Push out the due times of sagas that were due: a commit only ever makes them earlier."""
        behind = [
            Settlement(t.saga_id, t.state.version, t.unsent[0].version - 1 if t.unsent else t.state.version, t.next_due)
            for t in turned
            if t.state is not None
        ]
        if behind:
            self._store.settle(behind)

    def hand_over(self, leaving: Callable[[UUID], bool]) -> None:
        """Forget sagas that others will look after, once the store knows all that was acknowledged for them."""
        out = [(saga_id, cached) for saga_id, cached in self._cache if leaving(saga_id)]
        self._settle(out)
        for saga_id, _ in out:
            self._cache.drop(saga_id)

    def _round(self, turns: Sequence[Turn], done: dict[UUID, Turned]) -> list[Turn]:
        """One try for all; returns the turns that must be decided again."""
        works = [work for work in self._load(turns, done) if self._decide(work, done)]
        writing = [work for work in works if work.events]
        outcomes = self._store.append([self._append(work) for work in writing]) if writing else ()
        lost: list[Turn] = []
        for work, outcome in zip(writing, outcomes, strict=True):
            if isinstance(outcome, Appended):
                done[work.turn.saga_id] = self._committed(work)
            elif isinstance(outcome, KeyTaken):
                done[work.turn.saga_id] = Turned(work.turn.saga_id, taken=outcome)
            else:
                self._cache.drop(work.turn.saga_id)
                lost.append(work.turn)
        self._snapshot(work for work, outcome in zip(writing, outcomes, strict=True) if isinstance(outcome, Appended))
        return lost + self._unchanged([work for work in works if not work.events], done)

    def _load(self, turns: Sequence[Turn], done: dict[UUID, Turned]) -> list[_Work]:
        works: list[_Work] = []
        absent: dict[UUID, Turn] = {}
        for turn in turns:
            cached = self._cache.get(turn.saga_id)
            if turn.new is not None:
                plan = self._plans.get(turn.new.definition_hash)
                new = Cached(plan, SagaState(turn.saga_id), (), 0)
                works.append(_Work(turn, new, True, new.state))
            elif cached is not None and cached.state.version >= turn.seen:
                works.append(_Work(turn, cached, False, cached.state))
            else:
                absent[turn.saga_id] = turn
        loaded = self._read(list(absent)) if absent else {}
        for saga_id, turn in absent.items():
            stream = loaded.get(saga_id)
            if stream is None:
                done[saga_id] = Turned(saga_id, missing=True)
                continue
            try:
                base = revive(stream, self._plans, self._store)
            except UnavailableError:
                raise
            except SagaEngineError as error:
                done[saga_id] = Turned(saga_id, trouble=str(error))
            except Exception as error:  # noqa: BLE001 - one corrupt stream must not stop all others
                done[saga_id] = _defect(saga_id, error)
            else:
                works.append(_Work(turn, base, True, base.state))
        return works

    def _read(self, saga_ids: Sequence[UUID]) -> Mapping[UUID, LoadedStream]:
        """Streams from their snapshots; whole, where events before the snapshot may still have to be sent."""
        loaded = self._store.load(dict.fromkeys(saga_ids, 0))
        behind = [
            saga_id
            for saga_id, stream in loaded.items()
            if stream.snapshot is not None and stream.snapshot.version > stream.head.published
        ]
        return {**loaded, **self._store.load(dict.fromkeys(behind, WHOLE))} if behind else loaded

    def _decide(self, work: _Work, done: dict[UUID, Turned]) -> bool:
        """Decide all inputs of a turn. False: the saga cannot be decided on, and the others go on without it."""
        work.unsent = list(work.base.unsent)
        try:
            for given in work.turn.inputs:
                answer = decide(work.base.plan, work.state, given)
                work.answers.append(answer)
                if isinstance(answer, Decided):
                    work.state = answer.state
                    work.events += answer.events
                    work.unsent += answer.outgoing
        except Exception as error:  # noqa: BLE001 - a defect that one saga uncovers must not stop all others
            done[work.turn.saga_id] = _defect(work.turn.saga_id, error)
            return False
        work.unsent = [sent for sent in work.unsent if still_wanted(work.state, sent)]
        return True

    def _append(self, work: _Work) -> Append:
        state, base = work.state, work.base.state.version
        after = Cached(work.base.plan, state, tuple(work.unsent), work.base.settled)
        now = self._now()
        return Append(
            stream_id=work.turn.saga_id,
            expected_version=base,
            events=[encode_event(event, base + i) for i, event in enumerate(work.events, start=1)],
            status=state.status.value,
            published=after.published,
            due=_look_at(after, now) if work.turn.looked_after else now,
            ended_at=state.ended_at,
            new=work.turn.new,
        )

    def _committed(self, work: _Work) -> Turned:
        settled = Cached(work.base.plan, work.state, tuple(work.unsent), 0).published
        cached = Cached(work.base.plan, work.state, tuple(work.unsent), settled)
        if work.turn.looked_after:
            self._cache.put(work.turn.saga_id, cached)
        return self._turned(work, cached, committed=True)

    def _turned(self, work: _Work, cached: Cached, *, committed: bool) -> Turned:
        now = self._now()
        return Turned(
            work.turn.saga_id,
            answers=work.answers,
            plan=cached.plan,
            state=cached.state,
            unsent=cached.unsent,
            again=self._again(work, cached, now),
            committed=committed,
            late=_has_become_late(cached, work.turn.due_since, now),
            next_due=_look_at(cached, now),
        )

    def _again(self, work: _Work, cached: Cached, now: int) -> list[OpenCommand]:
        since = work.turn.due_since
        everything = work.turn.ask_again or any(isinstance(sent, AskAgain) for sent in cached.unsent)
        if since is None and not everything:
            return []
        sending = {(address(s.step, s.item), s.direction) for s in cached.unsent if isinstance(s, SendCommand)}
        again = []
        for out in open_commands(cached.plan, cached.state):
            due = since is not None and send_is_due(out.timeout.reply_us, out.progress.at, since, now)
            if (due or everything) and (out.place, out.direction) not in sending:
                again.append(out)
        return again

    def _unchanged(self, works: Sequence[_Work], done: dict[UUID, Turned]) -> list[Turn]:
        """Nothing followed. That is only true if nobody else has written: an input judged by a stale state is not."""
        doubtful = [work for work in works if not work.fresh and work.turn.inputs]
        versions = self._store.versions([work.turn.saga_id for work in doubtful]) if doubtful else {}
        stale: list[Turn] = []
        for work in works:
            stored = versions.get(work.turn.saga_id)
            if stored is not None and stored != work.base.state.version:
                self._cache.drop(work.turn.saga_id)
                stale.append(work.turn)
                continue
            if work.turn.looked_after:
                self._cache.put(work.turn.saga_id, work.base)
            done[work.turn.saga_id] = self._turned(work, work.base, committed=False)
        return stale

    def _snapshot(self, works: Iterable[_Work]) -> None:
        crossed = [
            Snapshot(work.turn.saga_id, work.state.version, encode_state(work.state))
            for work in works
            if work.base.state.version // SNAPSHOT_EVERY < work.state.version // SNAPSHOT_EVERY
        ]
        if crossed:
            self._store.save_snapshots(crossed)

    def _make_room(self) -> None:
        out = self._cache.overflow()
        if out:
            self._settle(out)
            self._store.save_snapshots(
                [Snapshot(saga_id, cached.state.version, encode_state(cached.state)) for saga_id, cached in out]
            )

    def _settle(self, sagas: Sequence[tuple[UUID, Cached]]) -> None:
        now = self._now()
        behind = [
            Settlement(saga_id, cached.state.version, cached.published, _look_at(cached, now))
            for saga_id, cached in sagas
            if cached.settled < cached.published
        ]
        if behind:
            self._store.settle(behind)


def _has_become_late(cached: Cached, since: int | None, now: int) -> bool:
    late = late_from(cached.plan, cached.state)
    return late is not None and since is not None and since <= late <= now


def _look_at(cached: Cached, now: int) -> int | None:
    """When the saga must be looked at next: a saga that has something left to send is never forgotten."""
    due = next_due(cached.plan, cached.state, now)
    return now + RECOVERED_AFTER if due is None and cached.unsent else due


def _defect(saga_id: UUID, error: Exception) -> Turned:
    return Turned(saga_id, trouble=f"{type(error).__name__}: {error}", cause=error)
