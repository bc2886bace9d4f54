"""Bugs of the orchestrator around its decisions: what it sends and when, what it acknowledges, and what it believes."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from saga_engine.core.plan import Plan
from saga_engine.core.timing import OpenCommand
from saga_engine.envelope import Message
from saga_engine.orchestrator import loading, transact
from saga_engine.orchestrator.agenda import Entry
from saga_engine.orchestrator.batches import Batches
from saga_engine.orchestrator.cache import Cached
from saga_engine.orchestrator.relay import Relay, Sent
from saga_engine.orchestrator.tokens import TokenFault, Tokens, _Mac
from saga_engine.orchestrator.transact import Transactor, _Work
from saga_engine.orchestrator.turns import Turned
from saga_engine.ports.store import Append, LoadedStream
from tests.simulation.bugs.seeded import Replacement, SeededBug, seeded


@seeded("B1")
def sent_before_the_commit() -> Iterator[Replacement]:
    """What was decided is sent while the store is still busy with it, to save a round trip."""
    begin, append = Batches.__init__, Transactor._append
    decided: dict[Transactor, list[Turned]] = {}

    def remember(self: Transactor, work: _Work, now: int) -> Append:
        if self in decided:
            # Not a client's: it sends nothing.
            decided[self].append(self._turned(work, now, committed=True))
        return append(self, work, now)

    def begin_eagerly(self: Batches, *parts: Any, **more: Any) -> None:  # Any: passed on as given
        begin(self, *parts, **more)
        transactor, run_sync = self._transactor, self._transactor._run_sync
        decided[transactor] = []

        async def send_first(call: Callable[[], object], /) -> object:
            waiting, decided[transactor] = decided[transactor], []
            if waiting:
                await self._relay.send(waiting)
            return await run_sync(call)

        vars(transactor)["_run_sync"] = send_first

    yield Replacement(Transactor, "_append", remember)
    yield Replacement(Batches, "__init__", begin_eagerly)


@seeded("B2")
def the_cursor_moved_before_the_acknowledgement() -> Iterator[Replacement]:
    """What was handed to the broker counts as published, whether it says so or not."""
    real = Relay.send

    async def send(self: Relay, turned: Sequence[Turned]) -> Sent:
        sent = await real(self, turned)
        complete = [(turn.saga_id, turn.state.version) for turn in turned if turn.state is not None]
        return Sent(complete, (), sent.commands, sent.again)

    yield Replacement(Relay, "send", send)


@seeded("B2", "E4")
def what_was_not_published_forgotten_after_a_crash() -> Iterator[Replacement]:
    """A saga that is read from the store is taken up where it is; what it had sent out is past."""
    real = loading.revive

    def revive(loaded: LoadedStream, plan: Plan) -> Cached:
        cached = real(loaded, plan)
        cached.unsent = ()
        return cached

    yield Replacement(loading, "revive", revive)


@seeded("B2")
def events_reordered_by_a_failed_publish() -> Iterator[Replacement]:
    """All events of a saga are published at once, and those that failed once more later."""
    real = Relay._publish

    async def publish(
        self: Relay, wave: Sequence[tuple[UUID, Message]], later: Mapping[UUID, deque[Message]]
    ) -> set[UUID]:
        behind = [(saga_id, message) for saga_id, messages in later.items() for message in messages]
        return await real(self, [*wave, *behind], {})

    yield Replacement(Relay, "_publish", publish)


@seeded("E1")
def a_command_sent_only_once() -> Iterator[Replacement]:
    """A command that the broker has acknowledged will be delivered, so it need never be sent again."""

    def again(work: _Work, now: int) -> Sequence[OpenCommand]:
        return ()

    yield Replacement(transact, "_again", again)


@seeded("D1")
def a_reply_acknowledged_before_it_is_committed() -> Iterator[Replacement]:
    """Replies are acknowledged when they are taken, so that they do not come again while the store is busy."""
    real = Batches._work

    async def work(self: Batches, batch: dict[UUID, Entry]) -> None:
        await self._intake.done_with([delivery for entry in batch.values() for delivery in entry.deliveries])
        await real(self, batch)

    yield Replacement(Batches, "_work", work)


@seeded("D1")
def a_reply_judged_late_by_a_stale_cache() -> Iterator[Replacement]:
    """A reply that changes nothing in the cached state is done with, without a look at the stored version."""
    real = Transactor._unchanged

    def unchanged(self: Transactor, works: Sequence[_Work], done: dict[int, Turned], now: int) -> Awaitable[object]:
        for work in works:
            work.fresh = True
        return real(self, works, done, now)

    yield Replacement(Transactor, "_unchanged", unchanged)


@seeded("D2")
def the_token_not_checked() -> Iterator[Replacement]:
    """Whoever can publish a reply was asked: the servers let nobody else in."""

    def fault(self: Tokens, token: str, key: str, participant: str) -> TokenFault | None:
        return None

    yield Replacement(Tokens, "fault", fault)


@seeded("D2")
def the_token_of_another_step_accepted() -> Iterator[Replacement]:
    """The token says that a participant was asked something, but not what."""
    real = _Mac.of

    def of(self: _Mac, key: str, participant: str) -> str:
        return real(self, "", participant)

    yield Replacement(_Mac, "of", of)


BUGS: Final[tuple[SeededBug, ...]] = (
    sent_before_the_commit,
    the_cursor_moved_before_the_acknowledgement,
    what_was_not_published_forgotten_after_a_crash,
    events_reordered_by_a_failed_publish,
    a_command_sent_only_once,
    a_reply_acknowledged_before_it_is_committed,
    a_reply_judged_late_by_a_stale_cache,
    the_token_not_checked,
    the_token_of_another_step_accepted,
)
