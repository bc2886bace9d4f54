"""What a process tells over HTTP, wired: where it listens, and how database and NATS are looked at for readiness.

Off unless `metrics` is configured; then its libraries are imported. Looks have threads of their own, so that a database
that hangs takes none from the engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from saga_engine.adapters.nats.transport import NatsTransport
from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.errors import SagaEngineError
from saga_engine.eventstore.store import SqlDomainEvents
from saga_engine.orchestrator.listener import Listener
from saga_engine.orchestrator.service import Orchestrator
from saga_engine.participant import inbox
from saga_engine.participant.threads import HandlerThreads
from saga_engine.participant.worker import Worker
from saga_engine.ports.store import RunSync
from saga_engine.projections.follower import Follower
from saga_engine.projections.lag import recent_lag_of
from saga_engine.projections.taking import Taker
from saga_engine.settings.settled import Settings
from saga_engine.sql.transaction import run_query
from saga_engine.tasks import end_tasks

if TYPE_CHECKING:
    from saga_engine.metrics.process import Check, Telling
    from saga_engine.metrics.readings import Answering, Lagging, Storing

_THREADS: Final = 4
_NOBODY: Final = UUID(int=0)


@asynccontextmanager
async def telling(settings: Settings) -> AsyncIterator[Telling | None]:
    """Listen from here on, before anything works; None when nothing is to be told."""
    if settings.metrics is None:
        yield None
        return
    from saga_engine.metrics.listener import Listener
    from saga_engine.metrics.process import Telling

    tell = Telling(version("saga-engine"))
    listener = Listener(settings.metrics.host, settings.metrics.port, tell.pages)
    listening = asyncio.create_task(listener.run(), name="metrics")
    try:
        yield tell
    finally:
        await end_tasks([listening])
        await tell.close()


def tell_of(
    tell: Telling,
    store: SqlEventStore,
    connected: NatsTransport,
    orchestrator: Orchestrator | None,
    workers: Sequence[Worker],
    engines: Mapping[str, Engine],
    listeners: Sequence[Listener] = (),
    views: Mapping[Follower, Taker] | None = None,
) -> HandlerThreads:
    """Tell of these from now on.

    `engines`: the participants' own databases; `views`: where each follower keeps its projection. The threads are
    closed by the caller.
    """
    followed = views or {}
    threads = HandlerThreads("looks", _THREADS + len(followed))
    asked: dict[str, Callable[[], object]] = {
        # A worker may not, and must not have to, read the engine's tables.
        "database": store.now if orchestrator is None else partial(store.versions, [_NOBODY]),
        **{f"database of {name}": partial(_look_into, engine) for name, engine in engines.items()},
        **{f"database of {one.name}": partial(_look_at_view, taker) for one, taker in followed.items()},
    }
    checks: dict[str, Check] = {name: partial(_answers, threads, ask) for name, ask in asked.items()}

    async def nats() -> bool:
        return connected.connected

    async def open_sagas() -> Mapping[tuple[str, str], int] | None:
        try:
            return await threads(partial(store.counts, open_only=True))
        except SagaEngineError:
            return None

    from saga_engine.metrics.readings import Told

    counted = None if orchestrator is None else open_sagas
    told = Told(orchestrator, workers, losses=connected.losses, listeners=listeners, followers=tuple(followed))
    lags = {one.name: partial(_lag, threads, store, taker) for one, taker in followed.items()}
    tell.works(told, {**checks, "nats": nats}, counted, lags)
    return threads


async def _lag(run_sync: RunSync, store: SqlEventStore, taker: Taker) -> Lagging | None:
    from saga_engine.metrics.readings import Lagging

    def compared() -> Lagging:
        lag = recent_lag_of(store, taker)
        seconds = 0.0 if lag.oldest is None else max(0, store.now() - lag.oldest) / 1_000_000
        return Lagging(lag.behind, lag.troubled, seconds)

    try:
        return await run_sync(compared)
    except (SagaEngineError, SQLAlchemyError):
        return None


def tell_of_eventstore(
    tell: Telling, store: SqlEventStore, domain: SqlDomainEvents, connected: NatsTransport, work: Storing
) -> HandlerThreads:
    """Tell of an event store service from now on, as `tell_of`. Without NATS it takes events, and is not ready."""
    from saga_engine.metrics.readings import Told

    threads = HandlerThreads("looks", _THREADS)
    asked: dict[str, Callable[[], object]] = {
        "database": partial(store.versions, [_NOBODY]),
        "database of eventstore": partial(domain.find, "/"),
    }

    async def nats() -> bool:
        return connected.connected

    checks: dict[str, Check] = {name: partial(_answers, threads, ask) for name, ask in asked.items()}
    tell.works(Told(eventstore=work, losses=connected.losses), {**checks, "nats": nats})
    return threads


def tell_of_api(tell: Telling, store: SqlEventStore, api: Answering) -> HandlerThreads:
    """Tell of an HTTP API from now on, as `tell_of`. It needs the store; without NATS it only wakes nobody."""
    from saga_engine.metrics.readings import Told

    threads = HandlerThreads("looks", 1)
    tell.works(Told(api=api), {"database": partial(_answers, threads, partial(store.versions, [_NOBODY]))})
    return threads


async def _answers(run_sync: RunSync, ask: Callable[[], object]) -> bool:
    try:
        await run_sync(ask)
    except (SagaEngineError, SQLAlchemyError):
        return False
    return True


def _look_at_view(taker: Taker) -> None:
    """Whether the checkpoints are there, and can be read."""
    taker.checkpoints.of(taker.engine, [_NOBODY])


def _look_into(engine: Engine) -> None:
    """Whether the inbox is there, and can be read."""
    run_query(engine, lambda connection: inbox.read(connection, [""]))
