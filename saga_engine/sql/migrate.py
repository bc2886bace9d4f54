"""Brings a database to the newest revision of its branch, and tells how far it is. `docs/decisions/0002-migrations.md`.

Runs Alembic a statement at a time in autocommit, under a lock that other processes respect. Knows no table but its own.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from saga_engine.errors import UsageError
from saga_engine.sql.engine import AUTOCOMMIT, describe
from saga_engine.sql.migration_lock import migration_lock
from saga_engine.sql.transaction import translated

ENGINE_BRANCH: Final = "engine"
INBOX_BRANCH: Final = "inbox"
CHECKPOINTS_BRANCH: Final = "checkpoints"

_PACKAGED: Final = Path(__file__).parent / "migrations"
_LONGEST_NAME: Final = 63
"""PostgreSQL's limit on identifiers."""
_LONGEST_REVISION: Final = 32
"""What Alembic's version table holds."""

# Alembic keeps the revision being run in module-level proxies (`alembic.op`, `alembic.context`): one run at a time in a
# process. Other processes are kept out by `migration_lock`.
_ALEMBIC: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Status:
    """How far a database is: its newest applied revisions, the newest there are, and those to come, in order."""

    current: tuple[str, ...]
    head: tuple[str, ...]
    pending: tuple[str, ...]


def upgrade(
    engine: Engine,
    branch: str,
    script_locations: Sequence[Path] = (),
    *,
    inbox: bool = True,
    checkpoints: bool = False,
) -> list[str]:
    """Apply what is pending; the ids of the revisions that were applied, in order.

    `branch`: `engine`, or the name of a participant or projection, whose revisions carry that label.
    `script_locations`: the project's Alembic environments (folders with a `versions` folder). `inbox`: whether this is
    a participant's database, which gets the inbox too (never the engine's own); `checkpoints`: a projection's, which
    gets its checkpoints.

    Raises `UsageError` for revisions that do not fit together, `StoreUnavailableError` when the database does not
    serve. Safe to repeat after it was cut short, and from several processes at once.
    """
    plan = _plan(engine, branch, script_locations, _supplied(branch, inbox, checkpoints))
    table = version_table(branch)
    with _reported(engine):
        if not _look(engine, plan, table).pending:
            return []
        with _ALEMBIC, migration_lock(engine), engine.connect() as connection:
            # Looked at again: another process may have been quicker.
            pending = _look(engine, plan, table).pending
            autocommit = connection.execution_options(isolation_level=AUTOCOMMIT)
            plan.config.attributes["environment"] = _Environment(autocommit, table)
            for label in plan.labels:
                command.upgrade(plan.config, f"{label}@head")
    return [*pending]


