"""The only place where parts are wired: settings in, a store, a client, a transport or the running services out.

Owns which adapter serves which setting, and what is set up on first use. Decides nothing about sagas.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from difflib import unified_diff
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

import orjson
import structlog
from sqlalchemy import Engine

from saga_engine import databases
from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.clock import StoreClock
from saga_engine.definition.loader import load_file
from saga_engine.definition.model import Definition
from saga_engine.definition.problems import Problems
from saga_engine.envelope import partition_of
from saga_engine.errors import SchemaMissingError, StoreUnavailableError, UnavailableError, UsageError
from saga_engine.handlers import load_participants
from saga_engine.identifiers import TimeOrderedIds
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.service import Orchestrator, Tuning
from saga_engine.orchestrator.starting import DefinitionChanged, register
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.participant.registry import MergedParticipant, merge
from saga_engine.participant.threads import HandlerThreads
from saga_engine.participant.worker import Worker
from saga_engine.ports import Clock, RunSync, Transport
from saga_engine.project import definition_files
from saga_engine.settings import NatsSection, Settings
from saga_engine.sql.engine import open_engine

if TYPE_CHECKING:
    from saga_engine.adapters.nats.settings import NatsSettings

T = TypeVar("T")

START_WAIT_S: Final = 30.0
"""How long `run` waits for a server that is down at its start. A later outage never ends it."""

_CLOCK_SAMPLE_S: Final = 30.0
_RING_WAIT_S: Final = 1.0
_STORE_THREADS: Final = 4

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Roles:
    """What a process does: orchestrate, and execute the commands of these participants. `workers` None: of all."""

    orchestrator: bool = True
    workers: Sequence[str] | None = None


def project_definitions(root: Path) -> Mapping[str, Mapping[int, Definition]]:
    """The project's definitions by saga name and version.

    Raises:
        UsageError: a file is no sound definition (all problems, one a line), or two say the same version.
    """
    found: dict[str, dict[int, Definition]] = {}
    places: dict[tuple[str, int], Path] = {}
    problems: list[str] = []
    for path in definition_files(root):
        shown = Path(os.path.relpath(path))
        loaded = load_file(shown)
        if isinstance(loaded, Problems):
            problems.append(str(loaded))
            continue
        definition = loaded.definition
        place = (definition.saga, definition.version)
        if place in places:
            problems.append(f"{shown}:1:1: saga {place[0]} version {place[1]} is defined in {places[place]} already")
        places[place] = shown
        found.setdefault(definition.saga, {})[definition.version] = definition
    if problems:
        raise UsageError("\n".join(problems))
    return found


def is_embedded(url: str) -> bool:
    """Whether a database is a file of this project, which the engine sets up by itself."""
    return url.startswith("sqlite")


def open_store(settings: Settings) -> SqlEventStore:
    """The event store, its tables set up if it is embedded and new.

    Raises:
        StoreUnavailableError: the database cannot be reached.
        SchemaMissingError: its tables are not there, and it is not ours to make them.
    """
    url = settings.database.get_secret_value()
    store = SqlEventStore(open_engine(url))
    try:
        store.versions([UUID(int=0)])
    except SchemaMissingError:
        store.close()
        if not is_embedded(url):
            raise
        databases.upgrade(settings, next(iter(databases.databases(settings, ()))))
        return SqlEventStore(open_engine(url))
    except UnavailableError:
        store.close()
        raise
    return store


def client(settings: Settings) -> Client:
    """The engine as its users see it, over the project's store and definitions. Close it after use.

    Raises:
        StoreUnavailableError, SchemaMissingError: as `open_store`.
        UsageError: as `project_definitions`.
    """
    definitions = project_definitions(settings.root)
    store = open_store(settings)
    return Client(store, definitions, TimeOrderedIds(secrets.token_bytes), StoreClock(store.now))


@asynccontextmanager
async def transport(settings: Settings, wait: float) -> AsyncIterator[Transport]:
    """A connection to NATS: to the configured servers, or to the project's own nats-server, started if need be.

    Raises:
        TransportUnavailableError: it cannot be reached within `wait` seconds.
        UsageError: the settings are wrong, or the embedded server is not installed.
    """
    from saga_engine.adapters.nats.transport import connect

    if settings.nats.url is not None:
        connected = await connect(_nats(settings.nats, settings.nats.url.get_secret_value()), wait=wait)
        try:
            yield connected
        finally:
            await connected.close()
        return
    from saga_engine.adapters.embedded.supervisor import embedded_server

    async with embedded_server(settings.data_folder) as url:
        connected = await connect(_nats(settings.nats, url), wait=wait)
        try:
            yield connected
        finally:
            await connected.close()


def _nats(section: NatsSection, url: str) -> NatsSettings:
    from saga_engine.adapters.nats.settings import NatsSettings

    tls = section.tls
    return NatsSettings(
        servers=tuple(server.strip() for server in url.split(",")),
        user=section.user,
        password=section.password.get_secret_value() if section.password else None,
        token=section.token.get_secret_value() if section.token else None,
        credentials=section.credentials,
        nkey_seed=section.nkey_seed,
        tls=tls is not None,
        tls_ca=tls.ca if tls else None,
        tls_certificate=tls.certificate if tls else None,
        tls_key=tls.key if tls else None,
        inbox_prefix=section.inbox_prefix,
        provision=section.provision,
        replicas=section.replicas,
    )


async def ring(settings: Settings, saga_id: UUID) -> None:
    """Wake the owner of a saga's partition, if a broker is there to do it. The owner's poll is the backstop."""
    from saga_engine.adapters.embedded.place import find_url
    from saga_engine.adapters.nats.transport import connect

    url = settings.nats.url.get_secret_value() if settings.nats.url else find_url(settings.data_folder)
    if url is None:
        return
    with suppress(UnavailableError, UsageError, TimeoutError):
        async with asyncio.timeout(_RING_WAIT_S):
            connected = await connect(_nats(settings.nats, url), wait=0)
            try:
                await connected.ring([partition_of(saga_id)])
            finally:
                await connected.close()


async def run(settings: Settings, roles: Roles, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Orchestrate and work until `stop` is set. `ready` is told once everything is connected.

    Raises:
        UsageError: a definition, handler or setting is wrong; an unknown worker was asked for.
        UnavailableError: a server was not there within `START_WAIT_S`, or a database was not set up.
    """
    participants = merge(load_participants(settings.root))
    names = _worker_names(roles, participants)
    await _prepare(settings, [participants[name] for name in names])
    store = await _patiently(lambda: open_store(settings))
    threads = HandlerThreads("store", _STORE_THREADS)
    engines: list[Engine] = []
    try:
        clock = StoreClock(store.now)
        await threads(clock.sample)
        if roles.orchestrator:
            await _register(store, settings, threads)
        async with transport(settings, START_WAIT_S) as connected, asyncio.TaskGroup() as group:
            services: list[Callable[[], object]] = []
            workers: list[Worker] = []
            if roles.orchestrator:
                tokens = Tokens(await threads(store.reply_keys))
                orchestrator = Orchestrator(process_name(), store, connected, tokens, clock, threads, _tuning(settings))
                group.create_task(orchestrator.run())
                services.append(orchestrator.stop)
            for name in names:
                worker = _worker(settings, participants[name], connected, clock, engines)
                workers.append(worker)
                group.create_task(worker.run())
            sampling = group.create_task(_keep_time(clock, threads))
            ready(_ready_line(roles, names))
            await stop.wait()
            sampling.cancel()
            await asyncio.gather(*(worker.stop() for worker in workers))
            for end in services:
                end()
    finally:
        threads.close()
        for engine in engines:
            engine.dispose()
        store.close()


