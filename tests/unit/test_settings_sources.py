"""Where settings come from: config.yaml below the environment below flags, each mistake with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from saga_engine.configuration import Configuration, load
from saga_engine.errors import UsageError


def written(root: Path, text: str) -> Path:
    (root / "config.yaml").write_text(text, encoding="utf-8")
    return root


def origin(configuration: Configuration, place: str) -> str:
    return next(value.origin for value in configuration.values if value.place == place)


def mistakes(root: Path, *flags: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        load(root, flags)
    assert caught.value.exit_code == 2
    return str(caught.value).splitlines()


def test_flags_win_over_the_environment_which_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = written(tmp_path, "saga_engine: 1\norchestrator:\n  batch: 1\n  backlog: 1\n  due_poll: 1s\n")
    monkeypatch.setenv("SAGA_ORCHESTRATOR__BACKLOG", "2")
    monkeypatch.setenv("SAGA_ORCHESTRATOR__DUE_POLL", "2s")
    loaded = load(root, ["orchestrator.due_poll=3s"])
    assert (loaded.settings.orchestrator.batch, loaded.settings.orchestrator.backlog) == (1, 2)
    assert loaded.settings.orchestrator.due_poll == 3_000_000
    assert origin(loaded, "orchestrator.batch") == "config.yaml:3"
    assert origin(loaded, "orchestrator.backlog") == "SAGA_ORCHESTRATOR__BACKLOG"
    assert origin(loaded, "orchestrator.due_poll") == "--set orchestrator.due_poll"
    assert origin(loaded, "database") == "default"


def test_layers_are_merged_key_by_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = written(
        tmp_path, "saga_engine: 1\nparticipants: {payment: {concurrency: 3, settings: {limit: 1, tax: 2}}}\n"
    )
    monkeypatch.setenv("SAGA_PARTICIPANTS__PAYMENT__SETTINGS__LIMIT", "5")
    payment = load(root).settings.participant("payment")
    assert (payment.concurrency, payment.settings) == (3, {"limit": 5, "tax": 2})


@pytest.mark.parametrize(
    ("variable", "text", "place", "value"),
    [
        ("SAGA_API__LISTEN", "0.0.0.0:3000", "api.listen", "0.0.0.0:3000"),
        ("SAGA_API__LISTEN", "3001", "api.listen", "127.0.0.1:3001"),
        ("SAGA_EVENTSTORE__LISTEN", "[::1]:50051", "eventstore.listen", "[::1]:50051"),
        ("SAGA_EVENTSTORE__EVENT_TYPES", "ORDERS.*, BILLS.sent", "eventstore.event_types", "ORDERS.*, BILLS.sent"),
        ("SAGA_EVENTSTORE__EVENT_TYPES", '["ORDERS.*"]', "eventstore.event_types", "ORDERS.*"),
        ("SAGA_METRICS", "0.0.0.0:9464", "metrics", "0.0.0.0:9464"),
    ],
)
def test_what_has_a_form_of_its_own_is_written_in_the_environment_as_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, place: str, value: str
) -> None:
    monkeypatch.setenv(variable, text)
    loaded = load(written(tmp_path, "saga_engine: 1\n"))
    assert next(one.value for one in loaded.values if one.place == place) == value
    assert origin(loaded, place) == variable


@pytest.mark.parametrize("variable", ["SAGA_API__LISTEN", "SAGA_EVENTSTORE__EVENT_TYPES", "SAGA_PARTICIPANTS"])
def test_what_has_another_form_is_a_mistake_that_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "no such:thing")
    (told,) = mistakes(written(tmp_path, "saga_engine: 1\n"))
    assert told.startswith(variable), told


@pytest.mark.parametrize(
    ("text", "value"), [("5", 5), ("true", True), ("plain", "plain"), ("[1, 2]", [1, 2]), ('"5"', "5"), ("", "")]
)
def test_a_free_form_setting_from_outside_is_json_where_it_is_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, value: object
) -> None:
    root = written(tmp_path, "saga_engine: 1\n")
    monkeypatch.setenv("SAGA_PARTICIPANTS__PAYMENT__SETTINGS__A", text)
    settings = load(root, [f"participants.payment.settings.b={text}"]).settings.participant("payment").settings
    assert settings == {"a": value, "b": value}


def test_every_mistake_is_reported_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    root = written(
        tmp_path, "saga_engine: 1\ndatabse: x\nnats:\n  ulr: nats://a\nparticipants:\n  p: {concurrency: many}\n"
    )
    assert sorted(mistakes(root)) == [
        'config.yaml:2:1: unknown key "databse"; did you mean "database"?',
        'config.yaml:4:3: unknown key "nats.ulr"; did you mean "url"?',
        "config.yaml:6:7: participants.p.concurrency: input should be a valid integer, "
        "unable to parse string as an integer",
    ]


def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGA_NATS__ULR", "nats://a")
    assert mistakes(written(tmp_path, "saga_engine: 1\n")) == [
        'SAGA_NATS__ULR: unknown key "nats.ulr"; did you mean "url"?'
    ]


def test_a_misspelt_variable_is_an_error_and_one_that_others_set_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = written(tmp_path, "saga_engine: 1\n")
    monkeypatch.setenv("SAGA_PORT", "tcp://10.0.0.1:80")
    load(root)
    monkeypatch.setenv("SAGA_DATABSE", "x")
    assert mistakes(root) == ["SAGA_DATABSE: unknown setting in the environment; did you mean SAGA_DATABASE?"]


def test_a_mistake_in_a_flag_names_the_flag(tmp_path: Path) -> None:
    root = written(tmp_path, "saga_engine: 1\n")
    assert mistakes(root, "orchestrator.batch=0") == [
        "--set orchestrator.batch: orchestrator.batch: input should be greater than or equal to 1"
    ]
    assert "expected a place" in mistakes(root, "orchestrator.batch")[0]


@pytest.mark.parametrize("flag", ["nats.password=x", "nats.token=x", "database=postgresql://u:p@h/d"])
def test_a_secret_on_the_command_line_is_refused_without_being_shown(tmp_path: Path, flag: str) -> None:
    (mistake,) = mistakes(written(tmp_path, "saga_engine: 1\n"), flag)
    assert "may not stand on the command line" in mistake
    assert flag.partition("=")[2] not in mistake


def test_secrets_are_shown_as_stars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGA_NATS__PASSWORD", "canary")
    root = written(tmp_path, "saga_engine: 1\ndatabase: postgresql://u:canary@h/d\nnats: {url: 'nats://h', user: u}\n")
    shown = {value.place: value.value for value in load(root).values}
    assert (shown["database"], shown["nats.password"]) == ("postgresql://u:***@h/d", "***")
    assert "canary" not in str(shown)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("saga_engine: 1\nnats: [1\n", "config.yaml:3:1: is no YAML"),
        ("saga_engine: 1\nsaga_engine: 1\n", "config.yaml:2:1: is no YAML: found duplicate key"),
        ("- saga_engine: 1\n", "config.yaml:1:1: must be a mapping"),
        ("saga_engine: 1\ndemo: {saga: 2024-01-01}\n", "config.yaml:2:8: demo.saga: date is no value of JSON"),
        ("saga_engine: 1\ndemo: {saga: a}\n", "config.yaml:2:1: demo.runs is missing"),
        ("saga_engine: 1\nparticipants: {Order: {}}\n", "config.yaml:2:16: participants.Order: a name must match"),
    ],
)
def test_a_config_file_of_the_wrong_form_is_an_error_with_its_position(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert mistakes(written(tmp_path, text))[0].startswith(expected)


def test_a_config_file_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"saga_engine: 1\n# \xff\n")
    assert "is not UTF-8 (byte 17)" in mistakes(tmp_path)[0]


def test_the_config_of_this_repository_is_valid_and_has_a_demo() -> None:
    settings = load(Path(__file__).parents[2]).settings
    assert settings.demo is not None
    assert settings.participant("payment").settings["limit"] == 1_000_000
