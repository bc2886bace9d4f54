"""What each role may do in the databases, and no more, as GRANT statements for PostgreSQL and CockroachDB.

Owns the roles and their rights. Knows no password, and connects to nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from saga_engine.sql.migrate import ENGINE_BRANCH, version_table
from saga_engine.sql.schema import (
    checkpoints,
    definition_versions,
    definitions,
    events,
    inbox,
    inbox_tries,
    keys,
    leases,
    reply_keys,
    snapshots,
    streams,
)

MIGRATE: Final = "saga_migrate"
RUN: Final = "saga_run"
READ: Final = "saga_read"
PROJECTIONS: Final = "saga_projections"
HTTP_API: Final = "saga_api"

_LONGEST_NAME: Final = 63
"""Of a role, in PostgreSQL."""

_WRITES: Final = "SELECT, INSERT, UPDATE, DELETE"


@dataclass(frozen=True, slots=True)
class SqlRole:
    """One role. `grants` are statements for the database of that branch, as in `saga db status`; None: for each.

    `first`: to be run before `saga db upgrade` makes the tables, rather than after it.
    """

    name: str
    does: str
    database: str | None
    grants: tuple[str, ...]
    first: bool = False


def worker_name(participant: str) -> str:
    """The role of a participant's workers."""
    name = f"saga_worker_{participant}"
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 9]}_{zlib.crc32(participant.encode()):08x}"


def migrate() -> SqlRole:
    """Makes and changes tables, and exchanges the keys of the reply tokens. The tables are its own."""
    return SqlRole(
        MIGRATE,
        "runs `saga db upgrade` and `saga keys`",
        None,
        (f"GRANT USAGE, CREATE ON SCHEMA public TO {MIGRATE}",),
        first=True,
    )


def run() -> SqlRole:
    """Orchestrates, starts and operates. May add events, and neither change nor delete one."""
    changes = ", ".join(table.name for table in (streams, snapshots, leases))
    adds = ", ".join(table.name for table in (events, keys, definitions, definition_versions, reply_keys))
    return SqlRole(
        RUN,
        "runs `saga run --orchestrator`, and starts, looks at and operates sagas",
        ENGINE_BRANCH,
        (
            usage(RUN),
            f"GRANT SELECT, INSERT, UPDATE ON {changes} TO {RUN}",
            f"GRANT SELECT, INSERT ON {adds} TO {RUN}",
            f"GRANT SELECT ON {version_table(ENGINE_BRANCH)} TO {RUN}",
        ),
    )


def read(*, column_grants: bool) -> SqlRole:
    """Looks at sagas, without what they carry: no payload, no result, no secret.

    `column_grants` False, as on CockroachDB: not at events at all, since rights are on whole tables there.
    """
    told = ", ".join(column.name for column in events.columns if column is not events.c.data)
    some = (f"GRANT SELECT ({told}) ON {events.name} TO {READ}",) if column_grants else ()
    return SqlRole(
        READ,
        "looks at the table of sagas and at the types and times of their events, for dashboards",
        ENGINE_BRANCH,
        (usage(READ), f"GRANT SELECT ON {streams.name}, {definition_versions.name} TO {READ}", *some),
    )


def projections() -> SqlRole:
    """Reads the streams whole, for projections. Changes nothing there."""
    reads = ", ".join(table.name for table in (streams, events, snapshots, definitions, definition_versions))
    return SqlRole(
        PROJECTIONS,
        "runs `saga run --projection`, and rebuilds: here it reads what sagas say",
        ENGINE_BRANCH,
        (usage(PROJECTIONS), f"GRANT SELECT ON {reads} TO {PROJECTIONS}"),
    )


def projection(name: str, *, alone: bool) -> SqlRole:
    """The same role in one projection's database. `alone`: that is the projection's only, and so are its tables."""
    versions = version_table(name)
    own = _writing(PROJECTIONS, checkpoints.name, versions, alone=alone)
    return SqlRole(PROJECTIONS, f"keeps the projection {name}", name, (usage(PROJECTIONS), *own))


def http_api() -> SqlRole:
    """Starts, shows and operates sagas. Orchestrates nothing: it has no lease, no snapshot and no key of replies."""
    adds = ", ".join(table.name for table in (events, keys, definitions, definition_versions))
    return SqlRole(
        HTTP_API,
        "runs `saga api`",
        ENGINE_BRANCH,
        (
            usage(HTTP_API),
            f"GRANT SELECT, INSERT, UPDATE ON {streams.name} TO {HTTP_API}",
            f"GRANT SELECT, INSERT ON {adds} TO {HTTP_API}",
            f"GRANT SELECT ON {snapshots.name} TO {HTTP_API}",
        ),
    )


def http_api_reading(branch: str, *, with_inbox: bool) -> SqlRole:
    """The same role in a database of the project, for what the project adds to the API: it reads the project's tables.

    `with_inbox`: there is one, which is none of them.
    """
    private = f"{inbox.name}, {inbox_tries.name}"
    hidden = (f"REVOKE ALL ON {private} FROM {HTTP_API}",) if with_inbox else ()
    return SqlRole(
        HTTP_API,
        "shows what the project keeps",
        branch,
        (usage(HTTP_API), f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {HTTP_API}", *hidden),
    )


def worker(participant: str, *, alone: bool) -> SqlRole:
    """Executes one participant's commands. `alone`: the database is that participant's only, and so are its tables."""
    name, versions = worker_name(participant), version_table(participant)
    own = _writing(name, f"{inbox.name}, {inbox_tries.name}", versions, alone=alone)
    return SqlRole(name, f"runs `saga run --worker {participant}`", participant, (usage(name), *own))


def _writing(role: str, tables: str, versions: str, *, alone: bool) -> Sequence[str]:
    """What a role writes in a database: these tables of ours; `alone` there, all but which revisions were applied."""
    if alone:
        return (
            f"GRANT {_WRITES} ON ALL TABLES IN SCHEMA public TO {role}",
            f"REVOKE INSERT, UPDATE, DELETE ON {versions}, saga_migration_lock FROM {role}",
        )
    return (f"GRANT {_WRITES} ON {tables} TO {role}", f"GRANT SELECT ON {versions} TO {role}")


def usage(name: str) -> str:
    """What every role needs of a database first."""
    return f"GRANT USAGE ON SCHEMA public TO {name}"
