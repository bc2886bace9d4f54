"""The commands over a real store in a project's folder: what they print, and with which exit code they end."""

from __future__ import annotations

import io
import json
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from click.shell_completion import ShellComplete

from saga_engine.bootstrap.clients import client
from saga_engine.cli import app
from saga_engine.cli.waiting import Timing, wait_for
from saga_engine.configuration import load
from saga_engine.core.state import Status
from saga_engine.envelope import StreamHead
from tests.unit.cli.conftest import Saga

DEFINITION = """
saga: greet
version: 1
key: ${{ input.name }}
input: {type: object, required: [name], properties: {name: {type: string}, loud: {type: boolean, default: false}}}
steps:
  - step: hello
    call: greeter.greet
    with: {name: "${{ input.name }}"}
    compensate: none
"""
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOBODY = "01938f5e-7c00-7000-8000-000000000001"


@pytest.fixture
def greeting(project: Path) -> Path:
    """A project with one saga, `greet`, and nobody who runs it."""
    (project / "definitions").mkdir()
    (project / "definitions" / "greet.yaml").write_text(DEFINITION, encoding="utf-8")
    return project


def test_a_saga_is_started_listed_shown_and_its_history_printed(greeting: Path, saga: Saga) -> None:
    started = saga("start", "greet", "--input", '{"name": "ann"}', "-o", "json")
    row = json.loads(started.out)
    assert (started.code, started.err) == (0, "")
    assert {**row, "id": ""} == {"id": "", "saga": "greet", "key": "ann", "created": True}

    (listed,) = json.loads(saga("list", "-o", "json").out)
    assert (listed["id"], listed["status"], listed["version"]) == (row["id"], "running", 1)

    shown = json.loads(saga("show", "ann", "-o", "json").out)
    keys = ["id", "saga", "version", "key", "status", "input", "steps", "failure", "started_at", "ended_at"]
    assert list(shown) == [*keys, "waits_for", "verbs"]
    assert shown["input"] == {"name": "ann", "loud": False}
    assert [step["step"] for step in shown["steps"]] == ["hello"]
    assert json.loads(saga("show", row["id"], "-o", "jsonl").out) == shown

    lines = [json.loads(line) for line in saga("history", "ann", "-o", "jsonl").out.splitlines()]
    assert [list(line) for line in lines] == [["version", "type", "at", "data"]] * len(lines)
    assert [line["version"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[0]["type"] == "SagaStarted"
    assert lines[0]["at"].endswith("Z")


def test_the_text_forms_name_saga_key_and_status(greeting: Path, saga: Saga) -> None:
    assert saga("start", "greet", "--input", '{"name": "ann"}').out.startswith("started greet ann ")
    assert saga("list").out.splitlines()[1].split()[1:4] == ["greet", "ann", "running"]
    assert saga("show", "ann").out.startswith("greet  ann  running  for ")
    assert saga("history", "ann").out.splitlines()[1].split()[0::2][:2] == ["1", "SagaStarted"]


def test_the_same_key_and_input_give_the_same_saga_and_another_input_is_a_conflict(greeting: Path, saga: Saga) -> None:
    first = json.loads(saga("start", "greet", "--input", '{"name": "ann"}', "-o", "json").out)
    # The default is filled in before inputs are compared.
    again = json.loads(saga("start", "greet", "--input", '{"loud": false, "name": "ann"}', "-o", "json").out)
    assert again == {**first, "created": False}
    conflict = saga("start", "greet", "--input", '{"name": "ann", "loud": true}')
    assert (conflict.code, conflict.out) == (1, "")
    assert conflict.err.startswith(f"Error: conflict: key 'ann' belongs to saga {first['id']}")


def test_another_generation_is_refused_while_the_first_runs(greeting: Path, saga: Saga) -> None:
    saga("start", "greet", "--input", '{"name": "ann"}')
    refused = saga("start", "greet", "--input", '{"name": "ann"}', "--again")
    assert refused.code == 1
    assert "running" in refused.err


def test_a_key_of_ones_own_replaces_the_definitions(greeting: Path, saga: Saga) -> None:
    saga("start", "greet", "--input", '{"name": "ann"}', "--key", "mine")
    assert json.loads(saga("show", "mine", "-o", "json").out)["key"] == "mine"


def traceparent_of(project: Path, key: str) -> str | None:
    with closing(client(load(project).settings)) as looking:
        return looking.view(looking.find(key)).state.traceparent


@pytest.mark.parametrize(
    ("flag", "environment", "stored"),
    [
        (TRACEPARENT, "", TRACEPARENT),
        (TRACEPARENT, "00-11111111111111111111111111111111-b7ad6b7169203331-01", TRACEPARENT),
        (None, TRACEPARENT, TRACEPARENT),
        (None, "of no standard", None),
        (None, "", None),
    ],
)
def test_a_start_keeps_the_callers_trace_context_with_the_saga(
    flag: str | None, environment: str, stored: str | None, greeting: Path, saga: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", environment)
    given = [] if flag is None else ["--traceparent", flag]
    assert saga("start", "greet", "--input", '{"name": "ann"}', *given).code == 0
    assert traceparent_of(greeting, "ann") == stored


def test_a_trace_context_that_is_none_is_refused_when_it_is_given_as_an_option(greeting: Path, saga: Saga) -> None:
    refused = saga("start", "greet", "--input", '{"name": "ann"}', "--traceparent", "00-1-2-3")
    assert refused.code == 2
    assert "is no trace context" in refused.err


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--input", '{"name": 5}'], "--input: $.name: E404"),
        (["--input", "{"], "--input: $: E306"),
        (["--input", '{"name": "a", "name": "b"}'], "--input: $: E302"),
        (["--input", '{"name": NaN}'], "--input: $: E301"),
        (["--input", "@absent.json"], "--input @absent.json: the file cannot be read: No such file or directory"),
        (["--timeout", "5s"], "--timeout goes with --wait"),
        (["--wait", "--timeout", "5"], "expected a duration"),
    ],
)
def test_a_start_with_a_mistake_is_refused_with_exit_code_2(
    greeting: Path, saga: Saga, args: list[str], expected: str
) -> None:
    saga("db", "upgrade")
    done = saga("start", "greet", *args)
    assert (done.code, done.out) == (2, "")
    assert expected in done.err
    assert saga("list", "-o", "json").out == "[]\n"


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["start", "greeet"], "no saga named 'greeet'"),
        (["start", "greet", "--version", "7"], "no version 7"),
        (["show", NOBODY], f"no saga with id or key '{NOBODY}'"),
        (["show", "nobody"], "no saga with id or key 'nobody'"),
        (["history", "nobody", "--saga", "greet"], "no saga with id or key 'nobody' named greet"),
    ],
)
def test_what_is_not_there_has_exit_code_3(greeting: Path, saga: Saga, args: list[str], expected: str) -> None:
    saga("db", "upgrade")
    done = saga(*args)
    assert (done.code, done.out) == (3, "")
    assert expected in done.err
    assert done.err.count("\n") == 1


