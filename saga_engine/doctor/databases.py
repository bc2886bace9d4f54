"""One database: whether it can be reached and logs us in, its version, its migrations and its clock.

Makes nothing: a SQLite file that is not there stays so. Knows no saga.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import text

from saga_engine import databases
from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.databases import Database
from saga_engine.doctor.clocks import skew
from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.doctor.machine import sqlite_file
from saga_engine.errors import SagaEngineError, StoreUnavailableError
from saga_engine.eventstore.tables import BRANCH as EVENTSTORE_BRANCH
from saga_engine.settings.settled import Settings
from saga_engine.settings.shown import shown_url
from saga_engine.sql.engine import open_engine
from saga_engine.sql.patience import Patience
from saga_engine.sql.transaction import run_query

PATIENCE: Final = Patience(answer=5.0, idle=5.0)
"""Shorter than the deadline of a check, so that what hangs is named by what it is."""

OLDEST_POSTGRES: Final = (14, 0)
OLDEST_COCKROACH: Final = (24, 1)
"""The first that has READ COMMITTED without a preview."""

# A refusal has no SQLSTATE here: libpq gives only its text, of which these parts stand in every release since 2009.
_CAUSES: Final = (
    (r"password|authentication|pg_hba|role .* (does not exist|is not permitted)", "login"),
    (r"database .* does not exist", "missing"),
    (r"too many clients|connection slots|too many connections", "full"),
    (r"starting up|shutting down|recovery", "busy"),
)
_EXPLAINED: Final = {
    "login": ("the login was refused", "The server is there; user, password or its pg_hba.conf are not right."),
    "missing": ("the server is there, but has no database of that name", "Nothing can be kept."),
    "full": ("the server takes no more connections", "Each process keeps up to 8 for every database."),
    "busy": ("the server is starting or shutting down", "It is expected back; nothing is lost meanwhile."),
    "unreachable": ("the server cannot be reached", "Sagas neither start nor go on; none fails from that."),
}


def examine(settings: Settings, database: Database) -> Iterator[Finding]:
    """All there is to say about one database. The first thing that is wrong ends it: the rest would follow from it."""
    where = where_of(database)
    file = sqlite_file(database.url.get_secret_value())
    if file is not None:
        bad = list(_file(where, file))
        yield from bad
        if bad or not file.exists():
            return
    try:
        yield from _server(where, database)
    except StoreUnavailableError as error:
        yield _unreachable(where, database, error)
        return
    yield from _migrations(settings, database, where)


def where_of(database: Database) -> str:
    """How a database is named to people: whose it is, and its url without secrets."""
    return f"{database.branch}: {shown_url(database.url.get_secret_value())}"


def _file(where: str, file: Path) -> Iterator[Finding]:
    if not file.exists():
        folder = next(one for one in file.parents if one.exists())
        if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            yield fine("database", where, "is made when it is needed first")
        else:
            yield _not_writable(where, folder)
    elif not file.is_file() or not os.access(file, os.R_OK | os.W_OK):
        yield _not_writable(where, file)


def _not_writable(where: str, path: Path) -> Finding:
    what = f"{path} is {'not writable' if path.is_file() or path.is_dir() else 'no file'}"
    return Finding("database", Severity.ERROR, where, what, "Nothing can be kept.", f"ls -ld {path}")


def _server(where: str, database: Database) -> Iterator[Finding]:
    url = database.url.get_secret_value()
    with closing(SqlEventStore(open_engine(url, PATIENCE))) as store:
        if url.startswith("sqlite"):
            _ask(url, "SELECT count(*) FROM sqlite_master")
            yield fine("database", where, "can be read")
            return
        yield from version_findings(where, url, _ask(url, "SELECT version()"))
        yield skew(where, store.now)


def _ask(url: str, statement: str) -> str:
    engine = open_engine(url, PATIENCE)
    try:
        return str(run_query(engine, lambda connection: connection.execute(text(statement)).scalar_one()))
    finally:
        engine.dispose()


def version_findings(where: str, url: str, said: str) -> Iterator[Finding]:
    """What a server's own account of its version means, for a url that names its kind."""
    found = re.match(r"(PostgreSQL|CockroachDB)\D*(\d+)(?:\.(\d+))?", said)
    if found is None:
        yield Finding("database", Severity.WARNING, where, f"says that it is {said!r}, which nobody here has tried")
        return
    kind, version = found[1], (int(found[2]), int(found[3] or 0))
    wanted = "CockroachDB" if url.startswith("cockroachdb") else "PostgreSQL"
    shown = f"{kind} {version[0]}.{version[1]}"
    if kind != wanted:
        what = f"the url says {wanted}, the server is {shown}"
        scheme = f"{kind.lower().removesuffix('ql') + 'ql' if kind == 'PostgreSQL' else 'cockroachdb'}://"
        yield Finding("database", Severity.WARNING, where, what, _OTHER_DIALECT, f"let the url begin with {scheme}")
        return
    oldest, why = (OLDEST_COCKROACH, _COCKROACH) if kind == "CockroachDB" else (OLDEST_POSTGRES, _POSTGRES)
    if version < oldest:
        what = f"{shown} is too old; expected at least {oldest[0]}.{oldest[1]}"
        yield Finding("database", Severity.WARNING, where, what, why, "upgrade the server")
    else:
        yield fine("database", where, f"{shown} answers")


