"""Attacks on the wire: replies and commands that nobody asked for, and what they change: nothing.

Each attack on replies is planted while a payment is open and its participant is silent; afterwards the genuine reply
comes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias
from uuid import UUID

import pytest

from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Outcome
from saga_engine.envelope import PARTITIONS, Address, Message, Reply, partition_of
from saga_engine.orchestrator.counters import Counters
from saga_engine.orchestrator.service import Orchestrator
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.testing.handle import SagaHandle
from saga_engine.testing.system import SagaSystem
from saga_engine.wire.commands import message_to_command
from saga_engine.wire.dead_letters import original_of
from saga_engine.wire.headers import ATTEMPT, KEY, OUTCOME, SEND, TOKEN
from saga_engine.wire.reading import Unreadable
from saga_engine.wire.replies import reply_to_message

PAY = """
saga: pay
key: ${{ input.id }}
input: {type: object, required: [id], properties: {id: {type: string}}}
timeout: 1h
steps:
  - {step: open, call: order.open, compensate: {call: order.close}}
  - step: debit
    call: payment.debit
    compensate: {call: payment.refund}
  - {step: approve, kind: retriable, call: order.approve}
"""
TOKENS = Tokens({"test": b"no secret"})
"""Those of the system under attack: an attack has only those that it can have seen."""

STRANGER = Tokens({"test": b"a guess", "other": b"mine"})


@dataclass(frozen=True, slots=True)
class Scene:
    """What an attacker sees: two sagas of which one waits for its payment, and its own token."""

    saga: UUID
    other: UUID

    def reply(self, participant: str = "payment", **changes: object) -> Reply:
        """The genuine reply to the open payment, changed."""
        address = Address(self.saga, "debit", None, Direction.FORWARD)
        said = Reply(
            address,
            participant,
            partition_of(self.saga),
            1,
            1,
            Outcome.SUCCEEDED,
            {"receipt": "forged"},
            "",
            "",
            Effect.UNDONE,
            True,
            TOKENS.make(address.key, "payment"),
            None,
        )
        return replace(said, **changes)  # type: ignore[arg-type]  # the fields that an attack changes

    def at(self, step: str = "debit", direction: Direction = Direction.FORWARD, saga: UUID | None = None) -> Address:
        return Address(saga or self.saga, step, None, direction)


Attack: TypeAlias = Callable[[Scene], Message | list[Message]]


def said(**changes: object) -> Attack:
    """The genuine reply with these fields changed."""
    return lambda scene: reply_to_message(scene.reply(**changes))  # type: ignore[arg-type]  # as `reply` passes them on


def headed(**headers: str | None) -> Attack:
    """The genuine reply with these headers changed; None takes one away."""
    names = {"key": KEY, "attempt": ATTEMPT, "send": SEND, "outcome": OUTCOME, "token": TOKEN}

    def attack(scene: Scene) -> Message:
        message = reply_to_message(scene.reply())
        changed = {**message.headers, **{names[name]: value for name, value in headers.items()}}
        return replace(message, headers={name: value for name, value in changed.items() if value is not None})

    return attack


def subject(form: str) -> Attack:
    """The genuine reply on another subject."""
    return lambda scene: replace(
        reply_to_message(scene.reply()), subject=form.format(partition=partition_of(scene.saga))
    )


def elsewhere(scene: Scene) -> Message:
    """In another partition than its saga's."""
    return reply_to_message(scene.reply(partition=(partition_of(scene.saga) + 1) % PARTITIONS))


def other_saga(scene: Scene) -> Message:
    """The token of one saga, on another."""
    address = scene.at(saga=scene.other)
    return reply_to_message(scene.reply(address=address, partition=partition_of(scene.other)))


def order_answers_for_payment(scene: Scene) -> Message:
    """A participant answers another's command with the token of its own."""
    token = TOKENS.make(scene.at("open").key, "order")
    return reply_to_message(scene.reply(participant="order", token=token))


def flood(scene: Scene) -> list[Message]:
    return [
        replace(reply_to_message(scene.reply(token=f"test.{number:064x}")), message_id=None) for number in range(1000)
    ]


