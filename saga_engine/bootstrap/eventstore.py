"""The event store service of a process: settings checked, databases ready, its server run until asked to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from saga_engine import databases
from saga_engine.bootstrap.prepared import opened_files, prepare
from saga_engine.bootstrap.serving import START_WAIT_S, keep_time, keep_to, patiently
from saga_engine.bootstrap.stores import open_store
from saga_engine.bootstrap.telling import tell_of_eventstore, telling
from saga_engine.bootstrap.transports import transport
from saga_engine.clock import StoreClock
from saga_engine.errors import UsageError
from saga_engine.eventstore.store import SqlDomainEvents
from saga_engine.exposure import is_local
from saga_engine.extras import Extra, install_extra
from saga_engine.participant.threads import HandlerThreads
from saga_engine.settings.sections import EventstoreSection
from saga_engine.settings.settled import Settings
from saga_engine.sql.engine import open_engine

if TYPE_CHECKING:
    from saga_engine.eventstore.server import Endpoint
    from saga_engine.metrics.process import Telling

_THREADS: Final = 8
"""One appends, one publishes, the others read for clients."""


async def run_eventstore(settings: Settings, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Serve until `stop` is set. `ready` is told once calls are taken.

    Raises:
        UsageError: the section is missing or wrong, or the extra `grpc` is not installed.
        UnavailableError: a server was not there within `START_WAIT_S`, or a database was not set up.
    """
    section = settings.eventstore
    if section is None:
        raise UsageError("config.yaml has no section `eventstore`: add `eventstore: {}` to serve at 127.0.0.1:50051")
    endpoint = _endpoint(section, settings.insecure)
    async with telling(settings) as tell:
        await _run(settings, section, endpoint, stop, ready, tell)


async def _run(
    settings: Settings,
    section: EventstoreSection,
    endpoint: Endpoint,
    stop: asyncio.Event,
    ready: Callable[[str], None],
    tell: Telling | None,
) -> None:
    from saga_engine.eventstore.server import Work, serve

    threads = HandlerThreads("store", _THREADS)
    looks: HandlerThreads | None = None
    used = _databases(settings)
    await prepare(settings, used, threads)
    store = await patiently(partial(open_store, settings, new=True), threads)
    engine = open_engine((section.database or settings.database).get_secret_value())
    clock = StoreClock(store.now)
    try:
        await patiently(clock.sample, threads)
        async with transport(settings, START_WAIT_S) as connected:
            domain = SqlDomainEvents(engine, clock.now)

            def works(work: Work) -> None:
                nonlocal looks
                if tell is not None:
                    looks = tell_of_eventstore(tell, store, domain, connected, work)

            await serve(
                endpoint,
                domain,
                store,
                connected,
                threads,
                stop,
                lambda port: ready(
                    f"Running the event store at {replace(section.listen, port=port)}. Stop with Ctrl-C."
                ),
                alongside=(keep_time(clock, threads), keep_to(opened_files(used), clock)),
                tell=works,
            )
    finally:
        if looks is not None:
            looks.close()
        threads.close()
        engine.dispose()
        store.close()


def _databases(settings: Settings) -> list[databases.Database]:
    return [*databases.databases(settings, ()), *databases.eventstore_databases(settings)]


def _endpoint(section: EventstoreSection, insecure: bool) -> Endpoint:
    if find_spec("grpc") is None or find_spec("google.protobuf") is None:
        raise UsageError(
            f"the event store needs gRPC, which is not installed; install it with: {install_extra(Extra.GRPC)}"
        )
    from saga_engine.eventstore.server import Endpoint, Tls

    if not is_local(section.listen.host):
        if section.token is None:
            raise UsageError(
                f"eventstore.listen: {section.listen} is reached from other machines, and nobody logs in; set "
                "eventstore.token (SAGA_EVENTSTORE__TOKEN), or listen on 127.0.0.1"
            )
        if section.certificate is None and not insecure:
            raise UsageError(
                f"eventstore.listen: {section.listen} is reached from other machines, and the token would be sent in "
                "plain text; set eventstore.certificate and eventstore.key, or allow it with SAGA_INSECURE=true or "
                "`insecure: true`, where something in front ends TLS"
            )
    tls = None
    if section.certificate is not None and section.key is not None:
        tls = Tls(_file(section.certificate, "certificate"), _file(section.key, "key"))
    token = section.token.get_secret_value() if section.token else None
    return Endpoint(str(section.listen), token, tls, section.event_types)


def _file(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"eventstore.{name}: {path} cannot be read: {error.strerror or error}") from error