def _unreachable(where: str, database: Database, error: StoreUnavailableError) -> Finding:
    said = str(error)
    if sqlite_file(database.url.get_secret_value()) is not None:
        return Finding(
            "database", Severity.ERROR, where, said, "Nothing can be kept.", "restore the file from a backup"
        )
    cause = next((name for pattern, name in _CAUSES if re.search(pattern, said)), "unreachable")
    what, why = _EXPLAINED[cause]
    return Finding("database", Severity.ERROR, where, f"{what}: {said}", why, _next(cause, database))


def _next(cause: str, database: Database) -> str:
    url = shown_url(database.url.get_secret_value())
    match cause:
        case "login":
            return f"psql '{url}', then saga config show: where the url comes from"
        case "missing":
            return "createdb NAME on that server, then saga db upgrade"
        case "full":
            return "SELECT usename, application_name, count(*) FROM pg_stat_activity GROUP BY 1, 2"
        case _:
            return f"pg_isready -d '{url}'; start the server, or correct the url (saga config show)"


def _migrations(settings: Settings, database: Database, where: str) -> Iterator[Finding]:
    try:
        far = databases.status(settings, database)
    except SagaEngineError as error:
        why = "A release that does not know a revision may not understand what is stored."
        yield Finding("migrations", Severity.ERROR, where, str(error), why, "saga db status")
        return
    if not far.pending:
        yield fine("migrations", where, f"at {', '.join(far.current)}")
        return
    embedded = sqlite_file(database.url.get_secret_value()) is not None
    service = "saga eventstore" if database.branch == EVENTSTORE_BRANCH else "saga run"
    if embedded and database.branch == EVENTSTORE_BRANCH and not far.current:
        yield fine("migrations", where, f"`{service}` makes its tables when it is started first")
        return
    yield Finding(
        "migrations",
        Severity.WARNING if embedded else Severity.ERROR,
        where,
        f"not set up for this release; pending: {', '.join(far.pending)}",
        f"`{service}` does it by itself." if embedded else f"`{service}` does not start.",
        "saga db upgrade",
    )


def is_ready(findings: Sequence[Finding]) -> bool:
    """Whether a database with these findings can be looked into: it is there, and its tables are."""
    return any(one.check == "migrations" and one.severity is Severity.OK for one in findings)


_OTHER_DIALECT: Final = "What is sent is made for the other one: slower, and never tried on this one."
_POSTGRES: Final = "It gets no fixes any more, and nobody tests the engine with it."
_COCKROACH: Final = "It has no READ COMMITTED, so that batches of disjoint sagas abort each other."
