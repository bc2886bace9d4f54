"""The running services of a process: the orchestrator, workers, and what they need, until they are asked to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import structlog
from sqlalchemy import Engine

from saga_engine import databases
from saga_engine.adapters.nats.transport import NatsTransport
from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.bootstrap.access import parties
from saga_engine.bootstrap.collector import seldom_collecting
from saga_engine.bootstrap.definitions import DefinitionFile, difference, load_project
from saga_engine.bootstrap.listeners import listener
from saga_engine.bootstrap.names import orchestrator_name
from saga_engine.bootstrap.prepared import opened_files, prepare
from saga_engine.bootstrap.projections import chosen, follower, open_projection
from saga_engine.bootstrap.revisions import tell_strays
from saga_engine.bootstrap.served import catalogued, commands_served, tell_unserved
from saga_engine.bootstrap.serving import START_WAIT_S, keep_time, keep_to, patiently
from saga_engine.bootstrap.stores import open_for_its_clock, open_store
from saga_engine.bootstrap.telling import tell_of, telling
from saga_engine.bootstrap.tracing import tracing
from saga_engine.bootstrap.transports import transport
from saga_engine.clock import StoreClock
from saga_engine.databases import Database
from saga_engine.errors import UsageError
from saga_engine.handlers import load_participants
from saga_engine.orchestrator.listener import Listener
from saga_engine.orchestrator.service import Orchestrator
from saga_engine.orchestrator.starting import register
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.orchestrator.tuning import Tuning
from saga_engine.participant.registry import MergedParticipant, merge
from saga_engine.participant.threads import HandlerThreads
from saga_engine.participant.worker import Worker
from saga_engine.ports.clock import Clock
from saga_engine.ports.store import RunSync
from saga_engine.projections.follower import Follower
from saga_engine.projections.projection import Projection
from saga_engine.projections.taking import Taker
from saga_engine.settings.settled import Settings
from saga_engine.sql.engine import open_engine
from saga_engine.sql.patience import HANDLERS
from saga_engine.tasks import end_tasks

if TYPE_CHECKING:
    from saga_engine.metrics.process import Telling
    from saga_engine.tracing import Tracing

T = TypeVar("T")

STOP_WITHIN_S: Final = 20.0
"""How long a service that is asked to stop may finish and hand back; then it leaves, as if it had been killed."""

_STORE_THREADS: Final = 4

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Roles:
    """What a process does: orchestrate, execute the commands of these participants, and follow these projections.

    `workers` and `projections` None: all of them.
    """

    orchestrator: bool = True
    workers: Sequence[str] | None = None
    projections: Sequence[str] | None = None


async def run(settings: Settings, roles: Roles, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Orchestrate and work until `stop` is set. `ready` is told once everything is connected.

    Raises:
        UsageError: a definition, handler or setting is wrong; an unknown worker or projection was asked for.
        UnavailableError: a server was not there within `START_WAIT_S`, or a database was not set up.
    """
    async with telling(settings) as tell:
        await _run(settings, roles, stop, ready, tell)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What everything that a process does stands on. `closing`: closed at the end, before the store."""

    settings: Settings
    store: SqlEventStore
    clock: Clock
    threads: HandlerThreads
    connected: NatsTransport
    traced: Tracing | None
    closing: ExitStack


async def _run(
    settings: Settings, roles: Roles, stop: asyncio.Event, ready: Callable[[str], None], tell: Telling | None
) -> None:
    participants = merge(load_participants(settings.root))
    names = _worker_names(roles, participants)
    projections = chosen(settings, roles.projections)
    threads = HandlerThreads("store", _STORE_THREADS + len(projections))
    used = _databases(settings, [participants[name] for name in names], projections, engine=roles.orchestrator)
    await prepare(settings, used, threads)
    if roles.workers is None and roles.projections is None:
        # Only then are all databases known: another role's label must not pass for nobody's.
        await threads(partial(tell_strays, settings, [*used, *databases.eventstore_databases(settings)]))
    reading = open_store if projections else open_for_its_clock
    opened = partial(open_store, new=True) if roles.orchestrator else reading
    store = await patiently(lambda: opened(settings), threads)
    with closing(store), closing(threads), ExitStack() as at_the_end:
        clock = StoreClock(store.now)
        await patiently(clock.sample, threads)
        if roles.orchestrator:
            definitions = load_project(settings.root)
            await _register(store, definitions, threads)
            tell_unserved(definitions, commands_served(participants, catalogued(settings.root)))
        async with transport(settings, START_WAIT_S) as connected:
            ground = _Ground(settings, store, clock, threads, connected, tracing(), at_the_end)
            engines: dict[str, Engine] = {}
            workers = [_worker(ground, participants[name], engines) for name in names]
            orchestrator, listeners = await _orchestration(ground) if roles.orchestrator else (None, [])
            followers = _followers(ground, projections)
            if tell is not None:
                told = tell_of(tell, store, connected, orchestrator, workers, engines, listeners, followers)
                at_the_end.callback(told.close)
            ready(_ready_line(roles, names, projections))
            kept = (keep_time(clock, threads), keep_to(opened_files(used), clock))
            with seldom_collecting():
                await _serve(orchestrator, [*workers, *listeners, *followers], kept, stop)


async def _orchestration(ground: _Ground) -> tuple[Orchestrator, Sequence[Listener]]:
    settings, store, connected = ground.settings, ground.store, ground.connected
    name = ground.closing.enter_context(orchestrator_name(settings.data_folder / "orchestrators"))
    tokens = Tokens(await patiently(store.reply_keys, ground.threads))
    orchestrator = Orchestrator(
        name, store, connected, tokens, ground.clock, ground.threads, _tuning(settings), store.reply_keys, ground.traced
    )
    ear = await listener(
        settings, store, connected.event_feed(), connected, ground.clock, ground.threads, ground.traced
    )
    return orchestrator, [] if ear is None else [ear]


def _followers(ground: _Ground, projections: Sequence[type[Projection]]) -> Mapping[Follower, Taker]:
    """A follower for each, with what it takes events in by."""
    if not projections:
        return {}
    bell, subjects = ground.connected.event_bell(), parties(ground.settings).event_subjects
    followers: dict[Follower, Taker] = {}
    for one in projections:
        view = open_projection(ground.settings, one, ground.store)
        ground.closing.callback(view.taker.engine.dispose)
        followers[follower(ground.settings, view, bell, subjects, ground.threads)] = view.taker
    return followers


async def _serve(
    orchestrator: Orchestrator | None,
    workers: Sequence[Worker | Listener | Follower],
    kept: Sequence[Awaitable[None]],
    stop: asyncio.Event,
) -> None:
    """Run them until `stop`, then end the workers, whose last replies the orchestrator still takes, and it after them.

    If one of them fails, so do all: what is under way is safe, and a process that is half alive helps nobody.
    """
    orchestrating = [asyncio.create_task(orchestrator.run())] if orchestrator is not None else []
    working = [asyncio.create_task(worker.run()) for worker in workers]
    everything = [*orchestrating, *working, *map(asyncio.ensure_future, kept), asyncio.create_task(_set(stop))]
    try:
        done, _ = await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        ending = asyncio.create_task(_end(orchestrator, workers))
        everything.append(ending)
        done, late = await asyncio.wait((ending, *working, *orchestrating), timeout=STOP_WITHIN_S)
        if late:
            _log.warning("not all could be finished or handed back in time: others take it over", limit=STOP_WITHIN_S)
        for task in done:
            task.result()
    finally:
        await end_tasks(everything)


async def _end(orchestrator: Orchestrator | None, workers: Sequence[Worker | Listener | Follower]) -> None:
    await asyncio.gather(*(worker.stop() for worker in workers))
    if orchestrator is not None:
        orchestrator.stop()


async def _set(stop: asyncio.Event) -> None:
    await stop.wait()


def _ready_line(roles: Roles, names: Sequence[str], projections: Sequence[type[Projection]]) -> str:
    parts = ["the orchestrator"] if roles.orchestrator else []
    parts += [f"worker {name}" for name in names]
    parts += [f"projection {one.name}" for one in projections]
    return f"Running {', '.join(parts)}. Stop with Ctrl-C."


def _worker_names(roles: Roles, participants: Mapping[str, MergedParticipant]) -> list[str]:
    if roles.workers is None:
        return list(participants)
    unknown = [name for name in roles.workers if name not in participants]
    if unknown:
        known = ", ".join(participants) or "none"
        raise UsageError(f"no participant named {unknown[0]!r} in participants/ or compensations/; there are: {known}")
    return list(dict.fromkeys(roles.workers))


def _worker(ground: _Ground, participant: MergedParticipant, engines: dict[str, Engine]) -> Worker:
    """`engines` is given the one that it works with."""
    own = ground.settings.participant(participant.name)
    engine = None
    if participant.fenced:
        engine = engines[participant.name] = open_engine(own.database.get_secret_value(), HANDLERS)
        ground.closing.callback(engine.dispose)
    return Worker(
        participant, ground.connected, engine, own.settings, ground.clock, own.concurrency, tracing=ground.traced
    )


def _tuning(settings: Settings) -> Tuning:
    section = settings.orchestrator
    return Tuning(
        batch=section.batch,
        backlog=section.backlog,
        cached=section.cached_sagas,
        due_poll=section.due_poll / 1_000_000,
    )


def _databases(
    settings: Settings,
    participants: Sequence[MergedParticipant],
    projections: Sequence[type[Projection]],
    *,
    engine: bool,
) -> list[Database]:
    """Those that are used. `engine` False: the engine's own is left alone, which a worker need not be let into."""
    found = databases.databases(settings, participants, projections)
    return [one for one in found if engine or one.inbox or one.checkpoints]


async def _register(store: SqlEventStore, files: Sequence[DefinitionFile], run_sync: RunSync) -> None:
    """Make the project's definitions known. Changed content under a version that exists is refused, and shown."""
    definitions = [file.definition for file in files]
    changed = await patiently(lambda: register(store, definitions), run_sync)
    if changed:
        raise UsageError("\n".join(difference(one) for one in changed))
