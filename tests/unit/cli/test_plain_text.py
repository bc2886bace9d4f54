"""Connections beyond loopback in plain text are refused, unless somebody says that they may be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saga_engine.cli import main
from saga_engine.configuration import load
from saga_engine.exposure import plain_text, refuse_plain_text

PLAIN = (
    "database: postgresql://saga:s3cret@db.example.com/saga",
    "database: postgresql://saga:s3cret@192.0.2.1/saga?sslmode=prefer",
    "nats: {url: 'nats://broker.example.com:4222'}",
    "nats: {url: 'tls://a.example.com, nats://b.example.com'}",
    "participants: {order: {database: 'postgresql://saga:s3cret@db.example.com/order'}}",
)


@pytest.mark.parametrize("line", PLAIN)
@pytest.mark.parametrize("command", [("list",), ("run",), ("dead", "list"), ("db", "status")], ids=" ".join)
def test_plain_text_beyond_loopback_is_refused_with_what_to_do(
    line: str,
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "config.yaml").write_text(f"saga_engine: 1\n{line}\n")
    monkeypatch.chdir(tmp_path)
    assert main(list(command)) == 2
    error = capsys.readouterr().err
    assert "plain text" in error
    assert "--insecure" in error
    assert "s3cret" not in error


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "database: postgresql://saga@localhost/saga",
        "database: postgresql://saga@db.example.com/saga?sslmode=verify-full",
        "nats: {url: 'tls://broker.example.com:4222'}",
        "nats: {url: 'nats://127.0.0.1:4222'}",
        f"insecure: true\n{PLAIN[0]}",
    ],
)
def test_what_stays_here_or_is_encrypted_or_allowed_is_not_refused(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text("saga_engine: 1\n" + ("" if line == "{}" else line) + "\n")
    refuse_plain_text(load(tmp_path, ()).settings)


def test_a_flag_says_that_plain_text_may_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text(f"saga_engine: 1\n{PLAIN[2]}\n")
    assert main(["--project", str(tmp_path), "--insecure", "db", "status"]) == 0
    assert "plain text" not in capsys.readouterr().err


def test_the_doctor_connects_to_nothing_that_reads_along(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text(f"saga_engine: 1\n{PLAIN[0]}\n")
    assert main(["--project", str(tmp_path), "doctor", "-o", "json"]) == 1
    found = {one["check"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    assert found["exposure"]["severity"] == "error"
    assert "not asked" in found["servers"]["what"]
    assert "database" not in found


@pytest.mark.parametrize(
    ("url", "environment", "plain"),
    [
        ("postgresql:///saga", {"PGHOST": "db.example.com"}, True),
        ("postgresql:///saga", {"PGHOST": "db.example.com", "PGSSLMODE": "require"}, False),
        ("postgresql:///saga?service=far", {}, True),
        ("postgresql:///saga?host=localhost,db.example.com:5432", {}, True),
        ("postgresql://localhost/saga?hostaddr=192.0.2.1", {}, True),
        ("postgresql://localhost/saga", {"PGHOSTADDR": "192.0.2.1"}, True),
        ("postgresql://db.example.com/saga", {"PGHOSTADDR": "127.0.0.1"}, False),
        ("postgresql:///saga?service=far", {"PGHOST": "localhost"}, True),
        ("postgresql://%2Ftmp%2Fpg/saga", {}, False),
    ],
)
def test_a_database_is_where_the_library_of_postgresql_looks_for_it(
    url: str, environment: dict[str, str], plain: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "config.yaml").write_text(f"saga_engine: 1\ndatabase: '{url}'\n")
    assert any(plain_text(load(tmp_path).stated)) is plain
