"""`saga dead` on a real nats-server: what operators see of dead letters, and what they can do with them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.transport import connect
from saga_engine.cli import main
from saga_engine.definition.model import Json, StartOn
from saga_engine.envelope import Message
from saga_engine.orchestrator.event_letters import event_letter
from saga_engine.orchestrator.occasions import Occasion
from saga_engine.ports.events import HeardEvent
from saga_engine.ports.transport import Delivery
from saga_engine.wire.dead_letters import dead_letter
from tests.nats_fixtures import NatsServer
from tests.unit.orchestrator.support import loaded

KEY = "01900000-0000-7000-8000-000000000001/debit/forward"
Saga = Callable[..., tuple[int, str, str]]


def original(number: int = 1, body: bytes = b'{"payload": {"amount": 5}}') -> Message:
    headers = {"saga-key": KEY, "ce-id": f"{KEY}/1/{number}", "saga-token": "1.5ec2e7"}
    return Message("saga.command.payment.debit", headers, body, f"{KEY}/1/{number}")


def bury(server: NatsServer, *letters: Message) -> None:
    async def publish() -> None:
        transport = await connect(NatsSettings(servers=(server.url,)))
        assert all(await transport.publish(letters))
        await transport.close()

    asyncio.run(publish())


def received(server: NatsServer, participant: str) -> Message:
    async def receive() -> Message:
        transport = await connect(NatsSettings(servers=(server.url,)))
        subscription = await transport.commands(participant)
        async with asyncio.timeout(90):
            (delivery,) = await subscription.receive(1)
        await subscription.ack([delivery])
        await transport.close()
        return delivery.message

    return asyncio.run(receive())


@pytest.fixture
def saga(
    own_nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Saga:
    """Runs the command line in a project on a server of its own."""
    (tmp_path / "config.yaml").write_text(f"saga_engine: 1\nnats: {{url: '{own_nats_server.url}'}}\n")
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(args)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def rows(done: tuple[int, str, str]) -> Sequence[dict[str, Json]]:
    assert done[0] == 0, done[2]
    found: Sequence[dict[str, Json]] = json.loads(done[1])
    return found


def test_letters_are_listed_newest_first_with_all_that_tells_them_apart(
    saga: Saga, own_nats_server: NatsServer
) -> None:
    code, out, err = saga("dead", "list")
    assert (code, out) == (0, "")
    assert "No dead letters" in err
    bury(
        own_nats_server,
        dead_letter("payment", original(), "ten tries did not come to an end"),
        dead_letter("orchestrator", Message("saga.reply.3.payment", {}, b"x", None), "header saga-key is missing"),
    )
    newest, oldest = rows(saga("dead", "list", "-o", "json"))
    assert (newest["sequence"], newest["participant"], newest["key"]) == (2, "orchestrator", None)
    assert {name: oldest[name] for name in ("sequence", "participant", "subject", "reason", "key")} == {
        "sequence": 1,
        "participant": "payment",
        "subject": "saga.command.payment.debit",
        "reason": "ten tries did not come to an end",
        "key": KEY,
    }
    assert [row["sequence"] for row in rows(saga("dead", "list", "--participant", "payment", "-o", "json"))] == [1]
    assert [row["sequence"] for row in rows(saga("dead", "list", "--reason", "SAGA-KEY", "-o", "json"))] == [2]
    code, out, err = saga("dead", "list", "--limit", "1")
    assert "saga-key is missing" in out
    assert "--before 2" in err


def test_a_letter_is_shown_without_what_could_forge_a_reply_or_a_terminal(
    saga: Saga, own_nats_server: NatsServer
) -> None:
    hostile = b'{"note": "\\u001b]0;pwned\\u0007", "raw": "\xe2\x80\xae"}'
    bury(
        own_nats_server,
        dead_letter("payment", original(body=hostile), "why\x1b[31m"),
        dead_letter("payment", original(body=b"\x1b[2Jnot json"), "why"),
        dead_letter("payment", original(body=json.dumps({"payload": "x" * 10_000}).encode()), "why"),
    )
    for sequence in ("1", "2"):
        code, out, err = saga("dead", "show", sequence)
        assert code == 0, err
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert "5ec2e7" not in out
        assert "1.***" in out
    code, out, err = saga("dead", "show", "3")
    assert len(out) < 6_000
    assert "more characters: --whole shows them" in err
    assert "x" * 10_000 in saga("dead", "show", "3", "--whole")[1]
    whole = json.loads(saga("dead", "show", "3", "-o", "json")[1])
    assert whole["body"] == {"payload": "x" * 10_000}
    assert whole["headers"]["saga-token"] == "1.***"
    assert saga("dead", "show", "9")[::2] == (3, "Error: no dead letter 9; `saga dead list` shows those there are\n")


def test_a_letter_is_sent_again_and_gone_after_it(saga: Saga, own_nats_server: NatsServer) -> None:
    bury(own_nats_server, dead_letter("payment", original(), "why"))
    code, out, _ = saga("dead", "send", "1", "2")
    assert code == 1
    assert "sent  1: to saga.command.payment.debit; the letter is removed" in out
    assert "not sent  2: there is no such letter" in out
    sent = received(own_nats_server, "payment")
    assert sent.body == original().body
    assert sent.headers["saga-token"] == "1.5ec2e7"
    assert sent.message_id == f"{KEY}/1/1/dead/1"
    assert rows(saga("dead", "list", "-o", "json")) == []


def test_many_letters_are_shown_before_they_are_sent(saga: Saga, own_nats_server: NatsServer) -> None:
    letters = [dead_letter("payment", original(number), "old bug") for number in range(1, 6)]
    bury(own_nats_server, *letters, dead_letter("payment", original(6), "another"))
    shown = rows(saga("dead", "send", "--reason", "old bug", "-o", "json"))
    assert [(row["sequence"], row["result"]) for row in shown] == [(number, "not_done") for number in range(5, 0, -1)]
    code, _, err = saga("dead", "send", "--reason", "old bug")
    assert code == 0
    assert "5 dead letters would be sent; nothing was sent: add --yes" in err
    code, out, err = saga("dead", "send", "--reason", "old bug", "--yes", "-o", "jsonl")
    assert code == 0, err
    assert [json.loads(line)["sequence"] for line in out.splitlines()] == [1, 2, 3, 4, 5]
    assert "5 sent, 0 not sent" in err
    assert [row["sequence"] for row in rows(saga("dead", "list", "-o", "json"))] == [6]


@pytest.mark.parametrize(
    "subject", ["$JS.API.STREAM.DELETE.SAGA_COMMANDS", "saga.dead.payment", "saga.command.payment.>", "", "a b"]
)
def test_whoever_can_write_letters_cannot_make_an_operator_send_elsewhere(
    saga: Saga, own_nats_server: NatsServer, subject: str
) -> None:
    bury(own_nats_server, dead_letter("payment", Message(subject, {}, b"{}", None), "why"))
    code, out, _ = saga("dead", "send", "1")
    assert code == 1
    assert "is none of a command or a reply" in out
    assert len(rows(saga("dead", "list", "-o", "json"))) == 1


def test_a_letter_that_was_cut_cannot_be_sent(saga: Saga, own_nats_server: NatsServer) -> None:
    bury(own_nats_server, dead_letter("payment", original(body=b"x" * 1_000_000), "too large"))
    code, out, _ = saga("dead", "send", "1")
    assert code == 1
    assert "it was cut" in out


LISTENS = """saga: charge
version: 1
on: {subject: ORDERS.created, key: "${{ event.data.id }}"}
steps: [{step: one, sleep: 1d}]
"""


def test_an_event_starts_its_saga_when_its_letter_is_sent_and_nobody_else_hears_it(
    saga: Saga, own_nats_server: NatsServer, tmp_path: Path
) -> None:
    listening = Occasion("charge", StartOn("ORDERS.created", None, None), loaded(LISTENS), None).name
    event = Message("ORDERS.created", {"Nats-Msg-Id": "e-1"}, b'{"id": "o-1"}', None)
    bury(own_nats_server, event_letter(HeardEvent(listening, 0, Delivery(event, 1, None)), "too early"))
    code, out, err = saga("dead", "send", "1")
    assert (code, out) == (4, ""), "there is no store yet"
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "charge.yaml").write_text(LISTENS)
    assert saga("db", "upgrade")[0] == 0
    code, out, err = saga("dead", "send", "1")
    assert code == 0, err
    assert re.search(r"taken  1: ORDERS.created: saga \S+ has taken it; the letter is removed", out)
    assert json.loads(saga("list", "-o", "json")[1])[0]["key"] == "o-1"
    assert rows(saga("dead", "list", "-o", "json")) == []


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("send",), "name letters by SEQ"),
        (("send", "1", "--yes"), "go with a filter"),
        (("send", "1", "--reason", "x"), "go with a filter"),
        (("send", "0"), "'0' is no dead letter: expected its number"),
        (("list", "--participant", "a.>"), "no participant's name"),
        (("show", "x"), "'x' is no dead letter: expected its number"),
    ],
)
def test_what_is_not_meant_clearly_is_a_usage_error(saga: Saga, args: Sequence[str], why: str) -> None:
    code, out, err = saga("dead", *args)
    assert (code, out) == (2, "")
    assert why in err


def test_a_broker_that_is_away_is_told_in_one_line(saga: Saga, own_nats_server: NatsServer) -> None:
    own_nats_server.kill()
    code, out, err = saga("dead", "list")
    assert (code, out) == (4, "")
    assert err.splitlines()[-1].startswith("Error: nats: cannot reach")
