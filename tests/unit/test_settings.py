"""What the settings mean: defaults, paths, and how a URL is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from saga_engine.errors import UsageError
from saga_engine.settings.sections import Config, NatsSection
from saga_engine.settings.settled import settle
from saga_engine.settings.shown import shown_url

ROOT = Path("/projects/shop")


def config(**values: object) -> Config:
    return Config.model_validate(values)


def test_without_any_setting_the_engine_uses_sqlite_below_the_root_and_its_own_nats_server() -> None:
    settings = settle(config(), ROOT)
    assert settings.database.get_secret_value() == "sqlite:////projects/shop/.saga/engine.db"
    assert settings.nats.url is None
    assert settings.data_folder == ROOT / ".saga"


def test_a_participant_that_the_configuration_does_not_name_has_the_defaults() -> None:
    order = settle(config(), ROOT).participant("order")
    assert order.database.get_secret_value() == "sqlite:////projects/shop/.saga/order.db"
    assert (order.name, order.settings) == ("order", {})


def test_an_absolute_sqlite_path_stays_and_its_options_are_kept() -> None:
    settings = settle(config(database="sqlite:////var/lib/engine.db?timeout=5"), ROOT)
    assert settings.database.get_secret_value() == "sqlite:////var/lib/engine.db?timeout=5"


def test_a_folder_that_the_url_of_a_sqlite_database_cannot_name_is_refused() -> None:
    folder = Path("/projects/what?/shop")
    with pytest.raises(UsageError, match=r"^/projects/what\?/shop/\.saga/engine\.db: .* rename the project's folder"):
        settle(config(), folder)
    elsewhere = settle(config(database="sqlite:////var/engine.db?timeout=5"), folder)
    assert elsewhere.database.get_secret_value() == "sqlite:////var/engine.db?timeout=5"
    with pytest.raises(UsageError, match="order"):
        elsewhere.participant("order")


def test_the_url_of_a_server_is_passed_on_as_it_is() -> None:
    url = "cockroachdb+psycopg://root@localhost:26257/saga"
    assert settle(config(database=url), ROOT).database.get_secret_value() == url


def test_files_of_nats_are_relative_to_the_root() -> None:
    nats = {
        "url": "tls://broker:4222",
        "credentials": "a.creds",
        "tls": {"ca": "ca.pem", "certificate": "/c", "key": "k"},
    }
    settled = settle(config(nats=nats), ROOT).nats
    assert settled.credentials == ROOT / "a.creds"
    assert settled.tls is not None
    assert (settled.tls.ca, settled.tls.certificate, settled.tls.key) == (ROOT / "ca.pem", Path("/c"), ROOT / "k")


@pytest.mark.parametrize(
    ("written", "host", "port", "shown"),
    [
        (9464, "127.0.0.1", 9464, "127.0.0.1:9464"),
        ("9464", "127.0.0.1", 9464, "127.0.0.1:9464"),
        ("0.0.0.0:9464", "0.0.0.0", 9464, "0.0.0.0:9464"),
        ("pod-1.example:80", "pod-1.example", 80, "pod-1.example:80"),
        ("[::1]:0", "::1", 0, "[::1]:0"),
    ],
)
def test_metrics_are_served_on_loopback_unless_a_host_is_given(
    written: object, host: str, port: int, shown: str
) -> None:
    listening = settle(config(metrics=written), ROOT).metrics
    assert listening is not None
    assert (listening.host, listening.port, str(listening)) == (host, port, shown)


@pytest.mark.parametrize(
    "written", [True, "", "all", "host:", ":9464", "h:65536", "h:-1", "http://h:1", "::1:9464", 1.5]
)
def test_metrics_elsewhere_than_on_a_port_are_refused(written: object) -> None:
    with pytest.raises(ValidationError, match="must be a port, as in 9464"):
        config(metrics=written)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"database": "mysql://x/y"},
            "must be a database URL that starts with sqlite://, postgresql://, cockroachdb://",
        ),
        ({"database": "sqlite://"}, "must name a file"),
        ({"database": "sqlite:///:memory:"}, "must name a file"),
        ({"nats": {"url": "http://x"}}, "must be nats://host:port"),
        ({"nats": {"url": "nats://a:4222,b:4222"}}, "must be nats://host:port"),
        ({"nats": {"url": "nats://a", "user": "u"}}, "user and password go together"),
        ({"nats": {"url": "nats://a", "token": "t", "nkey_seed": "n"}}, "token and nkey_seed are given"),
        ({"nats": {"token": "t"}}, "url is missing"),
        ({"nats": {"url": "nats://a", "tls": {"key": "k"}}}, "certificate and key go together"),
        ({"orchestrator": {"due_poll": "9ms"}}, "greater than or equal to 10000"),
        ({"orchestrator": {"due_poll": 3}}, "must be a duration"),
        ({"participants": {"Order": {}}}, "should match pattern"),
        ({"saga_engine": 2}, "Input should be 1"),
    ],
)
def test_a_setting_of_the_wrong_form_is_refused_with_what_was_expected(
    values: dict[str, object], expected: str
) -> None:
    with pytest.raises(ValidationError, match=expected):
        config(**values)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://app:secret@db/saga", "postgresql://app:***@db/saga"),
        ("postgresql://app:se/c@ret@db/saga", "postgresql://app:***@db/saga"),
        ("postgresql://app@db/saga", "postgresql://app@db/saga"),
        ("postgresql://db/saga?user=app&password=secret&x=1", "postgresql://db/saga?user=app&password=***&x=1"),
        ("nats://token@broker:4222", "nats://***@broker:4222"),
        ("nats://u:p@a:4222,nats://u:p,q@b:4222", "nats://u:***@b:4222"),
        ("sqlite:////projects/a@b.db", "sqlite:////projects/a@b.db"),
    ],
)
def test_a_shown_url_has_no_secret(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_no_secret_is_in_the_repr_of_settings_or_in_a_validation_error() -> None:
    nats = {"url": "nats://user:canary@a", "user": "u", "password": "canary"}
    assert "canary" not in repr(settle(config(nats=nats, database="postgresql://u:canary@h/d"), ROOT))
    with pytest.raises(ValidationError) as caught:
        config(nats={**nats, "token": "canary"}, database="canary")
    assert "canary" not in str(caught.value)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        NatsSection().url = SecretStr("nats://a")  # type: ignore[misc]  # the assignment is what is tested
