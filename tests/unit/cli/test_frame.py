"""The frame of the command line: its commands, its exit codes, and how errors are told."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from saga_engine.cli import app
from saga_engine.cli.lazy import Lazy, LazyGroup
from saga_engine.errors import NotFoundError, SagaEngineError, StoreUnavailableError, UsageError
from tests.unit.cli.conftest import Saga


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`saga` in a shell, as a person runs it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def commands(group: LazyGroup) -> list[tuple[str, Lazy]]:
    nested: list[tuple[str, Lazy]] = []
    for name, lazy in group.table.items():
        command = lazy.load()
        nested.append((name, lazy))
        if isinstance(command, LazyGroup):
            nested += commands(command)
    return nested


@pytest.mark.parametrize(("name", "lazy"), [pytest.param(n, lazy, id=n) for n, lazy in commands(app.saga)])
def test_a_command_is_found_under_its_name_and_its_help_begins_with_its_summary(name: str, lazy: Lazy) -> None:
    command = lazy.load()
    assert command.name == name
    assert (command.help or "").split("\n\n")[0].replace("\n", " ").startswith(lazy.summary.rstrip("."))


def test_without_a_command_help_is_shown_and_the_exit_code_is_2(saga: Saga) -> None:
    done = saga()
    assert done.code == 2
    assert "Usage: " in done.out
    assert "validate" in done.out


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["lst"], 'Error: no such command "lst"; did you mean "list"? (see `'),
        (["config", "shw"], 'Error: no such command "shw"; did you mean "show"? (see `'),
        (["config", "show", "--nope"], "Error: No such option"),
        (["config", "show", "-o", "xml"], "Error: Invalid value for '-o' / '--output': 'xml' is not one of"),
    ],
)
def test_a_wrong_word_is_one_line_on_stderr_and_exit_code_2(saga: Saga, args: list[str], expected: str) -> None:
    done = saga(*args)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(expected)
    assert done.err.count("\n") == 1


def test_outside_of_a_project_the_error_says_what_to_do(
    saga: Saga, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = saga("config", "show")
    assert done.code == 2
    assert "no saga project here" in done.err
    assert "--project DIR" in done.err


def test_the_project_can_be_named_by_flag_and_by_environment(
    saga: Saga, project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert saga("-C", str(project), "config", "show").code == 0
    monkeypatch.setenv("SAGA_PROJECT", str(project))
    assert saga("config", "show").code == 0


def test_a_named_project_is_not_searched_upwards(saga: Saga, project: Path) -> None:
    (project / "below").mkdir()
    done = saga("-C", "below", "config", "show")
    assert done.code == 2
    assert f"did you mean {project}?" in done.err
    assert saga("-C", "nowhere", "config", "show").code == 2


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (UsageError("first\nsecond"), 2, "Error: first\nError: second\n"),
        (UsageError("changed:\n  -a\n  +b\nsecond"), 2, "Error: changed:\n  -a\n  +b\nError: second\n"),
        (NotFoundError("no saga x"), 3, "Error: no saga x\n"),
        (StoreUnavailableError("db is down"), 4, "Error: db is down\n"),
        (SagaEngineError("refused \x1b[31mred\u202e"), 1, "Error: refused [31mred\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (click.Abort(), 130, "interrupted\n"),
        (
            KeyError("k\nl"),
            1,
            "Error: unexpected KeyError: 'k\\nl'; this is a fault in saga-engine or a handler; "
            "set SAGA_DEBUG=1 to see where\n",
        ),
        (
            PermissionError(13, "Permission denied", "/x"),
            1,
            "Error: /x: Permission denied; set SAGA_DEBUG=1 to see where\n",
        ),
    ],
)
def test_whatever_a_command_raises_becomes_a_line_and_an_exit_code(
    saga: Saga, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, expected: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(Lazy, "load", lambda _self: click.Command("list", callback=fail))
    monkeypatch.delenv("SAGA_DEBUG", raising=False)
    done = saga("list")
    assert (done.code, done.out, done.err.lstrip("\n")) == (code, "", expected)


def test_saga_debug_shows_the_traceback(saga: Saga, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lazy, "load", lambda _self: click.Command("list", callback=lambda: int("no number")))
    monkeypatch.setenv("SAGA_DEBUG", "1")
    done = saga("list")
    assert done.code == 1
    assert "Traceback" in done.err


def test_a_reader_that_has_gone_is_no_error_that_is_told(project: Path) -> None:
    done = shell("set -o pipefail; saga config show | head -0; echo ${PIPESTATUS[0]}", project)
    assert (done.stdout, done.stderr) == ("141\n", "")


def test_a_reader_that_goes_in_the_middle_is_none_either(project: Path) -> None:
    # More than a pipe holds, so that the writer is still at it when the reader goes.
    lines = "".join(f"  p{number}: {{settings: {{a: {'x' * 200}}}}}\n" for number in range(500))
    (project / "config.yaml").write_text(f"saga_engine: 1\nparticipants:\n{lines}", "utf-8")
    done = shell("saga config show | head -1; echo ${PIPESTATUS[0]}", project)
    assert (done.stdout.splitlines()[-1], done.stderr) == ("141", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full, which stands for a full disk")
def test_a_full_disk_is_told_in_one_line(project: Path) -> None:
    done = shell("saga config show > /dev/full", project)
    assert (done.returncode, done.stderr) == (1, "Error: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_one_that_nobody_reads(project: Path, closed: str) -> None:
    done = shell(f"saga config show {closed}", project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_closed_stdin_is_an_empty_one(project: Path) -> None:
    empty, closed = (shell(f"saga validate - {stdin}", project) for stdin in ("</dev/null", "<&-"))
    assert empty.returncode == 2
    assert (closed.returncode, closed.stdout, closed.stderr) == (empty.returncode, empty.stdout, empty.stderr)


def test_piped_text_has_no_colour_and_is_not_wrapped(project: Path) -> None:
    long = "x" * 300
    (project / "config.yaml").write_text(f"saga_engine: 1\nparticipants: {{p: {{settings: {{a: {long}}}}}}}\n", "utf-8")
    done = shell("saga config show | cat", project, COLUMNS="40")
    assert "\x1b" not in done.stdout
    assert f"  {long}  config.yaml:2\n" in done.stdout


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed_for_each_shell(saga: Saga, name: str) -> None:
    done = saga("completion", name)
    assert done.code == 0
    assert "_SAGA_COMPLETE" in done.out


def test_completion_answers_with_commands_without_importing_them(project: Path) -> None:
    done = shell("saga", project, _SAGA_COMPLETE="bash_complete", COMP_WORDS="saga conf", COMP_CWORD="1")
    assert done.stdout == "plain,config\n"


def test_the_root_script_is_the_command_line_with_its_folder_as_the_project(tmp_path: Path) -> None:
    script = Path(__file__).parents[3] / "cli.py"
    done = subprocess.run(
        [sys.executable, str(script), "config", "show", "-o", "jsonl"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    values = {line["setting"]: line["value"] for line in map(json.loads, done.stdout.splitlines())}
    assert values["database"] == f"sqlite:///{script.parent}/.saga/engine.db"
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 15


def test_logs_go_to_stderr_as_json_lines_when_it_is_no_terminal(tmp_path: Path) -> None:
    code = (
        "import logging, structlog; from saga_engine.cli.logs import configure; configure('info')\n"
        "structlog.get_logger('a').info('happened', saga_id='x'); structlog.get_logger('a').debug('hidden')\n"
        "logging.getLogger('lib').warning('from %s', 'a library'); logging.getLogger('nats').info('hidden')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.stdout == ""
    assert [(line["event"], line["level"], line["logger"]) for line in lines] == [
        ("happened", "info", "a"),
        ("from a library", "warning", "lib"),
    ]
    assert lines[0]["saga_id"] == "x"


def test_no_command_module_is_missing_from_the_table() -> None:
    folder = Path(importlib.import_module("saga_engine.cli.commands").__path__[0])
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {lazy.target.partition(":")[0].rpartition(".")[2] for lazy in app.COMMANDS.values()} == modules