FORGED: Mapping[str, Attack] = {
    "no token": said(token=""),
    "no token header": headed(token=None),
    "a token of only a key id": said(token="test."),
    "a token without a key id": headed(token="." + "0" * 64),
    "a token of zeros": said(token="test." + "0" * 64),
    "a token cut by one": lambda s: reply_to_message(s.reply(token=s.reply().token[:-1])),
    "a token longer by one": lambda s: reply_to_message(s.reply(token=s.reply().token + "0")),
    "a token in upper case": lambda s: reply_to_message(s.reply(token=s.reply().token.upper())),
    "a token with a space": lambda s: reply_to_message(s.reply(token=s.reply().token.replace(".", ". "))),
    "a token of 100,000 characters": said(token="test." + "a" * 100_000),
    "a token that is not ASCII": said(token="test.é\u202e"),
    "a key guessed": lambda s: reply_to_message(
        s.reply(token=Tokens({"test": b"a guess"}).make(s.at().key, "payment"))
    ),
    "a key id made up": lambda s: reply_to_message(s.reply(token=STRANGER.make(s.at().key, "payment"))),
    "a key id that injects SQL": said(token="' OR 1=1 --.00"),
    "the token of another saga": other_saga,
    "the token of another step": said(address=Address(UUID(int=0), "open", None, Direction.FORWARD)),
    "an answer for another participant": order_answers_for_payment,
    "on the subject of another participant": subject("saga.reply.{partition}.order"),
    "on the subject of nobody": subject("saga.reply.{partition}.nobody"),
    "a compensation that was not asked": lambda s: reply_to_message(
        s.reply(address=s.at(direction=Direction.COMPENSATE))
    ),
    "a step that is not asked yet": lambda s: reply_to_message(s.reply(address=s.at("approve"))),
    "a step that is not there": lambda s: reply_to_message(s.reply(address=s.at("no_such_step"))),
    "an item of a step that has none": lambda s: reply_to_message(
        s.reply(address=Address(s.saga, "debit", 3, Direction.FORWARD))
    ),
    "a key with an item of 5,000 digits": headed(key=f"{UUID(int=7)}/debit/{'9' * 5000}/forward"),
    "a thousand guesses": flood,
}
"""Dropped and counted, without a dead letter that an attacker could fill the disk with."""

UNREADABLE: Mapping[str, Attack] = {
    "no headers": lambda s: replace(reply_to_message(s.reply()), headers={}),
    "no key": headed(key=None),
    "a key that is a path": headed(key="../../etc/passwd"),
    "a key with SQL in it": headed(key="x'; DROP TABLE saga_events; --/debit/forward"),
    "a key of a thousand slashes": headed(key="/" * 1000),
    "a direction made up": headed(key=f"{UUID(int=7)}/debit/sideways"),
    "no attempt": headed(attempt=None),
    "a negative attempt": headed(attempt="-1"),
    "an attempt of 5,000 digits": headed(attempt="9" * 5000),
    "an attempt in other digits": headed(attempt="١"),
    "an attempt that is a float": headed(attempt="1e9"),
    "a negative send": headed(send="-7"),
    "a send with a sign": headed(send="+1"),
    "in another partition": elsewhere,
}
"""With the dead letters, and no event."""


@pytest.fixture
def counters(monkeypatch: pytest.MonkeyPatch) -> list[Counters]:
    """Those of every orchestrator that a test makes."""
    made: list[Counters] = []
    begin = Orchestrator.__init__

    def noting(self: Orchestrator, *arguments: object, **named: object) -> None:
        begin(self, *arguments, **named)  # type: ignore[arg-type]  # passed on as they came
        made.append(self.counters)

    monkeypatch.setattr(Orchestrator, "__init__", noting)
    return made


@dataclass(frozen=True, slots=True)
class Stage:
    system: SagaSystem
    saga: SagaHandle
    other: SagaHandle

    @property
    def scene(self) -> Scene:
        return Scene(self.saga.id, self.other.id)

    def plant(self, attack: Attack) -> int:
        planted = attack(self.scene)
        messages = planted if isinstance(planted, list) else [planted]
        for message in messages:
            self.system._engine.broker.store(replace(message, message_id=None))
        self.system._engine.settle()
        return len(messages)

    def events(self) -> list[int]:
        client = self.system._engine.client
        return [client.status(each.id).version for each in (self.saga, self.other)]


@pytest.fixture
def stage(counters: list[Counters]) -> Iterator[Stage]:
    with SagaSystem(PAY) as system:
        system.participant("payment").on("debit").is_silent(for_="1m").succeeds({"receipt": "genuine"})
        yield Stage(system, system.start("pay", {"id": "a"}), system.start("pay", {"id": "b"}))