def test_an_older_version_starts_as_long_as_its_file_is_kept_and_otherwise_it_is_said_how(
    greeting: Path, saga: Saga
) -> None:
    assert saga("start", "greet", "--input", '{"name": "ann"}').code == 0
    files = greeting / "definitions"
    (files / "greet.yaml").write_text(DEFINITION.replace("version: 1", "version: 2"), encoding="utf-8")
    refused = saga("start", "greet", "--version", "1", "--input", '{"name": "bob"}')
    assert refused.code == 3
    assert "saga 'greet' has no version 1 here; it has: 2; a version starts from its file" in refused.err
    assert "greet_v1.yaml" in refused.err
    (files / "greet_v1.yaml").write_text(DEFINITION, encoding="utf-8")
    started = saga("start", "greet", "--version", "1", "--input", '{"name": "bob"}', "-o", "json")
    assert started.code == 0, started.err
    assert json.loads(saga("show", "bob", "-o", "json").out)["version"] == 1


def test_a_key_of_several_sagas_wants_the_name(greeting: Path, saga: Saga) -> None:
    other = DEFINITION.replace("saga: greet", "saga: wave")
    (greeting / "definitions" / "wave.yaml").write_text(other, encoding="utf-8")
    for name in ("greet", "wave"):
        saga("start", name, "--input", '{"name": "ann"}')
    unclear = saga("show", "ann")
    assert unclear.code == 2
    assert "--saga greet or wave" in unclear.err
    assert json.loads(saga("show", "ann", "--saga", "wave", "-o", "json").out)["saga"] == "wave"


