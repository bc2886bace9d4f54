"""The whole engine in one process, in memory and in virtual time: the real parts, wired by hand.

Owns the wiring and the passing of time. Knows no test and no definition language.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import Engine

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.core.state import Status
from saga_engine.definition.model import Definition, Json
from saga_engine.envelope import PARTITIONS
from saga_engine.identifiers import TimeOrderedIds
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.service import Orchestrator
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.orchestrator.tuning import Tuning
from saga_engine.participant.worker import Worker
from saga_engine.sql.engine import open_engine
from saga_engine.sql.indexes import indexed_engine_tables
from saga_engine.sql.schema import inbox_tables
from saga_engine.testing.scripted import ScriptedParticipant
from saga_engine.testing.silence import SilenceableTransport
from saga_engine.testing.virtual_time import BEGIN, VirtualClock, VirtualLoop

T = TypeVar("T")

Definitions = Mapping[str, Mapping[int, Definition]]

_IN_MEMORY: Final = "sqlite:///:memory:"
_IDLY_S: Final = 30 * 86_400.0
"""How often the parts look after themselves. Seldom: `_ring` tells them when there is something to do."""

_FAR: Final = 2**62
_MOST_MOVES: Final = 5_000
"""How often time may jump before what a saga is waited for is given up."""

_MOST_IDLE_MOVES: Final = 500
"""The same, without any event of the saga: its commands are sent again and again."""


class NeverEndsError(Exception):
    """What was waited for does not happen: nothing is left to happen, or the same happens over and over."""


@dataclass(frozen=True, slots=True)
class Household:
    """What a participant's worker is given: where its tables come from, and what its handlers see as `ctx.settings`.

    `migrations` None: the inbox is all there is in its database.
    """

    migrations: Path | None = None
    settings: Mapping[str, Mapping[str, Json]] | None = None


class InMemoryEngine:
    """Orchestrator, workers, store and broker. Everything blocks, and nothing happens between two calls."""

    def __init__(
        self,
        definitions: Definitions,
        participants: Callable[[VirtualClock], Iterable[ScriptedParticipant]],
        household: Household,
        seed: int,
    ) -> None:
        self._runner = asyncio.Runner(loop_factory=VirtualLoop)
        loop = self._runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        self._loop = loop
        self.clock = VirtualClock(loop)
        self.broker = MemoryBroker(ack_wait=3 * _IDLY_S)
        self.databases: dict[str, Engine] = {}
        self.store = _store(self.clock, seed)
        ids = TimeOrderedIds(Random(f"ids {seed}").randbytes)
        self.client = Client(self.store, lambda: definitions, ids, self.clock)
        self.participants = {participant.name: participant for participant in participants(self.clock)}
        services = [
            self._orchestrator().run(),
            *(self._worker(one, household).run() for one in self.participants.values()),
        ]
        self._tasks = [loop.create_task(service) for service in services]
        self.settle()

    def settle(self) -> None:
        """Let everything happen that can happen without time passing."""
        self._loop.call_soon(self._ring)
        self._loop.settle()
        for task in self._tasks:
            if task.done():
                task.result()

    def advance(self, microseconds: int) -> None:
        """Let so much time pass; what falls due meanwhile happens when it is due."""
        end = self._loop.time() + microseconds / 1_000_000
        while (following := self._following()) is not None and following <= end:
            self._loop.advance(following)
            self.settle()
        self._loop.advance(end)
        self.settle()

    def advance_until(self, saga_id: UUID, reached: Callable[[Status], bool]) -> None:
        """Let time pass until a saga has such a status.

        Raises:
            NeverEndsError: it never has, as far as can be seen.
        """
        version = idle = 0
        for _ in range(_MOST_MOVES):
            head = self.client.status(saga_id)
            if reached(Status(head.status)):
                return
            version, idle = head.version, idle + 1 if head.version == version else 0
            if idle > _MOST_IDLE_MOVES:
                raise NeverEndsError(
                    f"time has jumped {idle} times, and nothing came of it (to let it pass all the same: advance)"
                )
            following = self._following()
            if following is None:
                raise NeverEndsError("nothing is left to happen by itself")
            self._loop.advance(following)
            self.settle()
        raise NeverEndsError(f"time has jumped {_MOST_MOVES} times without it")

    def close(self) -> None:
        """End everything. May be repeated."""
        self._runner.close()
        self.client.close()
        for database in self.databases.values():
            database.dispose()

    def _following(self) -> float | None:
        """When something happens next; None: nothing does, but for the parts looking after themselves."""
        due = self.store.due(range(PARTITIONS), _FAR, 1)
        if not due and not self.broker.unsettled:
            return None
        times = [(head.next_due - BEGIN) / 1_000_000 for head in due if head.next_due is not None]
        if self._loop.idle_until is not None:
            times.append(self._loop.idle_until)
        # What was due and is so still, was looked at and cannot be worked on.
        return min((at for at in times if at > self._loop.time()), default=None)

    def _ring(self) -> None:
        for partition in range(PARTITIONS):
            self.broker.ring(partition)

    def _orchestrator(self) -> Orchestrator:
        tuning = Tuning(due_poll=_IDLY_S, lease_interval=_IDLY_S, ack_wait=_IDLY_S)
        tokens = Tokens({"test": b"no secret"})
        transport = MemoryTransport(self.broker)
        return Orchestrator("test", self.store, transport, tokens, self.clock, _inline, tuning)

    def _worker(self, participant: ScriptedParticipant, household: Household) -> Worker:
        merged = participant.handlers()
        database = None
        if merged.fenced:
            database = _database(participant.name, household.migrations)
            self.databases[participant.name] = database
        return Worker(
            merged,
            SilenceableTransport(MemoryTransport(self.broker), participant, self.clock),
            database,
            (household.settings or {}).get(participant.name, {}),
            self.clock,
            run_sync=_inline,
            ack_wait=self.broker.ack_wait,
            forget_every=_IDLY_S,
        )


def _store(clock: VirtualClock, seed: int) -> SqlEventStore:
    chance = Random(f"batches {seed}")
    engine = open_engine(_IN_MEMORY)
    indexed_engine_tables().create_all(engine)
    return SqlEventStore(engine, new_id=lambda: UUID(bytes=chance.randbytes(16)), machine_time=clock.now)


def _database(participant: str, migrations: Path | None) -> Engine:
    engine = open_engine(_IN_MEMORY)
    if migrations is None:
        inbox_tables.create_all(engine)
    else:
        # Alembic takes longer to import than most tests to run.
        from saga_engine.sql.migrate import upgrade

        upgrade(engine, participant, [migrations])
    return engine


def _inline(call: Callable[[], T], /) -> Awaitable[T]:
    """A `RunSync` without threads. Others get a turn in between, as they would with one."""

    async def run() -> T:
        await asyncio.sleep(0)
        return call()

    return run()
