"""The one way into a stream: load → fold → decide → commit, for many sagas in one commit.

Replies, due times, starts, signals and operator verbs all come through here. Sends nothing: what is to be sent is in
the result, and may be sent only because this returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import UUID

from saga_engine.codec import encode_event
from saga_engine.core.decider import Decided, Decision, decide
from saga_engine.core.events import Event
from saga_engine.core.outgoing import AskAgain, Outgoing, SendCommand
from saga_engine.core.state import SagaState, address
from saga_engine.core.timing import OpenCommand, due_after, late_from, open_commands, send_is_due
from saga_engine.envelope import EventRecord
from saga_engine.orchestrator.cache import Cached, StateCache
from saga_engine.orchestrator.inline import inline
from saga_engine.orchestrator.loading import Unloadable, load, revived_at_once, still_wanted
from saga_engine.orchestrator.plans import Plans
from saga_engine.orchestrator.tuning import Tuning
from saga_engine.orchestrator.turns import Turn, Turned
from saga_engine.orchestrator.upkeep import Upkeep
from saga_engine.ports.store import Append, Appended, EventStore, KeyTaken, RunSync

RECOVERED_AFTER: Final = 30_000_000
"""Microseconds after which somebody looks at a saga that still had to send something and waits for no other time."""

_TRIES: Final = 8
"""How often one turn may lose its commit before its inputs are put back."""


@dataclass(slots=True, eq=False)
class _Work:
    """A turn under way: the `index`-th of its batch. `next_due` is known once all its inputs are decided."""

    index: int
    turn: Turn
    base: Cached
    fresh: bool
    state: SagaState
    unsent: Sequence[Outgoing]
    answers: list[Decision] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    records: Sequence[EventRecord] = ()
    due: int | None = None
    rests: bool = False
    moves_due: bool = False

    @property
    def over(self) -> bool:
        """Nothing is left to do: it has ended, and the world knows all about it."""
        return not self.unsent and self.state.ended_as is not None


class Transactor:
    """Runs turns against the store. Owns the cache, so that only one thread may call it.

    Several batches may be under way at once as long as they share no saga: while the store works on one (`run_sync`),
    the next is decided.
    """

    def __init__(
        self,
        store: EventStore,
        plans: Plans,
        cache: StateCache,
        now: Callable[[], int],
        run_sync: RunSync = inline,
        tuning: Tuning | None = None,
    ) -> None:
        tuning = tuning or Tuning()
        self._store = store
        self._plans = plans
        self._cache = cache
        self._now = now
        self._run_sync = run_sync
        self._snapshot_every = tuning.snapshot_every
        self.upkeep = Upkeep(store, cache, run_sync, tuning.snapshot_from)

    @property
    def cached(self) -> int:
        """How many folded sagas are kept."""
        return len(self._cache)

    async def transact(self, turns: Sequence[Turn], tries: int = _TRIES) -> Sequence[Turned]:
        """Run turns of distinct sagas in one commit; those that lost theirs to somebody else are decided again.

        `tries`: how often at most, at once; those that have lost by then are `overtaken`.

        Raises:
            StoreUnavailableError: nothing or all may be committed; repeating the turns is safe.
        """
        done: dict[int, Turned] = {}
        waiting: Sequence[tuple[int, Turn]] = list(enumerate(turns))
        for _ in range(tries):
            waiting = await self._round(waiting, done)
            if not waiting:
                break
        for index, turn in waiting:
            done[index] = Turned(turn.saga_id, overtaken=True, trouble="its commit was lost to others too often")
        await self.upkeep.make_room()
        return [done[index] for index in range(len(turns))]

    def forget(self, saga_id: UUID) -> None:
        """Read this saga anew when it is worked on next: what is known of it may be what is wrong."""
        self._cache.drop(saga_id)

    async def _round(self, turns: Sequence[tuple[int, Turn]], done: dict[int, Turned]) -> list[tuple[int, Turn]]:
        """One try for all; returns the turns that must be decided again."""
        works = await self._begin(turns, done)
        now = self._now()
        works = [work for work in works if self._decide(work, done, now)]
        writing = [work for work in works if work.events]
        lost: list[tuple[int, Turn]] = []
        if writing:
            appends = [self._append(work, now) for work in writing]
            outcomes = await self._run_sync(partial(self._store.append, appends))
            crossed: list[SagaState] = []
            for work, outcome in zip(writing, outcomes, strict=True):
                if isinstance(outcome, Appended):
                    done[work.index] = self._committed(work, now)
                    if _crossed(work, self._snapshot_every):
                        crossed.append(work.state)
                elif isinstance(outcome, KeyTaken):
                    done[work.index] = Turned(work.turn.saga_id, taken=outcome)
                else:
                    self._cache.drop(work.turn.saga_id)
                    lost.append((work.index, work.turn))
            if crossed:
                await self.upkeep.snapshot(crossed)
        unchanged = [work for work in works if not work.events]
        if unchanged:
            lost += await self._unchanged(unchanged, done, now)
        return lost

    async def _begin(self, turns: Sequence[tuple[int, Turn]], done: dict[int, Turned]) -> list[_Work]:
        works: list[_Work] = []
        absent: list[tuple[int, Turn]] = []
        for index, turn in turns:
            cached = self._cache.get(turn.saga_id)
            if turn.new is not None:
                plan = self._plans.get(turn.new.definition_hash)
                cached = Cached(plan, SagaState(turn.saga_id), (), 0)
                works.append(_Work(index, turn, cached, True, cached.state, ()))
            elif cached is not None and cached.state.version >= turn.seen:
                works.append(_Work(index, turn, cached, False, cached.state, cached.unsent))
            elif (base := self._at_once(turn)) is not None:
                works.append(_Work(index, turn, base, True, base.state, base.unsent))
            else:
                absent.append((index, turn))
        if absent:
            works += await self._load(absent, done)
        return works

    def _at_once(self, turn: Turn) -> Cached | None:
        """The saga as it was read for this turn, if it was. Only once: a commit that is lost shows that it is stale."""
        loaded, turn.loaded = turn.loaded, None
        if loaded is None or loaded.head.version < turn.seen:
            return None
        return revived_at_once(loaded, self._plans)

    async def _load(self, absent: Sequence[tuple[int, Turn]], done: dict[int, Turned]) -> list[_Work]:
        works: list[_Work] = []
        ids = [turn.saga_id for _, turn in absent]
        loaded = await self._run_sync(partial(load, self._store, self._plans, ids))
        for index, turn in absent:
            base = loaded.get(turn.saga_id)
            if base is None:
                done[index] = Turned(turn.saga_id, missing=True)
            elif isinstance(base, Unloadable):
                done[index] = Turned(turn.saga_id, trouble=base.reason, cause=base.cause)
            else:
                works.append(_Work(index, turn, base, True, base.state, base.unsent))
        return works

    def _decide(self, work: _Work, done: dict[int, Turned], now: int) -> bool:
        """Decide all inputs of a turn. False: the saga cannot be decided on, and the others go on without it."""
        unsent, plan = list(work.unsent), work.base.plan
        try:
            for given in work.turn.inputs:
                answer = decide(plan, work.state, given)
                work.answers.append(answer)
                if isinstance(answer, Decided):
                    work.state = answer.state
                    work.events += answer.events
                    unsent += answer.outgoing
            base = work.base.state.version
            work.records = [encode_event(event, base + i) for i, event in enumerate(work.events, start=1)]
            work.unsent = [sent for sent in unsent if still_wanted(work.state, sent)]
            if work.turn.looked_after:
                work.due = due_after(plan, work.state, work.events, work.base.due, now)
        except Exception as error:  # noqa: BLE001 - a defect that one saga uncovers must not stop all others
            done[work.index] = Turned(work.turn.saga_id, trouble=f"{type(error).__name__}: {error}", cause=error)
            return False
        work.rests = work.due is None
        if work.rests and work.unsent:
            # A saga that has something left to send is never forgotten.
            work.due = now + RECOVERED_AFTER
        return True

    def _append(self, work: _Work, now: int) -> Append:
        turn, state = work.turn, work.state
        work.moves_due = _moves_due(work, now)
        return Append(
            stream_id=turn.saga_id,
            expected_version=work.base.state.version,
            events=work.records,
            status=state.status.value,
            published=work.unsent[0].version - 1 if work.unsent else state.version,
            due=work.due if turn.looked_after else now,
            ended_at=state.ended_at,
            new=turn.new,
            moves_due=work.moves_due,
        )

    def _committed(self, work: _Work, now: int) -> Turned:
        cached, turn = work.base, work.turn
        turned = self._turned(work, now, committed=True)
        if not turn.looked_after:
            return turned
        cached.row_due = work.due if work.moves_due else _earlier(cached.row_due, work.due)
        cached.state, cached.unsent, cached.due, cached.rests = work.state, work.unsent, work.due, work.rests
        cached.settled = cached.published
        self.upkeep.told(turn.saga_id)
        if work.over:
            self._cache.drop(turn.saga_id)
        else:
            self._cache.put(turn.saga_id, cached)
        return turned

    def _turned(self, work: _Work, now: int, *, committed: bool) -> Turned:
        turn, plan, state = work.turn, work.base.plan, work.state
        turned = Turned(turn.saga_id, work.answers, plan, state, work.unsent)
        turned.committed = committed
        turned.next_due = work.due
        turned.again = _again(work, now)
        if turn.due_since is not None:
            late = late_from(plan, state)
            turned.late = late is not None and turn.due_since <= late <= now
        return turned

    async def _unchanged(self, works: Sequence[_Work], done: dict[int, Turned], now: int) -> list[tuple[int, Turn]]:
        """Nothing followed. That is only true if nobody else has written: an input judged by a stale state is not."""
        doubtful = [work.turn.saga_id for work in works if not work.fresh and work.turn.inputs]
        versions = await self._run_sync(partial(self._store.versions, doubtful)) if doubtful else {}
        stale: list[tuple[int, Turn]] = []
        for work in works:
            saga_id, cached = work.turn.saga_id, work.base
            stored = versions.get(saga_id) if doubtful else None
            if stored is not None and stored != cached.state.version:
                self._cache.drop(saga_id)
                stale.append((work.index, work.turn))
                continue
            done[work.index] = self._turned(work, now, committed=False)
            if work.turn.looked_after:
                cached.unsent, cached.due, cached.rests = work.unsent, work.due, work.rests
                self._cache.put(saga_id, cached)
                if work.turn.due_since is not None:
                    self.upkeep.found_due(saga_id, cached)
        return stale


def _crossed(work: _Work, every: int) -> bool:
    """Whether the next of the versions at which a snapshot is written was reached."""
    version = work.state.version
    return (version - len(work.events)) // every < version // every


def _again(work: _Work, now: int) -> Sequence[OpenCommand]:
    since, everything = work.turn.due_since, work.turn.ask_again
    for sent in work.unsent:
        everything = everything or isinstance(sent, AskAgain)
    if since is None and not everything:
        return ()
    sending = {(address(s.step, s.item), s.direction) for s in work.unsent if isinstance(s, SendCommand)}
    again = []
    for out in open_commands(work.base.plan, work.state):
        due = since is not None and send_is_due(out.timeout.reply_us, out.progress.at, since, now)
        if (due or everything) and (out.place, out.direction) not in sending:
            again.append(out)
    return again


def _moves_due(work: _Work, now: int) -> bool:
    """Whether the row is told when the saga is due even if that is later: its own time has passed, or it is over."""
    if not work.turn.looked_after:
        return False
    row_due = work.base.row_due
    return work.over or work.turn.due_since is not None or (row_due is not None and row_due <= now)


def _earlier(one: int | None, other: int | None) -> int | None:
    return one if other is None or (one is not None and one <= other) else other
