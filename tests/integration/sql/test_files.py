"""The files of SQLite databases: private whatever the umask, and watched for being taken away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from saga_engine.errors import StoreUnavailableError
from saga_engine.private import DATA_FOLDER, make_private_folder
from saga_engine.sql.engine import open_engine
from saga_engine.sql.files import OpenedFile, file_of
from saga_engine.sql.migration_lock import migration_lock


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct)
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


@pytest.mark.usefixtures("_umask")
def test_a_database_and_all_beside_it_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / DATA_FOLDER
    engine = open_engine(f"sqlite:///{folder}/engine.db")
    with migration_lock(engine), engine.connect() as connection:
        connection.execute(text("CREATE TABLE one (a INTEGER)"))
        modes = {path.name: mode(path) for path in folder.iterdir()}
    engine.dispose()
    assert mode(folder) == "0o700"
    assert modes == dict.fromkeys(("engine.db", "engine.db-wal", "engine.db-shm", "engine.db.migration-lock"), "0o600")


def test_a_data_folder_that_was_there_is_narrowed_and_no_other(tmp_path: Path) -> None:
    for name in (DATA_FOLDER, "shared"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o755)
        make_private_folder(tmp_path / name / "below")
    assert (mode(tmp_path / DATA_FOLDER), mode(tmp_path / "shared")) == ("0o700", "0o755")


def test_a_database_that_was_deleted_or_replaced_is_told_from_the_one_that_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    path.touch()
    opened = OpenedFile.of(path)
    opened.check()
    path.rename(tmp_path / "elsewhere.db")
    with pytest.raises(StoreUnavailableError, match="was deleted or replaced while it was in use"):
        opened.check()
    path.touch()
    with pytest.raises(StoreUnavailableError, match="was deleted or replaced while it was in use"):
        opened.check()


def test_only_a_database_in_a_file_has_one() -> None:
    assert file_of("sqlite:////var/lib/x.db") == Path("/var/lib/x.db")
    assert file_of("postgresql://app@localhost/saga") is None
