"""Who needs to be let in where: the roles of a project on its broker and in its databases; making what they find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from saga_engine.adapters.nats import permissions
from saga_engine.adapters.nats.permissions import NatsUser
from saga_engine.bootstrap.definitions import load_project
from saga_engine.bootstrap.listeners import project_listening
from saga_engine.bootstrap.transports import transport
from saga_engine.databases import databases, eventstore_databases
from saga_engine.definition.model import Call, Definition, Emit, Wait
from saga_engine.errors import NotFoundError, UsageError
from saga_engine.eventstore import grants as eventstore_grants
from saga_engine.handlers import load_participants, load_projections
from saga_engine.participant.registry import merge
from saga_engine.settings.sections import EventstoreSection
from saga_engine.settings.settled import Settings
from saga_engine.sql import grants
from saga_engine.sql.grants import SqlRole

_WAIT_S: Final = 30.0
API_FOLDER: Final = "api"
"""Where a project keeps the operations that it adds to the HTTP API."""


@dataclass(frozen=True, slots=True)
class Parties:
    """All participants that handlers or definitions name, and the subjects of events that definitions name."""

    participants: Sequence[str]
    event_subjects: Sequence[str]


def parties(settings: Settings) -> Parties:
    """Raises `UsageError` for definitions and handlers that cannot be loaded."""
    definitions = [file.definition for file in load_project(settings.root)]
    names = {one.name for one in load_participants(settings.root)}
    names |= {name for one in definitions for name in _participants(one)}
    subjects = {emit.subject for one in definitions for emit in _emits(one) if emit is not None and emit.subject}
    return Parties(sorted(names), sorted(subjects))


def nats_users(settings: Settings, participant: str | None = None) -> Sequence[NatsUser]:
    """The users of the project on NATS, or only that of one participant. Raises `NotFoundError` for an unknown one."""
    known = parties(settings)
    if participant is not None:
        return [permissions.worker(_one_of(known.participants, participant))]
    listening = project_listening(settings)
    return [
        permissions.deploy(known.participants, listening),
        permissions.orchestrator(known.event_subjects, listening),
        *([permissions.projections(known.event_subjects)] if load_projections(settings.root) else ()),
        *([permissions.eventstore(_event_types(settings.eventstore))] if settings.eventstore else ()),
        permissions.http_api(),
        permissions.cli(),
        permissions.operator(),
        permissions.doctor(listening),
        *(permissions.worker(name) for name in known.participants),
    ]


def sql_roles(settings: Settings, participant: str | None = None) -> Sequence[SqlRole]:
    """The roles of the project's databases, or only that of one participant's worker."""
    participants, projections = merge(load_participants(settings.root)), load_projections(settings.root)
    found = list(databases(settings, participants.values(), projections.values()))
    engine = settings.database.get_secret_value()
    urls = [one.url.get_secret_value() for one in (*found, *eventstore_databases(settings))]
    alone = {one.branch: urls.count(one.url.get_secret_value()) == 1 for one in found}
    fenced = [one.branch for one in found if one.inbox and participant in (None, one.branch)]
    workers = [grants.worker(name, alone=alone[name]) for name in fenced]
    if participant is not None:
        _one_of(parties(settings).participants, participant)
        return workers
    views = [grants.projection(name, alone=alone[name]) for name in projections]
    # What a project adds to the API may read whatever the project keeps; without that, the API has its tables alone.
    adds = (settings.root / API_FOLDER).is_dir()
    shown = [one for one in found if (one.inbox or one.checkpoints) and alone[one.branch]] if adds else []
    return [
        grants.migrate(),
        grants.run(),
        grants.read(column_grants=not engine.startswith("cockroachdb")),
        *workers,
        *([grants.projections(), *views] if views else ()),
        *([eventstore_grants.reads_sagas(), eventstore_grants.keeps_events()] if settings.eventstore else ()),
        grants.http_api(),
        *(grants.http_api_reading(one.branch, with_inbox=one.inbox) for one in shown),
    ]


async def provision(settings: Settings) -> Parties:
    """Make the streams and consumers that the project needs. Safe to repeat.

    Raises:
        TransportUnavailableError: the broker cannot be reached, or refuses this user.
        UsageError: a definition or handler cannot be loaded, or a stream cannot serve.
    """
    known = parties(settings)
    may = settings.nats.model_copy(update={"provision": True})
    async with transport(settings.with_nats(may), _WAIT_S) as connected:
        await connected.provision(known.participants, known.event_subjects, project_listening(settings))
        await connected.keep_events(settings.eventstore.event_types if settings.eventstore else ())
    return known


def _event_types(section: EventstoreSection) -> Sequence[str]:
    if not section.event_types:
        raise UsageError(
            "eventstore.event_types is missing: an event store that takes every type publishes on every subject, for "
            "which there is no least permission; name what it takes, as in event_types: [ORDERS.*]"
        )
    return section.event_types


def _one_of(known: Sequence[str], participant: str) -> str:
    if participant not in known:
        raise NotFoundError(f"no participant named {participant[:80]!r}; there are: {', '.join(known) or 'none'}")
    return participant


def _participants(definition: Definition) -> Iterator[str]:
    for step in definition.steps:
        if isinstance(step.action, Call):
            yield step.action.participant
            if step.action.compensation is not None:
                yield step.action.compensation.participant


def _emits(definition: Definition) -> Iterator[Emit | None]:
    yield from (definition.emit.completed, definition.emit.compensated, definition.emit.closed)
    for step in definition.steps:
        if isinstance(step.action, Call | Wait):
            yield step.action.emit
        if isinstance(step.action, Call) and step.action.compensation is not None:
            yield step.action.compensation.emit