def test_changed_content_under_a_known_version_is_refused_with_the_difference(greeting: Path, saga: Saga) -> None:
    saga("start", "greet", "--input", '{"name": "ann"}')
    changed = DEFINITION.replace("greeter.greet", "greeter.shout")
    (greeting / "definitions" / "greet.yaml").write_text(changed, encoding="utf-8")
    refused = saga("start", "greet", "--input", '{"name": "bob"}')
    assert refused.code == 2
    assert "greeter.greet" in refused.err
    assert "greeter.shout" in refused.err


def test_a_list_is_filtered_and_paged(greeting: Path, saga: Saga) -> None:
    for name in ("a", "b", "c"):
        saga("start", "greet", "--input", f'{{"name": "{name}"}}')
    page = saga("list", "--limit", "2", "-o", "jsonl")
    rows = [json.loads(line) for line in page.out.splitlines()]
    assert [row["key"] for row in rows] == ["c", "b"]
    (last,) = json.loads(saga("list", "--before", rows[-1]["id"], "-o", "json").out)
    assert last["key"] == "a"
    assert saga("list", "--status", "completed", "-o", "jsonl").out == ""
    assert len(json.loads(saga("list", "--saga", "greet", "--status", "running", "-o", "json").out)) == 3


def test_a_list_is_filtered_by_age_as_the_verbs_on_many_are(greeting: Path, saga: Saga) -> None:
    for name in ("a", "b"):
        saga("start", "greet", "--input", f'{{"name": "{name}"}}')
    assert saga("list", "--older-than", "2h", "-o", "jsonl").out == ""
    rows = json.loads(saga("list", "--older-than", "0ms", "-o", "json").out)
    assert [row["key"] for row in rows] == ["b", "a"]
    (last,) = json.loads(saga("list", "--older-than", "0ms", "--before", rows[0]["id"], "-o", "json").out)
    assert last["key"] == "a"


@pytest.mark.parametrize("number", ["zzz", "0", "-1", "9" * 5_000])
@pytest.mark.parametrize("verb", ["show", "send"])
def test_what_is_no_number_of_a_dead_letter_is_told_what_one_looks_like(
    project: Path, saga: Saga, verb: str, number: str
) -> None:
    done = saga("dead", verb, "--", number)
    assert (done.code, done.out) == (2, "")
    assert "expected its number, as in 17; `saga dead list` shows them" in done.err


def test_an_empty_list_says_so_on_stderr(greeting: Path, saga: Saga) -> None:
    saga("start", "greet", "--input", '{"name": "a"}')
    done = saga("list", "--status", "completed")
    assert (done.code, done.out, done.err) == (0, "", "No sagas found.\n")


@pytest.mark.parametrize(
    "command", [("list",), ("show", "a"), ("history", "a"), ("audit",), ("keys", "list")], ids=" ".join
)
def test_a_database_that_is_not_there_is_no_empty_system(greeting: Path, saga: Saga, command: tuple[str, ...]) -> None:
    for _ in range(2):
        done = saga(*command)
        assert (done.code, done.out) == (4, "")
        assert f"{greeting}/.saga/engine.db: there is none" in done.err
        assert "saga start" in done.err
        assert not (greeting / ".saga").exists()
    assert saga("db", "status").code == 0
    assert saga(*command).code == 4


