"""The project's event store, its tables set up on first use where it is embedded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from uuid import UUID

from saga_engine.adapters.sql.reply_keys import SqlReplyKeys
from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.errors import SchemaMissingError, UnavailableError
from saga_engine.settings import Settings
from saga_engine.sql.engine import open_engine


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
        # Alembic takes longer to import than all else that a client needs.
        from saga_engine import databases

        databases.upgrade(settings, next(iter(databases.databases(settings, ()))))
        return SqlEventStore(open_engine(url))
    except UnavailableError:
        store.close()
        raise
    return store


def open_for_its_clock(settings: Settings) -> SqlEventStore:
    """The event store without a look at its tables, for a worker: it may not, and must not have to, read them."""
    return SqlEventStore(open_engine(settings.database.get_secret_value()))


@contextmanager
def reply_keys(settings: Settings) -> Iterator[SqlReplyKeys]:
    """The keys of the project's reply tokens. Raises as `open_store`."""
    with closing(open_store(settings)) as store:
        yield store.kept_keys()