def process_name() -> str:
    """A name for this process that no other has."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


def _ready_line(roles: Roles, names: Sequence[str]) -> str:
    parts = ["the orchestrator"] if roles.orchestrator else []
    parts += [f"worker {name}" for name in names]
    return f"Running {', '.join(parts)}. Stop with Ctrl-C."


def _worker_names(roles: Roles, participants: Mapping[str, MergedParticipant]) -> list[str]:
    if roles.workers is None:
        return list(participants)
    unknown = [name for name in roles.workers if name not in participants]
    if unknown:
        known = ", ".join(participants) or "none"
        raise UsageError(f"no participant named {unknown[0]!r} in participants/ or compensations/; there are: {known}")
    return list(dict.fromkeys(roles.workers))


def _worker(
    settings: Settings, participant: MergedParticipant, connected: Transport, clock: Clock, engines: list[Engine]
) -> Worker:
    own = settings.participant(participant.name)
    engine = None
    if participant.fenced:
        engine = open_engine(own.database.get_secret_value())
        engines.append(engine)
    return Worker(participant, connected, engine, own.settings, clock, own.concurrency)


def _tuning(settings: Settings) -> Tuning:
    section = settings.orchestrator
    return Tuning(
        batch=section.batch,
        backlog=section.backlog,
        cached=section.cached_sagas,
        due_poll=section.due_poll / 1_000_000,
    )


async def _prepare(settings: Settings, participants: Sequence[MergedParticipant]) -> None:
    """Set up what is embedded; ask for `saga db upgrade` where somebody else's database is behind."""
    for database in databases.databases(settings, participants):
        if is_embedded(database.url.get_secret_value()):
            await asyncio.to_thread(databases.upgrade, settings, database)
            continue
        far = await _patiently(partial(databases.status, settings, database))
        if far.pending:
            raise SchemaMissingError(
                f"the database of {database.branch} is not set up for this release "
                f"(pending: {', '.join(far.pending)}): run `saga db upgrade`"
            )


async def _patiently(call: Callable[[], T]) -> T:
    """Ask a database that may be down at our start."""
    deadline = asyncio.get_running_loop().time() + START_WAIT_S
    while True:
        try:
            return await asyncio.to_thread(call)
        except StoreUnavailableError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise
            _log.warning("waiting for the database", error=str(error))
            await asyncio.sleep(1)


async def _register(store: SqlEventStore, settings: Settings, run_sync: RunSync) -> None:
    """Make the project's definitions known. Changed content under a version that exists is refused, and shown."""
    definitions = [one for versions in project_definitions(settings.root).values() for one in versions.values()]
    changed = await run_sync(lambda: register(store, definitions))
    if changed:
        raise UsageError("\n".join(difference(one) for one in changed))


def difference(changed: DefinitionChanged) -> str:
    """What an edited definition says differently from the stored one of the same version."""
    lines = unified_diff(_pretty(changed.stored), _pretty(changed.offered), "stored", "here", n=2, lineterm="")
    return (
        f"saga {changed.saga} version {changed.version} was changed after it was registered; "
        f"raise its version, or restore it:\n" + "\n".join(lines)
    )


def _pretty(content: bytes) -> list[str]:
    return orjson.dumps(orjson.loads(content), option=orjson.OPT_INDENT_2).decode().splitlines()


async def _keep_time(clock: StoreClock, run_sync: RunSync) -> None:
    while True:
        await clock.sleep(_CLOCK_SAMPLE_S)
        with suppress(UnavailableError):
            await run_sync(clock.sample)
