"""The whole examination: which checks there are, in which order they are told, and which need another one to be well.

All that do not need each other run side by side. Judges nothing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Final

from saga_engine import databases
from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.bootstrap.listeners import project_listening
from saga_engine.bootstrap.revisions import VERSIONS
from saga_engine.core.state import Status
from saga_engine.databases import Database
from saga_engine.doctor import (
    broker,
    definitions,
    exposure,
    listeners,
    machine,
    orchestrators,
    projections,
    revisions,
    sagas,
    streams,
    waiting,
    workers,
)
from saga_engine.doctor.bounded import bounded, in_thread
from saga_engine.doctor.databases import PATIENCE, examine, is_ready, where_of
from saga_engine.doctor.finding import Finding, Severity, fine, skipped
from saga_engine.doctor.project import Project, misfits, read_project
from saga_engine.errors import UsageError
from saga_engine.exposure import plain_text
from saga_engine.orchestrator.plans import Plans
from saga_engine.participant.threads import HandlerThreads
from saga_engine.ports.events import Listening
from saga_engine.projections.projection import Projection
from saga_engine.settings.settled import Settings
from saga_engine.sql.engine import open_engine

_THREADS: Final = 64
"""More than there are checks that block: one that hangs must not hold up another."""

_ABOUT_SAGAS: Final = "orchestrators and sagas"


async def examine_all(load: Callable[[], Settings], *, insecure: bool) -> Sequence[Finding]:
    """Everything, in the order in which it is told. `load` gives the settings, and may raise `UsageError`.

    `insecure`: connections that are open to others are meant to be so.
    """
    threads = HandlerThreads("doctor", _THREADS)
    try:
        local = await in_thread(threads, "versions", "this machine", machine.versions)
        try:
            settings = load()
        except UsageError as error:
            return [*_unusable(error), *local]
        return [
            fine("configuration", str(settings.root), "can be read"),
            *local,
            *await _all(settings, threads, insecure or settings.insecure),
        ]
    finally:
        threads.close()


def _unusable(error: UsageError) -> Iterator[Finding]:
    for line in str(error).splitlines():
        why = "Nothing else can be looked at, and no command works."
        yield Finding("configuration", Severity.ERROR, "settings", line, why, "correct it there; saga config show")


async def _all(settings: Settings, threads: HandlerThreads, insecure: bool) -> Sequence[Finding]:
    project = Project(settings, None, ())
    told: Sequence[Finding] = ()

    def read() -> Iterable[Finding]:
        nonlocal project
        project, found = read_project(settings)
        return [*found, *misfits(project)]

    told = await in_thread(threads, "handlers", str(settings.root), read)
    about_files = asyncio.gather(
        in_thread(threads, "exposure", "connections", partial(exposure.exposures, settings, insecure)),
        in_thread(threads, "disk", str(settings.root), partial(machine.disks, settings)),
    )
    if not insecure and any(plain_text(settings)):
        unasked = skipped("servers", "connections", "not asked: that alone would send passwords in plain text")
        return [*told, *(finding for findings in await about_files for finding in findings), unasked]
    rest = await asyncio.gather(about_files, _databases(project, threads), _broker(project, threads))
    (exposed, disks), *servers = rest
    return [*told, *exposed, *disks, *(finding for findings in servers for finding in findings)]


async def _databases(project: Project, threads: HandlerThreads) -> Sequence[Finding]:
    participants = (project.participants or {}).values()
    found = list(databases.databases(project.settings, participants, project.projections))
    found += databases.eventstore_databases(project.settings)
    labels = in_thread(threads, revisions.CHECK, str(VERSIONS), partial(revisions.labels, project, found))
    labelled, engine, *others = await asyncio.gather(
        labels,
        *(in_thread(threads, "database", where_of(one), partial(examine, project.settings, one)) for one in found),
    )
    told = [*engine, *(finding for findings in others for finding in findings), *labelled]
    if is_ready(engine):
        ready = {one.branch for one, findings in zip(found[1:], others, strict=True) if is_ready(findings)}
        followed = [one for one in project.projections if one.name in ready]
        return [*told, *await _store(project, found[0], threads, followed)]
    if all(one.severity is Severity.OK for one in engine):
        return told
    return [*told, skipped("sagas", _ABOUT_SAGAS, "not looked at: the engine's database is not usable")]


async def _store(
    project: Project, database: Database, threads: HandlerThreads, followed: Sequence[type[Projection]]
) -> Sequence[Finding]:
    """What only the engine's database tells. `followed`: the projections that can be looked into."""
    url = database.url.get_secret_value()
    with closing(SqlEventStore(open_engine(url, PATIENCE))) as store:

        def look() -> sagas.Look:
            return sagas.Look(store, Plans(store), store.now())

        def opened() -> int:
            return sum(number for (_, status), number in store.counts().items() if not Status(status).ended)

        checks: Sequence[tuple[str, Callable[[], Iterable[Finding]]]] = (
            ("orchestrators", lambda: orchestrators.leases(store, opened())),
            ("reply keys", lambda: orchestrators.keys_of_replies(url, opened())),
            ("definitions", lambda: definitions.changes(store, project)),
            ("blocked", lambda: sagas.blocked(look())),
            ("suspended", lambda: sagas.suspended(look())),
            ("sla", lambda: sagas.over_sla(look())),
            ("overdue", lambda: sagas.overdue(look())),
            ("unpublished", lambda: sagas.unpublished(look())),
            ("waiting", lambda: waiting.unserved(look(), project)),
            ("waiting", lambda: waiting.unsignalled(look())),
            (projections.CHECK, lambda: projections.unfollowed(project.settings, store, followed)),
        )
        told = await asyncio.gather(*(in_thread(threads, name, "sagas", check) for name, check in checks))
    return [finding for findings in told for finding in findings]


async def _broker(project: Project, threads: HandlerThreads) -> Sequence[Finding]:
    at: list[Finding] = []
    settings = await threads(partial(broker.endpoint, project.settings))
    if isinstance(settings, Finding):
        return [settings]
    async with broker.connected(settings) as client:
        if isinstance(client, Finding):
            return [client, skipped("streams", settings.address, "streams and workers were not looked at")]
        where = settings.address
        listening = await threads(partial(_listening, project.settings))
        at += await bounded("nats", where, broker.server(client, settings))
        usable = await bounded("nats", where, broker.jetstream(client, settings))
        at += usable
        if any(one.severity is Severity.ERROR for one in usable):
            return [*at, skipped("streams", where, "streams and workers were not looked at")]
        told = await asyncio.gather(
            bounded("streams", where, streams.examine(client, settings)),
            bounded("workers", where, workers.examine(client, settings, (project.participants or {}).keys())),
            bounded(listeners.CHECK, where, listeners.examine(client, settings, listening)),
            bounded("dead letters", where, streams.dead_letters(client, settings)),
            bounded("clock", where, broker.clock(client, settings)),
        )
    return [*at, *(finding for findings in told for finding in findings)]


def _listening(settings: Settings) -> Sequence[Listening]:
    """For what the project listens; nothing where its definitions cannot be read, which is a finding of its own."""
    try:
        return project_listening(settings)
    except UsageError:
        return ()
