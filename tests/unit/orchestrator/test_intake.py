"""Replies from the broker: only what answers what we asked, from whom we asked it, reaches a saga."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from uuid import UUID

import pytest

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Outcome, ReplyReceived
from saga_engine.definition.values import MAX_PAYLOAD
from saga_engine.envelope import PARTITIONS, Address, Message, Reply, partition_of
from saga_engine.orchestrator.agenda import MOST_REPLIES, Agenda
from saga_engine.orchestrator.counters import Counters
from saga_engine.orchestrator.intake import Accepted, Forged, Intake, check_reply
from saga_engine.orchestrator.keyring import Keyring
from saga_engine.orchestrator.tokens import TokenFault, Tokens
from saga_engine.ports.transport import Delivery
from saga_engine.wire.reading import Unreadable
from saga_engine.wire.replies import reply_to_message
from tests.unit.orchestrator.support import BEGIN, ManualClock

SAGA = UUID(int=42)
TOKENS = Tokens({"1": b"old", "2": b"new"})


def answer(participant: str = "payment", **changes: object) -> Reply:
    address = Address(SAGA, "debit", None, Direction.FORWARD)
    token = TOKENS.make(address.key, participant)
    reply = Reply(
        address,
        participant,
        partition_of(SAGA),
        attempt=2,
        send=3,
        outcome=Outcome.SUCCEEDED,
        result={"receipt": 7},
        code="",
        message="",
        effect=Effect.UNDONE,
        fenced=True,
        token=token,
        traceparent=None,
    )
    return replace(reply, **changes)  # type: ignore[arg-type]  # the fields that a test changes


def test_a_genuine_reply_becomes_an_input_of_its_saga() -> None:
    checked = check_reply(reply_to_message(answer()), TOKENS, BEGIN)
    assert checked == Accepted(
        SAGA,
        ReplyReceived(BEGIN, "debit", None, Direction.FORWARD, 2, 3, Outcome.SUCCEEDED, {"receipt": 7}),
    )


def test_a_rejection_without_an_inbox_says_so() -> None:
    said = answer(outcome=Outcome.REJECTED, result=None, code="declined", message="no", fenced=False)
    checked = check_reply(reply_to_message(said), TOKENS, BEGIN)
    assert isinstance(checked, Accepted)
    assert (checked.input.code, checked.input.message, checked.input.fenced) == ("declined", "no", False)


def test_a_token_of_an_older_key_still_counts() -> None:
    key = answer().address.key
    old = answer(token=Tokens({"1": b"old"}).make(key, "payment"))
    assert isinstance(check_reply(reply_to_message(old), TOKENS, BEGIN), Accepted)


@pytest.mark.parametrize(
    ("forged", "why"),
    [
        (answer(token=""), TokenFault.NO_TOKEN),
        (answer(token="2.00"), TokenFault.WRONG_TOKEN),
        (answer(token="9." + TOKENS.make(answer().address.key, "payment").partition(".")[2]), TokenFault.UNKNOWN_KEY),
        (answer(token=TOKENS.make(answer().address.key, "other")), TokenFault.WRONG_TOKEN),
        (answer(participant="other", token=answer().token), TokenFault.WRONG_TOKEN),
        (answer(address=Address(UUID(int=43), "debit", None, Direction.FORWARD)), TokenFault.WRONG_TOKEN),
        (answer(address=Address(SAGA, "credit", None, Direction.FORWARD)), TokenFault.WRONG_TOKEN),
        (answer(address=Address(SAGA, "debit", 0, Direction.FORWARD)), TokenFault.WRONG_TOKEN),
        (answer(address=Address(SAGA, "debit", None, Direction.COMPENSATE)), TokenFault.WRONG_TOKEN),
        (answer(token="2.\N{LATIN SMALL LETTER E WITH ACUTE}"), TokenFault.WRONG_TOKEN),
    ],
    ids=["none", "short", "unknown key", "for another", "foreign", "saga", "step", "item", "direction", "not ASCII"],
)
def test_a_reply_to_what_this_participant_was_not_asked_is_forged(forged: Reply, why: TokenFault) -> None:
    assert check_reply(reply_to_message(forged), TOKENS, BEGIN) == Forged(forged.participant, why)


def test_a_reply_in_another_partition_than_its_sagas_is_unreadable() -> None:
    wrong = answer(partition=(partition_of(SAGA) + 1) % PARTITIONS)
    checked = check_reply(reply_to_message(wrong), TOKENS, BEGIN)
    assert isinstance(checked, Unreadable)
    assert "partition" in checked.reason


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda m: replace(m, headers={}), "saga-key"),
        (lambda m: replace(m, headers={**m.headers, "saga-key": f"{SAGA}/debit/sideways"}), "saga-key"),
        (lambda m: replace(m, headers={**m.headers, "saga-key": "not-a-saga/debit/forward"}), "saga-key"),
        (lambda m: replace(m, headers={**m.headers, "saga-attempt": "-1"}), "saga-attempt"),
        (lambda m: replace(m, headers={**m.headers, "saga-send": "9" * 5_000}), "saga-send"),
        (lambda m: replace(m, subject="saga.reply.x.payment"), "not a reply subject"),
        (lambda m: replace(m, subject="saga.reply.1"), "not a reply subject"),
    ],
)
def test_what_is_no_reply_is_unreadable_and_says_why(change: Callable[[Message], Message], why: str) -> None:
    checked = check_reply(change(reply_to_message(answer())), TOKENS, BEGIN)
    assert isinstance(checked, Unreadable)
    assert why in checked.reason


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda m: replace(m, body=b"{"), "not JSON"),
        (lambda m: replace(m, body=b"[1]"), "must be a JSON object"),
        (lambda m: replace(m, body=b"[" * 100_000), "not JSON"),
        (lambda m: replace(m, body=b'{"result": %s%s}' % (b"[" * 65, b"]" * 65)), "nested deeper than 65 levels"),
        (lambda m: replace(m, body=b'{"result": %s0%s}' % (b'{"a":' * 250, b"}" * 250)), "nested deeper"),
        (lambda m: replace(m, body=b'{"code": 1}'), "must be strings"),
        (lambda m: replace(m, headers={**m.headers, "saga-outcome": "perhaps"}), "saga-outcome"),
    ],
)
def test_a_genuine_reply_that_cannot_be_read_fails_its_attempt_so_that_the_step_does_not_hang(
    change: Callable[[Message], Message], why: str
) -> None:
    checked = check_reply(change(reply_to_message(answer())), TOKENS, BEGIN)
    assert isinstance(checked, Accepted)
    assert why in checked.spoilt
    assert (checked.input.outcome, checked.input.code) == (Outcome.FAILED, "poison")
    assert (checked.input.attempt, checked.input.send) == (2, 3)
    assert why in checked.input.message


def test_a_forged_reply_that_cannot_be_read_stays_forged() -> None:
    forged = replace(reply_to_message(answer(token="2.00")), body=b"{")
    assert check_reply(forged, TOKENS, BEGIN) == Forged("payment", TokenFault.WRONG_TOKEN)


@pytest.mark.parametrize(("size", "spoilt"), [(MAX_PAYLOAD - 2, False), (MAX_PAYLOAD - 1, True)])
def test_a_result_that_is_too_large_fails_its_attempt(size: int, spoilt: bool) -> None:
    checked = check_reply(reply_to_message(answer(result="x" * size)), TOKENS, BEGIN)
    assert isinstance(checked, Accepted)
    assert bool(checked.spoilt) is spoilt
    assert checked.input.code == ("result_too_large" if spoilt else "")
    assert (checked.input.result is None) is spoilt


def test_a_result_that_is_too_large_only_as_we_would_store_it_fails_its_attempt() -> None:
    """Numbers grow: what is kept must be small enough to be sent to a compensation later."""
    body = b'{"result":[%s]}' % b",".join([b"1e15"] * 20_000)
    checked = check_reply(replace(reply_to_message(answer()), body=body), TOKENS, BEGIN)
    assert isinstance(checked, Accepted)
    assert (checked.input.outcome, checked.input.code) == (Outcome.FAILED, "result_too_large")
    assert checked.spoilt == "the result has 380,001 bytes of JSON, at most 262,144 may be"


@pytest.mark.parametrize("body", [b'{"result": %s%s}' % (b"[" * 64, b"]" * 64), b'{"result": "%s"}' % (b"[{" * 500)])
def test_a_result_of_sixty_four_levels_or_full_of_brackets_is_taken(body: bytes) -> None:
    checked = check_reply(replace(reply_to_message(answer()), body=body), TOKENS, BEGIN)
    assert isinstance(checked, Accepted)
    assert (checked.spoilt, checked.input.outcome) == ("", Outcome.SUCCEEDED)


def test_a_forged_reply_with_a_large_result_is_never_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(_: object) -> bytes:
        raise AssertionError("a forged result was written")

    forged = reply_to_message(answer(token="2.00", result="x" * 2 * MAX_PAYLOAD))
    monkeypatch.setattr("saga_engine.orchestrator.intake.canonical_json", measured)
    assert check_reply(forged, TOKENS, BEGIN) == Forged("payment", TokenFault.WRONG_TOKEN)


def test_code_and_message_are_cut_since_they_stand_in_the_stream_for_ever() -> None:
    long = answer(outcome=Outcome.FAILED, result=None, code="c" * 5_000, message="m" * 500_000)
    checked = check_reply(reply_to_message(long), TOKENS, BEGIN)
    assert isinstance(checked, Accepted)
    assert (len(checked.input.code), len(checked.input.message)) == (100, 1_000)


def test_an_item_number_of_thousands_of_digits_is_no_item_and_no_trouble() -> None:
    message = reply_to_message(answer())
    key = f"{SAGA}/debit/{'9' * 5_000}/forward"
    checked = check_reply(replace(message, headers={**message.headers, "saga-key": key}), TOKENS, BEGIN)
    assert checked == Forged("payment", TokenFault.WRONG_TOKEN)


class Desk:
    """An intake on a memory broker."""

    def __init__(self, backlog: int = 100, ack_wait: float = 60, keyring: Keyring | None = None) -> None:
        self.broker = MemoryBroker(ack_wait=ack_wait)
        self.transport = MemoryTransport(self.broker, publish_timeout=0.01)
        self.agenda = Agenda()
        self.counters = Counters()
        self.intake = Intake(self.transport, TOKENS, ManualClock(), self.agenda, self.counters, backlog, keyring)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(90):
            while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0.001)

    async def nothing_left(self) -> None:
        await self.until(lambda: not self.broker._stored)


@pytest.fixture
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    """Its parameter, if any: the ack wait."""
    desk = Desk(ack_wait=getattr(request, "param", 60))
    await desk.intake.listen(frozenset({partition_of(SAGA)}))
    yield desk
    await desk.intake.close()
    await desk.transport.close()


async def test_a_genuine_reply_reaches_the_agenda_and_stays_with_the_broker_until_it_is_done_with(desk: Desk) -> None:
    await desk.transport.publish([reply_to_message(answer())])
    await desk.until(lambda: len(desk.agenda) == 1)
    entry = desk.agenda.take(1)[SAGA]
    assert [type(each) for each in entry.inputs] == [ReplyReceived]
    assert desk.broker._stored
    await desk.intake.done_with(entry.deliveries)
    await desk.nothing_left()


async def test_a_forged_reply_is_counted_and_dropped(desk: Desk) -> None:
    await desk.transport.publish([reply_to_message(answer(token="1.forged"))])
    await desk.until(lambda: desk.counters.forged == 1)
    await desk.nothing_left()
    assert len(desk.agenda) == 0
    assert desk.broker.dead == []


async def test_a_reply_that_cannot_be_read_goes_to_the_dead_letters_and_to_its_saga(desk: Desk) -> None:
    await desk.transport.publish([replace(reply_to_message(answer()), body=b"not json")])
    await desk.until(lambda: len(desk.agenda) == 1)
    (given,) = desk.agenda.take(1)[SAGA].inputs
    assert isinstance(given, ReplyReceived)
    assert (given.outcome, given.code) == (Outcome.FAILED, "poison")
    assert desk.counters.unreadable == 1
    letter = desk.broker.dead[0]
    assert letter.body == b"not json"
    assert "not JSON" in letter.headers["saga-reason"]


@pytest.mark.parametrize("desk", [0.05], indirect=True, ids=["an ack wait that passes"])
async def test_an_unreadable_reply_waits_while_it_cannot_be_put_with_the_dead_letters(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(messages: list[Message]) -> list[bool]:
        return [False for _ in messages]

    await desk.transport.publish([replace(reply_to_message(answer()), body=b"not json")])
    with monkeypatch.context() as away:
        away.setattr(desk.transport, "publish", refuse)
        await desk.until(lambda: desk.counters.unreadable >= 2)
        assert desk.broker._stored
        assert len(desk.agenda) == 0
    await desk.until(lambda: len(desk.agenda) == 1)
    assert len(desk.broker.dead) == 1


async def test_an_unreadable_message_of_nobody_goes_to_the_dead_letters_alone(desk: Desk) -> None:
    await desk.transport.publish([replace(reply_to_message(answer()), headers={}, message_id=None)])
    await desk.nothing_left()
    assert len(desk.agenda) == 0
    assert "saga-key" in desk.broker.dead[0].headers["saga-reason"]


async def test_a_flood_of_replies_to_one_saga_waits_while_another_is_served() -> None:
    desk = Desk(backlog=100)
    other = UUID(int=next(n for n in range(100) if n != SAGA.int and partition_of(UUID(int=n)) == partition_of(SAGA)))
    address = Address(other, "debit", None, Direction.FORWARD)
    bystander = answer(address=address, token=TOKENS.make(address.key, "payment"))
    flood = [replace(reply_to_message(answer(send=n)), message_id=f"m-{n}") for n in range(MOST_REPLIES + 500)]
    await desk.transport.publish([*flood, reply_to_message(bystander)])
    await desk.intake.listen(frozenset({partition_of(SAGA)}))
    await desk.until(lambda: len(desk.agenda) == 2)
    assert desk.counters.flooded >= 500
    batch = desk.agenda.take(2)
    assert len(batch[SAGA].inputs) == MOST_REPLIES
    assert len(batch[other].inputs) == 1
    await desk.intake.done_with(batch[SAGA].deliveries)
    desk.agenda.release([SAGA])
    await desk.until(lambda: len(desk.agenda) == 1)
    await desk.intake.close()
    await desk.transport.close()


async def test_what_cannot_be_worked_on_now_comes_again(desk: Desk) -> None:
    await desk.transport.publish([reply_to_message(answer())])
    await desk.until(lambda: len(desk.agenda) == 1)
    entry = desk.agenda.take(1)[SAGA]
    await desk.intake.put_back(entry.deliveries, 0.01)
    desk.agenda.release([SAGA])
    await desk.until(lambda: len(desk.agenda) == 1)
    again: list[Delivery] = desk.agenda.take(1)[SAGA].deliveries
    assert again[0].deliveries == 2


async def test_nothing_is_received_while_the_agenda_is_full() -> None:
    desk = Desk(backlog=1)
    desk.agenda.look(UUID(int=1))
    await desk.intake.listen(frozenset({partition_of(SAGA)}))
    await desk.transport.publish([reply_to_message(answer())])
    for _ in range(50):
        await asyncio.sleep(0)
    assert desk.counters.replies == 0
    desk.agenda.take(1)
    await desk.until(lambda: desk.counters.replies == 1)
    await desk.intake.close()
    await desk.transport.close()


async def test_only_the_partitions_that_are_held_are_listened_to(desk: Desk) -> None:
    other = (partition_of(SAGA) + 1) % PARTITIONS
    await desk.intake.listen(frozenset({other}))
    await desk.transport.publish([reply_to_message(answer())])
    for _ in range(50):
        await asyncio.sleep(0)
    assert desk.counters.replies == 0
    await desk.intake.listen(frozenset())
    await desk.intake.done_with([])
    await desk.intake.listen(frozenset({partition_of(SAGA)}))
    await desk.until(lambda: desk.counters.replies == 1)


def test_a_token_is_the_hmac_of_key_and_participant_whoever_made_it() -> None:
    for secret in (b"s", b"s" * 64, b"s" * 65):
        expected = hmac.digest(secret, b"saga/step/forward\npayment", "sha256").hex()
        made = Tokens({"k": secret}).make("saga/step/forward", "payment")
        assert made == f"k.{expected}"
        assert Tokens({"k": secret}).fault(made, "saga/step/forward", "payment") is None


def test_a_token_is_good_for_its_own_participant_only_and_as_often_as_it_comes() -> None:
    tokens = Tokens({"k": b"secret"})
    made = tokens.make("key", "payment")
    assert tokens.fault(made, "key", "order") is TokenFault.WRONG_TOKEN
    assert tokens.fault(made[:-1], "key", "payment") is TokenFault.WRONG_TOKEN
    assert tokens.fault(made, "key", "payment") is None
    assert tokens.fault(made, "key", "payment") is None


def test_tokens_that_are_never_answered_are_not_remembered_for_ever() -> None:
    tokens = Tokens({"k": b"secret"})
    made = [tokens.make(str(number), "payment") for number in range(20_001)]
    assert len(tokens._made) <= 10_000
    assert all(tokens.fault(token, str(number), "payment") is None for number, token in enumerate(made))


def test_tokens_need_a_key() -> None:
    with pytest.raises(ValueError, match="at least one reply key"):
        Tokens({})