def ends_well(stage: Stage) -> None:
    """The sagas were not disturbed: asked again, the participant answers, and what it says counts."""
    stage.system.advance("10m")
    assert [str(each.status) for each in (stage.saga, stage.other)] == ["completed", "completed"]
    assert "forged" not in json.dumps([str(each.events) for each in (stage.saga, stage.other)])


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_reply_is_counted_and_changes_nothing(name: str, stage: Stage, counters: list[Counters]) -> None:
    before = stage.events()
    count = stage.plant(FORGED[name])
    assert stage.events() == before
    assert counters[0].forged == sum(counters[0].forgeries.values()) == count
    assert stage.system._engine.broker.dead == []
    assert stage.system._engine.broker.unsettled <= 2, "only the open commands are left"
    ends_well(stage)


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_reply_is_a_dead_letter_and_changes_nothing(
    name: str, stage: Stage, counters: list[Counters]
) -> None:
    before = stage.events()
    stage.plant(UNREADABLE[name])
    assert stage.events() == before
    assert counters[0].unreadable == len(stage.system._engine.broker.dead) == 1
    ends_well(stage)


SPOILT: Mapping[str, bytes] = {
    "not JSON": b"not json",
    "empty": b"",
    "NaN": b'{"result": NaN}',
    "infinity": b'{"result": 1e999}',
    "an array": b"[]",
    "100,000 levels deep": b'{"result": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not UTF-8": b'{"result": "\xff"}',
    "a lone surrogate": b'{"result": "\\ud800"}',
    "a result beyond the limit": b'{"result": "' + b"x" * 300_000 + b'"}',
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_reply_of_the_right_participant_that_cannot_be_taken_fails_one_attempt(
    name: str, stage: Stage, counters: list[Counters]
) -> None:
    stage.plant(lambda scene: replace(reply_to_message(scene.reply()), body=SPOILT[name]))
    assert stage.saga.history.count("StepSucceeded debit") == 0
    assert (counters[0].unreadable, counters[0].forged, len(stage.system._engine.broker.dead)) == (1, 0, 1)
    ends_well(stage)


def test_a_true_reply_that_comes_a_thousand_times_counts_once(stage: Stage, counters: list[Counters]) -> None:
    def replay(scene: Scene) -> list[Message]:
        return [reply_to_message(scene.reply(result={"receipt": "genuine"}))] * 1000

    stage.plant(replay)
    succeeded = [event for event in stage.saga.events if type(event).__name__ == "StepSucceeded"]
    assert len(succeeded) == 3
    assert str(stage.saga.status) == "completed"
    assert counters[0].ignored.total() >= 999
    ends_well(stage)


def test_a_reply_after_the_end_is_late_and_changes_nothing(stage: Stage, counters: list[Counters]) -> None:
    ends_well(stage)
    before, ignored = stage.events(), counters[0].ignored.total()
    stage.plant(lambda scene: reply_to_message(scene.reply(outcome=Outcome.REJECTED, code="too_late")))
    assert stage.events() == before
    assert counters[0].ignored.total() == ignored + 1


COMMANDS: Mapping[str, Message] = {
    "no headers": Message("saga.command.order.open", {}, b'{"payload": {}}', None),
    "an acknowledgement of the server": Message("saga.command.order.open", {}, b'{"stream":"X","seq":1}', None),
    "a key that is none": Message("saga.command.order.open", {KEY: "x"}, b"{}", None),
    "a command of many tokens": Message("saga.command.order.open.now", {}, b"{}", None),
    "a reply on a command's subject": Message("saga.reply.1.order", {}, b"{}", None),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_no_command_is_not_run(name: str) -> None:
    assert isinstance(message_to_command(COMMANDS[name]), Unreadable)


LETTERS = [
    "$JS.API.STREAM.PURGE.SAGA_EVENTS",
    "$SYS.REQ.SERVER.PING",
    "saga.event.pay.Paid",
    "saga.dead.order",
    "saga.command.>",
    "saga.command.order.*",
    "saga.command.order.open\r\nPUB x 0",
    "saga.reply.99999.order",
    "_INBOX.x",
    "",
]


@pytest.mark.parametrize("subject_", LETTERS)
def test_who_writes_a_dead_letter_does_not_choose_what_an_operator_sends_where(subject_: str) -> None:
    assert isinstance(original_of({"saga-original-subject": subject_, "saga-reason": "x"}, b"{}", 1), Unreadable)