def test_input_comes_from_a_file_or_stdin(greeting: Path, saga: Saga, monkeypatch: pytest.MonkeyPatch) -> None:
    (greeting / "in.json").write_text('{"name": "file"}', encoding="utf-8")
    assert saga("start", "greet", "--input", "@in.json").code == 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"name": "stdin"}')))
    assert saga("start", "greet", "--input", "-").code == 0
    assert {row["key"] for row in json.loads(saga("list", "-o", "json").out)} == {"file", "stdin"}


def test_hostile_data_does_not_reach_the_terminal(greeting: Path, saga: Saga) -> None:
    name = "\x1b[2J\u202eevil\r\nError: forged"
    saga("start", "greet", "--input", json.dumps({"name": name}))
    for command in (["list"], ["show", name], ["history", name]):
        done = saga(*command)
        assert done.code == 0
        assert not {"\x1b", "\u202e", "\r"} & set(done.out)
        assert "\nError: forged" not in done.out
    assert json.loads(saga("list", "-o", "json").out)[0]["key"] == name


def test_waiting_for_a_saga_that_nobody_runs_times_out_with_124(greeting: Path, saga: Saga) -> None:
    done = saga("start", "greet", "--input", '{"name": "ann"}', "--wait", "--timeout", "50ms", "-o", "json")
    assert done.code == 124
    assert json.loads(done.out)["status"] == "running"
    assert "had not ended after 0.050 s" in done.err


