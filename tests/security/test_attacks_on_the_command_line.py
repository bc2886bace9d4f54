"""Bad and hostile input on the command line: an exit code and a clear line.

No traceback, no control character, no secret, and no flood.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from saga_engine.cli import main
from tests.unit.cli.trips import Trips, write_trip

SECRET = "c4n4ry-p4ssw0rd"
EVIL = "\x1b[2J\u202eevil\x07"
HUGE = "9" * 100_000
NO_SERVER = f"postgresql://saga:{SECRET}@127.0.0.1:1/x"
USAGE, NOT_FOUND, REFUSED, AWAY = 2, 3, 1, 4

ATTACKS: Sequence[tuple[int, Sequence[str]]] = (
    (NOT_FOUND, ("show", "no-such-saga")),
    (NOT_FOUND, ("show", "00000000-0000-0000-0000-000000000000")),
    (NOT_FOUND, ("show", "../../etc/passwd")),
    (NOT_FOUND, ("show", EVIL)),
    (NOT_FOUND, ("show", "'; DROP TABLE saga_streams; --")),
    (NOT_FOUND, ("show", HUGE)),
    (NOT_FOUND, ("show", "*")),
    (USAGE, ("show", "\udcff")),
    (NOT_FOUND, ("history", EVIL)),
    (NOT_FOUND, ("cancel", EVIL, "--why", "x")),
    (NOT_FOUND, ("signal", "no-such", "Confirmed")),
    (NOT_FOUND, ("start", "no_such", "--input", "{}")),
    (NOT_FOUND, ("start", "../../../etc/passwd", "--input", "{}")),
    (NOT_FOUND, ("start", EVIL, "--input", "{}")),
    (USAGE, ("start", "trip", "--input", "{")),
    (USAGE, ("start", "trip", "--input", "[]")),
    (USAGE, ("start", "trip", "--input", "null")),
    (USAGE, ("start", "trip", "--input", '{"id": NaN}')),
    (USAGE, ("start", "trip", "--input", '{"id": 1e999}')),
    (USAGE, ("start", "trip", "--input", '{"id": "a", "id": "b"}')),
    (USAGE, ("start", "trip", "--input", '{"id": ' + "[" * 50_000 + "]" * 50_000 + "}")),
    (USAGE, ("start", "trip", "--input", '{"id": ' + "9" * 6_000 + "}")),
    (USAGE, ("start", "trip", "--input", '{"id": "\\ud800"}')),
    (USAGE, ("start", "trip", "--input", '{"id": "a\\u0000b"}')),
    (USAGE, ("start", "trip", "--input", '{"id": 7}')),
    (USAGE, ("start", "trip", "--input", "{}")),
    (USAGE, ("start", "trip", "--input", '{"id": "x", "more": "' + "x" * 300_000 + '"}')),
    (USAGE, ("start", "trip", "--input", "@/no/such/file.json")),
    (USAGE, ("start", "trip", "--input", "@/")),
    (USAGE, ("start", "trip", "--input", "@../../../../etc/hostname")),
    (USAGE, ("list", "--status", "no-such")),
    (USAGE, ("list", "--limit", "-1")),
    (USAGE, ("list", "--limit", HUGE)),
    (USAGE, ("list", "--limit", "1; DROP TABLE x")),
    (USAGE, ("dead", "list", "--participant", "a.>")),
    (USAGE, ("dead", "list", "--participant", "../x")),
    (USAGE, ("dead", "show", "0")),
    (USAGE, ("dead", "send")),
    (USAGE, ("no-such-command",)),
    (USAGE, (EVIL,)),
    (USAGE, ("--project", "/no/such/folder", "list")),
    (USAGE, ("--project", EVIL, "list")),
    (USAGE, ("--set", "no.such=1", "list")),
    (USAGE, ("--set", EVIL, "list")),
    (USAGE, ("--set", "database=mysql://x", "list")),
    (USAGE, ("--set", f"database=nonsense-{SECRET}", "list")),
    (USAGE, ("--set", "database=sqlite:///:memory:", "list")),
    (USAGE, ("--set", f"nats.url=http://u:{SECRET}@x", "dead", "list")),
    (USAGE, ("--set", "nats.url=nats://", "dead", "list")),
    (USAGE, ("--set", "orchestrator.batch=-5", "list")),
    (USAGE, ("--set", "orchestrator.due_poll=forever", "list")),
    (USAGE, ("--set", f"database={NO_SERVER}", "list")),
    (USAGE, ("--set", f"database={NO_SERVER}", "keys", "rotate")),
    (AWAY, ("--set", "nats.url=nats://127.0.0.1:1", "dead", "list")),
    (REFUSED, ("skip", "t-1", "--why", "x")),
    (REFUSED, ("retry", "t-1")),
    (REFUSED, ("resume", "t-1", "--why", EVIL)),
    (NOT_FOUND, ("keys", "retire", EVIL)),
    (NOT_FOUND, ("keys", "retire", "' OR 1=1 --")),
    (NOT_FOUND, ("auth", "export", "--participant", "a.>")),
    (NOT_FOUND, ("auth", "export", "--participant", EVIL)),
    (USAGE, ("validate", "/no/such.yaml")),
    (USAGE, ("validate", "/dev/null")),
    (USAGE, ("verify", "no_such")),
    (NOT_FOUND, ("graph", "no-such")),
)


def shown(arguments: Sequence[str]) -> str:
    return ascii(" ".join(arguments))[:60]


@pytest.mark.parametrize(("code", "arguments"), ATTACKS, ids=[shown(each) for _, each in ATTACKS])
def test_bad_input_gets_a_code_and_a_line(
    code: int,
    arguments: Sequence[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "config.yaml").write_text("saga_engine: 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    write_trip(tmp_path)
    Trips(tmp_path).start("t-1")
    capsys.readouterr()
    ended = main(list(arguments))
    out, err = capsys.readouterr()
    # `validate` reports on the files it was given, as data.
    said = "Error" in err or (arguments[0] == "validate" and ": E1" in out)
    assert (ended, said) == (code, True), (out + err)[:300]
    for text in (out, err):
        assert "Traceback" not in text
        assert "unexpected" not in text
        assert SECRET not in text
        assert not any(sign in text for sign in "\x1b\u202e\x07")
        assert len(text) < 5_000


def test_what_a_participant_says_cannot_steer_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("saga_engine: 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    write_trip(tmp_path)
    Trips(tmp_path).start(f"t{EVIL}")
    for arguments in (("list",), ("show", f"t{EVIL}"), ("history", f"t{EVIL}"), ("plan", f"t{EVIL}", "--if", "cancel")):
        for form in ("text", "json", "jsonl"):
            main([*arguments, "-o", form])
            out, err = capsys.readouterr()
            assert out
            assert not any(sign in out + err for sign in "\x1b\u202e\x07"), (arguments, form)