def status(
    engine: Engine,
    branch: str,
    script_locations: Sequence[Path] = (),
    *,
    inbox: bool = True,
    checkpoints: bool = False,
) -> Status:
    """How far the database is. Changes nothing. Parameters and errors as for `upgrade`."""
    plan = _plan(engine, branch, script_locations, _supplied(branch, inbox, checkpoints))
    with _reported(engine):
        return _look(engine, plan, version_table(branch))


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision, and the labels of all branches that lead to it: whoever gets one of them gets it. None: nobody."""

    id: str
    labels: frozenset[str]


def revisions(script_locations: Sequence[Path]) -> list[Revision]:
    """All revisions that there are, the packaged ones too, each after those that it follows. Asks no database.

    Raises `UsageError` for revisions that do not fit together.
    """
    _, scripts, known = _read(script_locations)
    leading = {
        # All heads: of a branch that has several, `upgrade` and `status` say so.
        label: {script.revision for script in scripts.walk_revisions("base", f"{label}@heads")}
        for label in known
    }
    return [
        Revision(script.revision, frozenset(label for label, ids in leading.items() if script.revision in ids))
        for script in [*scripts.walk_revisions()][::-1]
    ]


def _look(engine: Engine, plan: _Plan, table: str) -> Status:
    with engine.connect() as connection:
        connection = connection.execution_options(isolation_level=AUTOCOMMIT)
        current = MigrationContext.configure(connection, opts={"version_table": table}).get_current_heads()
    applied = {script.revision for head in current for script in plan.scripts.iterate_revisions(head, "base")}
    wanted = [script for label in plan.labels for script in _lineage(plan.scripts, label)]
    return Status(
        current=tuple(sorted(current)),
        head=tuple(sorted(script.revision for script in wanted if script.is_head)),
        pending=tuple(script.revision for script in wanted if script.revision not in applied),
    )


def version_table(branch: str) -> str:
    """The table that says which revisions of a branch a database has: several branches may share a database."""
    name = f"saga_revisions_{branch}"
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 9]}_{zlib.crc32(branch.encode()):08x}"


@dataclass(frozen=True, slots=True)
class _Environment:
    """What `upgrade` hands to `env.py`."""

    connection: Connection
    version_table: str


def run_environment() -> None:
    """What an `env.py` does: run the revisions on the connection that `upgrade` has opened."""
    environment = context.config.attributes.get("environment")
    if not isinstance(environment, _Environment):
        raise CommandError("this environment is run by the engine: use saga db upgrade, or saga db status")
    context.configure(
        connection=environment.connection,
        version_table=environment.version_table,
        # One statement, one transaction: CockroachDB has no atomic DDL over several statements.
        transactional_ddl=False,
    )
    with context.begin_transaction():
        context.run_migrations()


@dataclass(frozen=True, slots=True)
class _Plan:
    """The revisions to choose from, and the labels whose newest one is wanted, in order."""

    config: Config
    scripts: ScriptDirectory
    labels: tuple[str, ...]


def _supplied(branch: str, inbox: bool, checkpoints: bool) -> list[str]:
    """The labels of what the SDK adds to a database."""
    labels = [INBOX_BRANCH] if inbox and branch != ENGINE_BRANCH else []
    return [*labels, CHECKPOINTS_BRANCH] if checkpoints else labels


def _plan(engine: Engine, branch: str, script_locations: Sequence[Path], supplied: Sequence[str]) -> _Plan:
    config, scripts, known = _read(script_locations)
    labels = [*supplied]
    if branch in known:
        labels.append(branch)
    if not labels:
        raise UsageError(
            f"{_named(script_locations)}: no revision is labelled {branch!r}, which the database "
            f"{describe(engine.url)} asks for; expected one with branch_labels = ({branch!r},)"
        )
    return _Plan(config, scripts, tuple(labels))


def _read(script_locations: Sequence[Path]) -> tuple[Config, ScriptDirectory, set[str]]:
    """The revisions that there are, and the labels among them."""
    try:
        config = _config(script_locations, with_engine=False)
        scripts = ScriptDirectory.from_config(config)
        if ENGINE_BRANCH not in _labels(scripts):
            config = _config(script_locations, with_engine=True)
            scripts = ScriptDirectory.from_config(config)
        known = _labels(scripts)
    except (CommandError, RevisionError) as error:
        raise UsageError(f"{_named(script_locations)}: its revisions do not fit together: {error}") from error
    for script in scripts.walk_revisions():
        if len(script.revision) > _LONGEST_REVISION:
            raise UsageError(f"{script.path}: its revision id is longer than {_LONGEST_REVISION} characters")
    return config, scripts, known


def _config(script_locations: Sequence[Path], *, with_engine: bool) -> Config:
    """Alembic's settings: the first environment that has an `env.py`, and the revisions of all of them."""
    versions = [location / "versions" for location in script_locations]
    versions += [_PACKAGED / INBOX_BRANCH, _PACKAGED / CHECKPOINTS_BRANCH]
    if with_engine:
        versions.append(_PACKAGED / ENGINE_BRANCH)
    environments = [location for location in script_locations if (location / "env.py").is_file()]
    config = Config()
    config.set_main_option("script_location", _escaped([*environments, _PACKAGED][0]))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(_escaped(folder) for folder in versions if folder.is_dir()))
    return config


def _escaped(path: Path) -> str:
    """As Alembic's configuration wants it, where a per cent sign begins a reference."""
    return str(path.resolve()).replace("%", "%%")


def _labels(scripts: ScriptDirectory) -> set[str]:
    return {label for script in scripts.walk_revisions() for label in script.branch_labels}


def _lineage(scripts: ScriptDirectory, label: str) -> list[Script]:
    """The revisions of a branch, oldest first."""
    return [*scripts.walk_revisions("base", f"{label}@head")][::-1]


def _named(script_locations: Sequence[Path]) -> str:
    return ", ".join(str(location) for location in script_locations) or "the packaged migrations"


@contextmanager
def _reported(engine: Engine) -> Iterator[None]:
    """Turn the database's and Alembic's errors into ours."""
    try:
        yield
    except DBAPIError as error:
        raise translated(engine, error) from error
    except (CommandError, RevisionError) as error:
        raise UsageError(
            f"{describe(engine.url)}: {error}; was the database migrated by a newer release, or is a revision missing?"
        ) from error
