"""Which databases a project has: the engine's, and one for each projection and each participant that writes in it.

Owns which migrations belong to which. Opens a database only while it is upgraded or looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import SecretStr
from sqlalchemy import Engine

from saga_engine.errors import UsageError
from saga_engine.eventstore import tables
from saga_engine.participant.registry import MergedParticipant
from saga_engine.projections.projection import Projection
from saga_engine.settings.settled import Settings
from saga_engine.sql.engine import open_engine
from saga_engine.sql.patience import SLOW

if TYPE_CHECKING:
    from saga_engine.sql.migrate import Status

T = TypeVar("T")
MIGRATIONS = Path("store", "migrations")


@dataclass(frozen=True, slots=True)
class Database:
    """One database. `branch`: whose revisions it gets. `inbox`: a participant's, which holds its inbox; `checkpoints`:

    a projection's, which holds those.
    """

    branch: str
    url: SecretStr
    inbox: bool
    checkpoints: bool = False


def databases(
    settings: Settings, participants: Iterable[MergedParticipant], projections: Iterable[type[Projection]] = ()
) -> Iterator[Database]:
    """The engine's database, those of the participants that have a handler with a database, those of projections.

    Raises `UsageError` for a projection with the name of a participant: their databases could not be told apart.
    """
    from saga_engine.sql.migrate import ENGINE_BRANCH

    yield Database(ENGINE_BRANCH, settings.database, inbox=False)
    known = sorted(participants, key=lambda one: one.name)
    for participant in known:
        if participant.fenced:
            yield Database(participant.name, settings.participant(participant.name).database, inbox=True)
    for projection in sorted(projections, key=lambda one: one.name):
        name, place = projection.name, projection.defined_at
        if any(name == one.name for one in known):
            raise UsageError(f"{place}: the name {name!r} is a participant's already; call it {name}_view")
        url = settings.projection(name).database
        yield Database(name, url, inbox=False, checkpoints=True)


def eventstore_databases(settings: Settings) -> Iterator[Database]:
    """Where the event store service keeps its events, if the project has one: the engine's database, or another."""
    if settings.eventstore is not None:
        yield Database(tables.BRANCH, settings.eventstore.database or settings.database, inbox=False)


def project_migrations(settings: Settings) -> list[Path]:
    """The project's Alembic environment, if it has one."""
    folder = settings.root / MIGRATIONS
    return [folder] if folder.is_dir() else []


def brings_its_own(database: Database) -> bool:
    """Whether its revisions are packaged and no project's: the event store's."""
    return database.branch == tables.BRANCH and not database.inbox


def upgrade(settings: Settings, database: Database) -> Sequence[str]:
    """Bring one database to its newest revisions; the ids of those applied. Errors are those of `sql.migrate`."""
    # Imported late, here and below: Alembic takes longer to import than most commands to run.
    from saga_engine.sql import migrate

    locations = _locations(settings, database)
    supplied = {"inbox": database.inbox, "checkpoints": database.checkpoints}
    return _with(database, lambda engine: migrate.upgrade(engine, database.branch, locations, **supplied))


def status(settings: Settings, database: Database) -> Status:
    """How far one database is. Errors are those of `sql.migrate`."""
    from saga_engine.sql import migrate

    locations = _locations(settings, database)
    supplied = {"inbox": database.inbox, "checkpoints": database.checkpoints}
    return _with(database, lambda engine: migrate.status(engine, database.branch, locations, **supplied))


def _locations(settings: Settings, database: Database) -> list[Path]:
    return [tables.MIGRATIONS] if brings_its_own(database) else project_migrations(settings)


def _with(database: Database, use: Callable[[Engine], T]) -> T:
    engine = open_engine(database.url.get_secret_value(), SLOW)
    try:
        return use(engine)
    finally:
        engine.dispose()
