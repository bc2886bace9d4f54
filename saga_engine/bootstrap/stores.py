"""The project's event store, its tables set up on first use where it is embedded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

from saga_engine.adapters.sql.reply_keys import SqlReplyKeys
from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.errors import SchemaMissingError, StoreUnavailableError, UnavailableError
from saga_engine.settings.settled import Settings
from saga_engine.sql.engine import open_engine
from saga_engine.sql.files import file_of


def is_embedded(url: str) -> bool:
    """Whether a database is a file of this project, which the engine sets up by itself."""
    return url.startswith("sqlite")


def open_store(settings: Settings, *, new: bool = False) -> SqlEventStore:
    """The event store; its tables are brought up to date if it is embedded. `new`: and made if there are none.

    Raises:
        StoreUnavailableError: the database cannot be reached, or is a file that is not there.
        SchemaMissingError: its tables are not there, and it is not ours to make them.
    """
    url = settings.database.get_secret_value()
    file = file_of(url)
    if file is not None and not new and not file.exists():
        raise _no_database(file)
    store = SqlEventStore(open_engine(url))
    try:
        store.versions([UUID(int=0)])
    except SchemaMissingError:
        store.close()
        if file is None:
            raise
        # Alembic takes longer to import than all else that a client needs.
        from saga_engine import databases

        engine = next(iter(databases.databases(settings, ())))
        if not new and not databases.status(settings, engine).current:
            raise _no_database(file) from None
        databases.upgrade(settings, engine)
        return SqlEventStore(open_engine(url))
    except UnavailableError:
        store.close()
        raise
    return store


def is_there(settings: Settings) -> bool:
    """Whether there is a database to be asked: a file may not have been made yet, of a server only it can tell."""
    file = file_of(settings.database.get_secret_value())
    return file is None or file.exists()


def _no_database(file: Path) -> StoreUnavailableError:
    """An empty answer would pass for a system in which nothing goes on."""
    return StoreUnavailableError(
        f"database: {file}: there is none, so nothing is known of any saga; `saga start` and `saga run` make a new "
        "one; if there was one, look at `saga config show` and -C, or put the file back from a backup"
    )


def open_for_its_clock(settings: Settings) -> SqlEventStore:
    """The event store without a look at its tables, for a worker: it may not, and must not have to, read them."""
    return SqlEventStore(open_engine(settings.database.get_secret_value()))


@contextmanager
def reply_keys(settings: Settings) -> Iterator[SqlReplyKeys]:
    """The keys of the project's reply tokens. Raises as `open_store`."""
    with closing(open_store(settings)) as store:
        yield store.kept_keys()