def test_who_waits_for_long_is_told_how_to_find_out_for_what(
    greeting: Path, saga: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saga_engine.cli.commands.start._PATIENCE_S", 0.01)
    done = saga("start", "greet", "--input", '{"name": "ann"}', "--wait", "--timeout", "50ms")
    assert done.code == 124
    told, timed_out = done.err.splitlines()
    assert told.startswith("still waiting for greet ann: `saga show ")
    assert "`saga doctor`" in told
    assert "had not ended after 0.050 s" in timed_out


@pytest.mark.parametrize(
    ("status", "code"),
    [(Status.COMPLETED, 0), (Status.COMPENSATED, 5), (Status.CLOSED, 5), (Status.BLOCKED, 5)],
)
def test_an_awaited_saga_decides_the_exit_code(
    greeting: Path, saga: Saga, monkeypatch: pytest.MonkeyPatch, status: Status, code: int
) -> None:
    monkeypatch.setattr("saga_engine.cli.waiting.wait_for", lambda *_: status)
    done = saga("start", "greet", "--input", '{"name": "ann"}', "--wait")
    assert done.code == code
    assert done.out.splitlines()[1] == f"greet ann is {status}"


class Changing:
    """A client whose saga has another status at each look, the last one for ever."""

    def __init__(self, *statuses: Status) -> None:
        self.statuses = list(statuses)
        self.looks = 0

    def status(self, saga_id: UUID) -> StreamHead:
        self.looks += 1
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return StreamHead(saga_id, "greet", "k", 1, 1, "h", 0, 1, 1, status, None, 0, None)


def waited(client: Changing, limit: float | None) -> tuple[Status | None, float]:
    elapsed = [0.0]

    def sleep(seconds: float) -> None:
        assert seconds > 0
        elapsed[0] += seconds

    found = wait_for(client, UUID(NOBODY), limit, Timing(lambda: elapsed[0], sleep))
    return found, elapsed[0]


@pytest.mark.parametrize("last", [Status.COMPLETED, Status.COMPENSATED, Status.CLOSED, Status.BLOCKED])
def test_waiting_ends_when_a_saga_has_ended_or_is_blocked(last: Status) -> None:
    statuses = (Status.RUNNING, Status.SUSPENDED, Status.COMPENSATING, last)
    assert waited(Changing(*statuses), None)[0] is last


def test_waiting_ends_at_its_limit_and_never_later() -> None:
    found, elapsed = waited(Changing(Status.RUNNING), 3.0)
    assert found is None
    assert elapsed == pytest.approx(3.0)


def test_waiting_looks_ever_more_rarely() -> None:
    client = Changing(Status.RUNNING)
    waited(client, 60.0)
    assert client.looks < 140


def test_saga_names_are_completed_from_the_projects_files(greeting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complete = ShellComplete(app.saga, {}, "saga", "_SAGA_COMPLETE")
    assert [item.value for item in complete.get_completions(["start"], "gr")] == ["greet"]
    monkeypatch.chdir("/")
    assert complete.get_completions(["start"], "gr") == []


def test_validate_reports_every_mistake_with_its_place_and_exit_code_2(greeting: Path, saga: Saga) -> None:
    assert saga("validate").out == "definitions/greet.yaml: valid: greet version 1, 1 step\n"
    wrong = DEFINITION.replace("compensate: none", "compensat: none").replace("version: 1", "version: 0")
    (greeting / "wrong.yaml").write_text(wrong, encoding="utf-8")
    done = saga("validate", "wrong.yaml", "definitions/greet.yaml")
    assert done.code == 2
    lines = done.out.splitlines()
    assert lines[0].startswith("wrong.yaml:3:")
    assert any(line.startswith("wrong.yaml:10:5: E111") for line in lines)
    assert lines[-1].startswith("definitions/greet.yaml: valid")
    rows = [json.loads(line) for line in saga("validate", "wrong.yaml", "-o", "jsonl").out.splitlines()]
    assert [(row["file"], row["valid"]) for row in rows] == [("wrong.yaml", False)]
    assert {problem["line"] for problem in rows[0]["problems"]} >= {3, 10}


def test_validate_needs_no_project_and_reads_stdin(tmp_path: Path, saga: Saga, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(DEFINITION.encode())))
    assert saga("validate", "-").code == 0
    missing = saga("validate", "absent.yaml")
    assert missing.code == 2
    assert missing.out.startswith("absent.yaml:1:1: E100")


def test_validate_without_a_definition_says_where_one_goes(project: Path, saga: Saga) -> None:
    done = saga("validate")
    assert done.code == 2
    assert "definitions: has no *.yaml" in done.err


def test_databases_are_upgraded_once_and_their_state_is_shown(greeting: Path, saga: Saga) -> None:
    (before,) = json.loads(saga("db", "status", "-o", "json").out)
    assert (before["database"], before["current"], before["pending"]) == ("engine", [], before["head"])
    (done,) = json.loads(saga("db", "upgrade", "-o", "json").out)
    assert done["applied"] == before["pending"]
    assert saga("db", "upgrade").out == "engine: is up to date\n"
    (after,) = json.loads(saga("db", "status", "-o", "json").out)
    assert (after["current"], after["pending"]) == (before["head"], [])


def test_a_database_that_cannot_be_reached_has_exit_code_4_and_shows_no_password(
    project: Path, saga: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGA_DATABASE", "postgresql://app:canary@127.0.0.1:1/saga?connect_timeout=1")
    for command in (["list"], ["db", "status"], ["show", "x"]):
        done = saga(*command)
        assert (done.code, done.out) == (4, "")
        assert "canary" not in done.err
        assert done.err.count("\n") == 1


def test_running_an_unknown_worker_is_a_mistake(greeting: Path, saga: Saga) -> None:
    done = saga("run", "--worker", "nobody")
    assert done.code == 2
    assert "'nobody'" in done.err


def test_a_demo_without_its_section_says_what_to_write(greeting: Path, saga: Saga) -> None:
    done = saga("demo")
    assert done.code == 2
    assert "has no `demo:`" in done.err
