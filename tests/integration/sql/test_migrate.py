"""Migrations: what each database gets, that tables and revisions agree, and several processes that begin at once."""

from __future__ import annotations

import multiprocessing
from multiprocessing.queues import Queue
from pathlib import Path
from textwrap import dedent

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, inspect

from saga_engine.errors import SchemaMissingError, StoreUnavailableError, UsageError
from saga_engine.sql.engine import open_engine
from saga_engine.sql.indexes import indexed_engine_tables
from saga_engine.sql.migrate import Status, status, upgrade, version_table
from saga_engine.sql.schema import checkpoint_tables, engine_tables, inbox_tables
from tests.databases import DIALECT, SERIALIZABLE, SQL_LANES, SQLITE, Database, Databases
from tests.integration.sql.processes import WAIT_S, upgrade_all

PROCESSES = 4
REVISION = """
    from alembic import op
    from sqlalchemy import Column, Integer

    revision = "{revision}"
    down_revision = {down!r}
    branch_labels = {labels!r}
    depends_on = None

    def upgrade():
        {body}
"""


def write_revision(folder: Path, revision: str, down: str | None, label: str | None, body: str = "pass") -> None:
    versions = folder / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    code = dedent(REVISION).format(revision=revision, down=down, labels=(label,) if label else None, body=body)
    (versions / f"{revision}.py").write_text(code)


def create(table: str) -> str:
    return f'op.create_table("{table}", Column("id", Integer), if_not_exists=True)'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An environment with the engine's branch extended, and a branch for `order`."""
    folder = tmp_path / "100% of it" / "migrations"
    first = "from saga_engine.sql.migrations import event_streams; event_streams.upgrade()"
    write_revision(folder, "0001_event_streams", None, "engine", first)
    write_revision(folder, "0002_notes", "0001_event_streams", None, create("notes"))
    write_revision(folder, "0001_orders", None, "order", create("orders"))
    write_revision(folder, "0002_lines", "0001_orders", None, create("order_lines"))
    return folder


def tables(database: Database) -> set[str]:
    with database.engine() as engine:
        return set(inspect(engine).get_table_names()) - {"saga_migration_lock"}


def test_the_engines_database_gets_the_engines_tables(empty_database: Database) -> None:
    with empty_database.engine() as engine:
        before = status(engine, "engine")
        assert before == Status((), ("0001_event_streams",), ("0001_event_streams",))
        assert upgrade(engine, "engine") == ["0001_event_streams"]
        assert upgrade(engine, "engine") == []
        assert status(engine, "engine") == Status(("0001_event_streams",), ("0001_event_streams",), ())
    assert tables(empty_database) == {"saga_revisions_engine", *engine_tables.tables}


def test_a_participants_database_gets_the_inbox_and_its_own_branch(empty_database: Database, project: Path) -> None:
    with empty_database.engine() as engine:
        assert upgrade(engine, "order", [project]) == ["0001_inbox", "0001_orders", "0002_lines"]
    assert tables(empty_database) == {"saga_revisions_order", *inbox_tables.tables, "orders", "order_lines"}


def test_a_participant_without_revisions_gets_the_inbox(empty_database: Database, project: Path) -> None:
    with empty_database.engine() as engine:
        assert upgrade(engine, "payment", [project]) == ["0001_inbox"]


def test_a_projections_database_gets_the_checkpoints_and_no_inbox(empty_database: Database, project: Path) -> None:
    with empty_database.engine() as engine:
        done = upgrade(engine, "order", [project], inbox=False, checkpoints=True)
        assert done == ["0001_checkpoints", "0001_orders", "0002_lines"]
        assert status(engine, "order", [project], inbox=False, checkpoints=True).pending == ()
    assert tables(empty_database) == {"saga_revisions_order", "saga_checkpoints", "orders", "order_lines"}


def test_databases_that_share_one_server_database_do_not_see_each_other(
    empty_database: Database, project: Path
) -> None:
    with empty_database.engine() as engine:
        assert len(upgrade(engine, "engine", [project])) == 2
        assert len(upgrade(engine, "order", [project])) == 3
        assert upgrade(engine, "payment", [project]) == ["0001_inbox"]
        assert status(engine, "engine", [project]).current == ("0002_notes",)
        assert status(engine, "order", [project]).current == ("0001_inbox", "0002_lines")


