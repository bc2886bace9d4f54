"""The engine for a process that serves many at once: clients over one store, in threads, and a bell that is kept.

Owns how many ask the store at a time. Knows no HTTP.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

import structlog
from pydantic import SecretStr
from sqlalchemy import Connection, Engine

from saga_engine.adapters.nats.transport import NatsTransport, connect
from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.bootstrap.clients import broker_url
from saga_engine.bootstrap.definitions import project_definitions
from saga_engine.bootstrap.serving import keep_time, patiently
from saga_engine.bootstrap.stores import open_store
from saga_engine.bootstrap.transports import nats_settings
from saga_engine.clock import StoreClock
from saga_engine.envelope import partition_of
from saga_engine.errors import UnavailableError, UsageError
from saga_engine.identifiers import TimeOrderedIds
from saga_engine.orchestrator.client import Client
from saga_engine.participant.threads import HandlerThreads
from saga_engine.settings.settled import Settings
from saga_engine.sql.engine import open_engine
from saga_engine.sql.transaction import run_query
from saga_engine.tasks import end_tasks

if TYPE_CHECKING:
    from saga_engine.tracing import Tracing

T = TypeVar("T")

AT_ONCE: Final = 8
"""Questions to the store at a time: as many as it keeps connections."""
_NO_BROKER_S: Final = 5.0
_LOOK_S: Final = 0.25

_log = structlog.get_logger(__name__)


class Bell:
    """Wakes who looks after the sagas that were changed. Nobody waits for it: their poll is the backstop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wanted: set[int] = set()
        self._asked = asyncio.Event()

    def ring(self, saga_ids: Iterable[UUID]) -> None:
        """Wake them soon."""
        self._wanted |= {partition_of(saga_id) for saga_id in saga_ids}
        self._asked.set()

    async def run(self) -> None:
        """Ring whenever it was asked for, until cancelled."""
        connected: NatsTransport | None = None
        try:
            while True:
                await self._asked.wait()
                connected = connected or await self._connect()
                self._asked.clear()
                wanted, self._wanted = sorted(self._wanted), set()
                if connected is None:
                    await asyncio.sleep(_NO_BROKER_S)
                    continue
                await connected.ring(wanted)
        finally:
            if connected is not None:
                await connected.close()

    async def _connect(self) -> NatsTransport | None:
        url = broker_url(self._settings)
        if url is None:
            return None
        try:
            return await connect(nats_settings(self._settings.nats, url), wait=0)
        except (UnavailableError, UsageError) as error:
            _log.warning("nobody can be woken; sagas are found by their orchestrator's poll", error=str(error))
            return None


class Following:
    """Tells when sagas have grown, by one look at all that are followed."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: dict[asyncio.Future[None], tuple[UUID, int]] = {}
        self.ended = False

    def end(self) -> None:
        """Let nobody follow any more: who waits is woken."""
        self.ended = True
        for grown in self._waiting:
            if not grown.done():
                grown.set_result(None)

    async def beyond(self, saga_id: UUID, version: int, within: float) -> bool:
        """Wait until the saga has events behind `version`, at most so many seconds; whether it has."""
        if self.ended:
            return False
        grown: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[grown] = (saga_id, version)
        try:
            async with asyncio.timeout(within):
                await grown
        except TimeoutError:
            return False
        finally:
            self._waiting.pop(grown, None)
        return True

    async def run(self) -> None:
        """Look again and again, until cancelled. A store that is away is asked again."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._waiting:
                try:
                    await self._look()
                except UnavailableError as error:
                    _log.warning("sagas that are followed cannot be looked at", error=str(error))

    async def _look(self) -> None:
        followed = list({saga_id for saga_id, _ in self._waiting.values()})
        heads = await self._desk.threads(partial(self._desk.store.heads, followed))
        for grown, (saga_id, version) in list(self._waiting.items()):
            head = heads.get(saga_id)
            if head is not None and head.version > version and not grown.done():
                grown.set_result(None)


class Desk:
    """What whoever serves people needs of the engine. `at_hand` makes it."""

    def __init__(self, settings: Settings, store: SqlEventStore, tracing: Tracing | None) -> None:
        self.settings = settings
        self.store = store
        self.tracing = tracing
        self.clock = StoreClock(store.now)
        self.threads = HandlerThreads("desk", AT_ONCE)
        self.bell = Bell(settings)
        self.following = Following(self)
        definitions, ids = project_definitions(settings.root), TimeOrderedIds(secrets.token_bytes)
        self._clients: SimpleQueue[Client] = SimpleQueue()
        for _ in range(AT_ONCE):
            most = settings.limits.open_sagas
            self._clients.put(Client(store, lambda: definitions, ids, self.clock, most, lambda: tracing))
        self._engines: dict[str, Engine] = {}

    def ask(self, question: Callable[[Client], T]) -> Awaitable[T]:
        """Ask the engine, in a thread. Raises what the client raises."""

        def asked() -> T:
            client = self._clients.get()  # There is one for each thread: this never waits.
            try:
                return question(client)
            finally:
                self._clients.put(client)

        # What is logged in the thread says of which request it is.
        return self.threads(partial(copy_context().run, asked))

    def read(self, url: SecretStr, query: Callable[[Connection], T]) -> Awaitable[T]:
        """Read another database of the project, in a thread.

        Raises:
            StoreUnavailableError, SchemaMissingError: it cannot be reached, or is not set up.
        """
        text = url.get_secret_value()
        engine = self._engines.get(text)
        if engine is None:
            engine = self._engines[text] = open_engine(text)
        return self.threads(partial(run_query, engine, query))

    def close(self) -> None:
        """Give back all connections."""
        self.threads.close()
        for engine in self._engines.values():
            engine.dispose()
        self.store.close()


@asynccontextmanager
async def at_hand(settings: Settings, tracing: Tracing | None = None) -> AsyncIterator[Desk]:
    """A desk whose bell rings and whose clock keeps the store's time. `tracing` makes a span of each start.

    Raises:
        UsageError: a definition of the project is wrong.
        StoreUnavailableError, SchemaMissingError: as `open_store`, after it was waited for.
    """
    opening = HandlerThreads("opening", 1)
    try:
        store = await patiently(partial(open_store, settings, new=True), opening)
    finally:
        opening.close()
    desk = Desk(settings, store, tracing)
    kept: list[asyncio.Task[None]] = []
    try:
        await patiently(desk.clock.sample, desk.threads)
        works = (desk.bell.run(), desk.following.run(), keep_time(desk.clock, desk.threads))
        kept += [asyncio.create_task(one) for one in works]
        yield desk
    finally:
        await end_tasks(kept)
        desk.close()
