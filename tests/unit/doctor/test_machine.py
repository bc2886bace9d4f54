"""What the doctor says of this machine: versions, room on disks; and of connections that leave it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from saga_engine.doctor.clocks import skew_finding
from saga_engine.doctor.databases import version_findings
from saga_engine.doctor.exposure import exposures
from saga_engine.doctor.finding import Severity
from saga_engine.doctor.machine import disks, room, sqlite_findings
from saga_engine.settings.sections import Config, EventstoreSection
from saga_engine.settings.settled import Settings, settle

GIB = 1 << 30


@pytest.mark.parametrize(
    ("free", "severity", "shown"),
    [
        (5 * GIB, Severity.OK, "5.0 GiB free"),
        (GIB // 2, Severity.WARNING, "512 MiB free"),
        (GIB // 64, Severity.ERROR, "16 MiB free"),
    ],
)
def test_a_disk_with_little_room_is_a_warning_and_one_with_none_an_error(
    free: int, severity: Severity, shown: str
) -> None:
    found = room(Path("/data"), free)
    assert found.severity is severity
    assert shown in found.what
    assert (found.next == "df -h /data") == (severity is not Severity.OK)


def test_the_disk_of_a_folder_that_is_not_made_yet_is_that_of_the_one_above_it(tmp_path: Path) -> None:
    settings = settle(Config(), tmp_path / "not" / "there")
    assert [finding.where for finding in disks(settings)] == [str(tmp_path)]


def test_an_sqlite_library_without_returning_is_an_error() -> None:
    (old,) = sqlite_findings((3, 34, 1))
    assert (old.severity, old.what) == (Severity.ERROR, "SQLite is version 3.34.1; expected at least 3.35.0")
    (new,) = sqlite_findings((3, 35, 0))
    assert new.severity is Severity.OK


@pytest.mark.parametrize(
    ("url", "said", "severity", "word"),
    [
        ("postgresql://db/saga", "PostgreSQL 18.4 on x86_64-pc-linux-gnu", Severity.OK, "PostgreSQL 18.4 answers"),
        (
            "postgresql://db/saga",
            "PostgreSQL 13.9 (Debian 13.9-1)",
            Severity.WARNING,
            "too old; expected at least 14.0",
        ),
        ("cockroachdb://db/saga", "CockroachDB CCL v25.2.1 (x86_64)", Severity.OK, "CockroachDB 25.2 answers"),
        ("cockroachdb://db/saga", "CockroachDB CCL v23.2.4 (x86_64)", Severity.WARNING, "expected at least 24.1"),
        (
            "cockroachdb://db/saga",
            "PostgreSQL 18.4",
            Severity.WARNING,
            "the url says CockroachDB, the server is Postgre",
        ),
        ("postgresql://db/saga", "EnterpriseThing 4", Severity.WARNING, "EnterpriseThing 4"),
    ],
)
def test_the_version_of_a_server_is_judged_by_its_kind(url: str, said: str, severity: Severity, word: str) -> None:
    (found,) = version_findings("engine", url, said)
    assert found.severity is severity
    assert word in found.what


def test_a_url_of_the_wrong_kind_is_told_with_the_right_scheme() -> None:
    (postgres,) = version_findings("engine", "cockroachdb://db/saga", "PostgreSQL 18.4")
    assert postgres.next == "let the url begin with postgresql://"
    (cockroach,) = version_findings("engine", "postgresql://db/saga", "CockroachDB CCL v25.2.1")
    assert cockroach.next == "let the url begin with cockroachdb://"


@pytest.mark.parametrize(
    ("ahead", "severity", "shown"),
    [
        (-3_000, Severity.OK, "within 0.003 s"),
        (999_000, Severity.OK, "within 0.999 s"),
        (5_400_000, Severity.WARNING, "5.4 s ahead of"),
        (-3_600_000_000, Severity.WARNING, "1 h behind"),
    ],
)
def test_a_clock_is_told_by_how_far_and_which_way_it_is_off(ahead: int, severity: Severity, shown: str) -> None:
    found = skew_finding("engine", ahead)
    assert found.severity is severity
    assert shown in found.what


def settings_of(database: str, nats: dict[str, object] | None = None) -> Settings:
    return settle(Config.model_validate({"database": database, "nats": nats or {}}), Path("/project"))


@pytest.mark.parametrize(
    ("database", "severities"),
    [
        ("sqlite:///.saga/engine.db", ["ok"]),
        ("postgresql://app@localhost/saga", ["ok"]),
        ("postgresql://app@[::1]/saga", ["ok"]),
        ("postgresql://app@/saga?host=/var/run/postgresql", ["ok"]),
        ("postgresql://app@db.example/saga", ["error"]),
        ("postgresql://app@localhost/saga?host=db.example", ["error"]),
        ("postgresql://app@db.example/saga?sslmode=prefer", ["error"]),
        ("cockroachdb://app@db.example/saga?sslmode=require", ["warning"]),
        ("postgresql://app@db.example/saga?sslmode=verify-full", ["ok"]),
    ],
)
def test_a_database_beyond_this_machine_has_to_be_encrypted_and_its_name_checked(
    database: str, severities: list[str]
) -> None:
    assert [str(one.severity) for one in exposures(settings_of(database), insecure=False)] == severities


@pytest.mark.parametrize(
    ("nats", "words"),
    [
        ({"url": "nats://127.0.0.1:4222"}, []),
        ({"url": "nats://broker.example:4222"}, ["plain text", "nobody logs in"]),
        ({"url": "nats://127.0.0.1:4222, nats://broker.example:4222"}, ["plain text", "nobody logs in"]),
        ({"url": "nats://app:secret@broker.example:4222"}, ["plain text"]),
        ({"url": "tls://broker.example:4222"}, ["nobody logs in"]),
        ({"url": "tls://broker.example:4222", "token": SecretStr("t")}, []),
        ({"url": "nats://broker.example", "tls": {"ca": "a", "certificate": "b", "key": "c"}}, []),
    ],
)
def test_a_broker_beyond_this_machine_has_to_be_encrypted_and_to_ask_who_we_are(
    nats: dict[str, object], words: list[str]
) -> None:
    found = [one for one in exposures(settings_of("sqlite:///engine.db", nats), insecure=False) if one.why]
    assert [word for word, one in zip(words, found, strict=True) if word in one.what] == words
    assert "secret" not in str(found)


def test_the_database_of_the_event_store_is_looked_at_too() -> None:
    far = EventstoreSection(database=SecretStr("postgresql://app@db.example/events"))
    found = exposures(replace(settings_of("sqlite:///engine.db"), eventstore=far), insecure=False)
    assert [(str(one.severity), one.where.split(":")[0]) for one in found] == [("error", "eventstore.database")]


def test_what_is_meant_to_be_open_is_a_warning() -> None:
    found = list(exposures(settings_of("postgresql://app@db.example/saga", {"url": "nats://b.example"}), insecure=True))
    assert {one.severity for one in found} == {Severity.WARNING}