def test_a_project_continues_where_the_packaged_revisions_ended(empty_database: Database, project: Path) -> None:
    with empty_database.engine() as engine:
        upgrade(engine, "engine")
        assert status(engine, "engine", [project]).pending == ("0002_notes",)
        assert upgrade(engine, "engine", [project]) == ["0002_notes"]


@pytest.mark.parametrize(
    ("branch", "metadata"),
    [("engine", indexed_engine_tables()), ("order", inbox_tables), ("order_view", checkpoint_tables)],
    ids=["engine", "inbox", "checkpoints"],
)
# Not through the cockroachdb dialect: its reflection reads columns that only a real CockroachDB has.
@pytest.mark.parametrize("lane", [lane for lane in SQL_LANES if lane not in (DIALECT, SERIALIZABLE)])
def test_the_revisions_make_the_tables_that_the_code_expects(
    databases: Databases, tmp_path: Path, lane: str, branch: str, metadata: MetaData
) -> None:
    database = databases.empty(lane, tmp_path)
    with database.engine() as engine:
        upgrade(engine, branch, inbox=branch == "order", checkpoints=branch == "order_view")
        with engine.connect() as connection:
            options = {"compare_type": True, "version_table": version_table(branch)}
            context = MigrationContext.configure(connection, opts=options)
            found = [each for each in compare_metadata(context, metadata) if "saga_migration_lock" not in repr(each)]
    assert found == []


def test_a_revision_that_was_cut_short_is_run_again(empty_database: Database, project: Path) -> None:
    cut_short = f'{create("half")}; op.drop_table("missing")'
    write_revision(project, "0003_broken", "0002_lines", None, cut_short)
    with empty_database.engine() as engine:
        with pytest.raises(SchemaMissingError):
            upgrade(engine, "order", [project])
        assert status(engine, "order", [project]).pending == ("0003_broken",)
        write_revision(project, "0003_broken", "0002_lines", None, f"{create('half')}; {create('whole')}")
        assert upgrade(engine, "order", [project]) == ["0003_broken"]
    assert {"half", "whole"} <= tables(empty_database)


def test_revisions_that_do_not_fit_together_are_a_usage_error(empty_database: Database, project: Path) -> None:
    with empty_database.engine() as engine:
        with pytest.raises(UsageError, match="no revision is labelled 'nobody'"):
            upgrade(engine, "nobody", [project], inbox=False)
        upgrade(engine, "order", [project])
        (project / "versions" / "0002_lines.py").unlink()
        with pytest.raises(UsageError, match="0002_lines"):
            status(engine, "order", [project])
        write_revision(project, "0" * 33, "0001_orders", None)
        with pytest.raises(UsageError, match="longer than 32 characters"):
            upgrade(engine, "order", [project])


def test_the_name_of_a_version_table_fits_every_database() -> None:
    long, longer = "p" * 62, "p" * 63
    assert version_table("order") == "saga_revisions_order"
    assert len(version_table(longer)) == 63
    assert version_table(long) != version_table(longer)


def test_processes_that_begin_at_once_migrate_exactly_once(databases: Databases, tmp_path: Path, project: Path) -> None:
    lanes = [SQLITE] * 8 + [lane for lane in SQL_LANES if lane not in (SQLITE, SERIALIZABLE)] * 2
    urls = [databases.empty(lane, tmp_path).url for lane in lanes]
    spawn = multiprocessing.get_context("spawn")
    results: Queue[list[str]] = spawn.Queue()
    arguments = (urls, str(project), spawn.Barrier(PROCESSES), results)
    processes = [spawn.Process(target=upgrade_all, args=arguments) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    applied = [revision for _ in range(PROCESSES * len(urls)) for revision in results.get(timeout=WAIT_S)]
    for process in processes:
        process.join(timeout=WAIT_S)
        assert process.exitcode == 0
    everything = ["0001_inbox", "0001_orders", "0002_lines", "0001_event_streams", "0002_notes"]
    assert sorted(applied) == sorted(everything * len(urls))


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    engine = open_engine(f"postgresql://user:secret@/db?host={tmp_path}")
    with pytest.raises(StoreUnavailableError) as caught:
        upgrade(engine, "engine")
    assert "secret" not in str(caught.value)
    engine.dispose()
