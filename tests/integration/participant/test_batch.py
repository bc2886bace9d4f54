"""Commands that share a transaction: one that fails leaves its neighbours as they are, whatever it did."""

from __future__ import annotations

import threading
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from random import Random

import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from saga_engine.core.events import Effect
from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Command
from saga_engine.errors import StoreUnavailableError
from saga_engine.participant import Context, Participant, Rejected
from saga_engine.participant.answers import Answer
from saga_engine.participant.batch import run_batch
from saga_engine.participant.fence import Fence
from saga_engine.participant.inbox import Recorded
from saga_engine.participant.registry import merge
from tests.databases import SERVER_LANES
from tests.integration.participant.ledger import enter, entered
from tests.integration.participant.payments import Payment
from tests.integration.participant.test_faults import aborted, commits, unknown
from tests.unit.participant.support import NOW, PATIENCE_S, SETTINGS, again, compensation, forward

Behaviour = Callable[[Context], object]


class Shop:
    """A participant whose handlers enter their effect, then do what the test has put under the saga's id."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.behaviours: dict[object, Behaviour] = {}
        self.runs = 0
        payment = Participant("payment")
        payment.command("debit", batch=True)(self._handler("debit"))
        payment.command("refund", batch=True)(self._handler("refund"))
        merged = merge([payment])["payment"]
        self._handlers = merged.handlers
        self._fence = Fence(merged, engine, SETTINGS)

    def behaving(self, behaviour: Behaviour) -> Command:
        """A command whose handler does this after its effect."""
        command = forward()
        self.behaviours[command.address.saga_id] = behaviour
        return command

    def run(self, commands: list[Command]) -> list[Answer]:
        """Run all as one batch."""
        outcomes = self.outcomes(commands)
        answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
        assert len(answers) == len(outcomes), outcomes
        return answers

    def outcomes(self, commands: list[Command]) -> Sequence[Answer | Exception]:
        """The same, where some of them may be troubled."""
        return run_batch(self._fence, [(self._handlers[each.command], each) for each in commands], NOW)

    def effects(self, command: Command) -> dict[str, int]:
        return entered(self.engine, command.address.saga_id)

    def _handler(self, kind: str) -> Callable[[Context], object]:
        def handler(ctx: Context) -> object:
            self.runs += 1
            enter(ctx.db, ctx.saga_id, kind)
            behaviour = self.behaviours.get(ctx.saga_id)
            return behaviour(ctx) if behaviour is not None else {"receipt": kind}

        return handler


@pytest.fixture
def shop(engine: Engine) -> Shop:
    return Shop(engine)


@contextmanager
def counted_commits(engine: Engine) -> Iterator[list[int]]:
    seen: list[int] = []

    def count(_connection: Connection) -> None:
        seen.append(1)

    event.listen(engine, "commit", count)
    try:
        yield seen
    finally:
        event.remove(engine, "commit", count)


def numbered(number: int, ctx: Context) -> object:
    return number


def reject(ctx: Context) -> object:
    raise Rejected("card_declined", "above the limit")


def fail(ctx: Context) -> object:
    raise TimeoutError("card network")


def leave(ctx: Context) -> object:
    raise SystemExit(3)


def cancel(ctx: Context) -> object:
    raise CancelledError


def misspell(ctx: Context) -> object:
    return ctx.db.execute(text("SELECT nonsense FROM nowhere")).scalar_one()


def commit(ctx: Context) -> object:
    ctx.db.commit()
    return "never"


def roll_back(ctx: Context) -> object:
    ctx.db.rollback()
    return "never"


def leave_savepoint_open(ctx: Context) -> object:
    ctx.db.begin_nested()
    enter(ctx.db, ctx.saga_id, "nested")
    return "left open"


def fail_in_savepoint(ctx: Context) -> object:
    ctx.db.begin_nested()
    enter(ctx.db, ctx.saga_id, "nested")
    raise TimeoutError("card network")


def test_a_batch_is_one_commit(shop: Shop) -> None:
    commands = [forward() for _ in range(50)]
    with counted_commits(shop.engine) as seen:
        answers = shop.run(commands)
    assert len(seen) == 1
    assert [answer.result for answer in answers] == [{"receipt": "debit"}] * 50
    assert all(shop.effects(command) == {"debit": 1} for command in commands)


def test_the_answers_are_those_of_their_commands_also_when_they_are_repeated(shop: Shop) -> None:
    commands = [shop.behaving(partial(numbered, number)) for number in range(20)]
    assert [answer.result for answer in shop.run(commands[:10])] == list(range(10))
    assert [answer.result for answer in shop.run([again(each) for each in reversed(commands)])] == list(range(20))[::-1]
    assert shop.runs == 20
    assert all(shop.effects(command) == {"debit": 1} for command in commands)


def test_one_that_fails_or_rejects_leaves_its_neighbours_as_they_are_in_the_same_commit(shop: Shop) -> None:
    bad = [shop.behaving(each) for each in (reject, fail, misspell, fail_in_savepoint, leave, cancel)]
    good = [forward() for _ in range(len(bad) + 1)]
    mixed = [good[0], *[command for pair in zip(bad, good[1:], strict=True) for command in pair]]
    with counted_commits(shop.engine) as seen:
        answers = dict(zip([command.key for command in mixed], shop.run(mixed), strict=True))
    assert len(seen) == 1
    assert [answers[command.key].outcome for command in good] == [Outcome.SUCCEEDED] * len(good)
    assert [answers[command.key].code for command in bad][:2] == ["card_declined", "timeout_error"]
    assert answers[bad[0].key].outcome is Outcome.REJECTED
    assert {answers[command.key].outcome for command in bad[1:]} == {Outcome.FAILED}
    assert all(shop.effects(command) == {} for command in bad)
    assert all(shop.effects(command) == {"debit": 1} for command in good)


def test_savepoints_are_made_while_commands_have_to_be_taken_back_and_not_for_ever(shop: Shop) -> None:
    good, bad = [forward() for _ in range(3)], shop.behaving(fail)
    shop.run([*good, bad])
    assert shop.runs == 2 * 4, "hopefully, and once more with savepoints"
    for _ in range(16):
        shop.run([forward(), forward()])
    shop.run([forward(), shop.behaving(fail)])
    assert shop.runs == 2 * 4 + 16 * 2 + 2 * 2, "hopefully again, after sixteen batches without a failure"
    shop.run([forward(), shop.behaving(fail)])
    assert shop.runs == 2 * 4 + 16 * 2 + 2 * 2 + 2, "at once with savepoints"


def test_a_rejection_is_on_record_and_a_failure_is_not(shop: Shop) -> None:
    rejected, failed = shop.behaving(reject), shop.behaving(fail)
    shop.run([rejected, failed])
    shop.behaviours.clear()
    first, second = shop.run([again(rejected), again(failed, attempt=2)])
    assert (first.outcome, first.code) == (Outcome.REJECTED, "card_declined")
    assert second.outcome is Outcome.SUCCEEDED
    assert (shop.effects(rejected), shop.effects(failed)) == ({}, {"debit": 1})


def test_a_recorded_rejection_is_replaced_when_the_command_must_succeed_by_now(shop: Shop) -> None:
    commands = [shop.behaving(reject) for _ in range(3)]
    shop.run(commands)
    shop.behaviours = {commands[1].address.saga_id: fail, commands[2].address.saga_id: reject}
    answers = shop.run([replace(command, must_succeed=True) for command in commands])
    assert [answer.outcome for answer in answers] == [Outcome.SUCCEEDED, Outcome.FAILED, Outcome.REJECTED]
    shop.behaviours.clear()
    later = shop.run([again(command) for command in commands])
    assert [answer.outcome for answer in later] == [Outcome.SUCCEEDED, Outcome.REJECTED, Outcome.REJECTED]
    assert [shop.effects(command) for command in commands] == [{"debit": 1}, {}, {}]


def test_a_command_and_its_compensation_may_share_a_batch_in_either_order(shop: Shop) -> None:
    done, late = forward(), forward()
    answers = shop.run([done, compensation(late), compensation(done), late])
    assert [answer.effect for answer in answers[1:3]] == [Effect.NONE, Effect.UNDONE]
    assert (answers[3].outcome, answers[3].code) == (Outcome.REJECTED, "tombstone")
    assert shop.effects(done) == {"debit": 1, "refund": 1}
    assert shop.effects(late) == {}


def test_a_handler_may_leave_a_savepoint_of_its_own_open(shop: Shop) -> None:
    left, neighbour = shop.behaving(leave_savepoint_open), forward()
    assert [answer.outcome for answer in shop.run([left, neighbour])] == [Outcome.SUCCEEDED] * 2
    assert shop.effects(left) == {"debit": 1, "nested": 1}
    assert shop.effects(neighbour) == {"debit": 1}


@pytest.mark.parametrize("spoil", [roll_back, commit])
def test_one_that_ends_the_transaction_of_all_fails_alone(shop: Shop, spoil: Behaviour) -> None:
    spoiling = shop.behaving(spoil)
    before, after = [forward() for _ in range(3)], [forward() for _ in range(3)]
    outcomes = list(shop.outcomes([*before, spoiling, *after]))
    own = outcomes.pop(len(before))
    assert not isinstance(own, Answer) or own.outcome is Outcome.FAILED
    assert [answer.outcome for answer in outcomes if isinstance(answer, Answer)] == [Outcome.SUCCEEDED] * 6
    assert all(shop.effects(command) == {"debit": 1} for command in (*before, *after))
    assert shop.effects(spoiling) == {}


def swallow(ctx: Context) -> object:
    try:
        return misspell(ctx)
    except SQLAlchemyError:
        return "went on"


on_servers = pytest.mark.parametrize("empty_database", SERVER_LANES, indirect=True)


@on_servers
def test_one_that_goes_on_after_an_error_that_ended_its_work_fails_alone(shop: Shop) -> None:
    swallowing, neighbour = shop.behaving(swallow), forward()
    first, second = shop.run([swallowing, neighbour])
    assert (first.outcome, first.code) == (Outcome.FAILED, "left_unusable_error")
    assert "begin_nested" in first.message
    assert second.outcome is Outcome.SUCCEEDED
    assert (shop.effects(swallowing), shop.effects(neighbour)) == ({}, {"debit": 1})


@on_servers
def test_a_key_that_another_worker_puts_on_record_first_costs_its_neighbours_nothing(shop: Shop) -> None:
    elsewhere = Payment(shop.engine)
    raced, neighbours = forward(), [forward() for _ in range(3)]
    once = threading.Event()

    def meanwhile(_ctx: Context) -> object:
        if not once.is_set():
            once.set()
            elsewhere.run(raced)
        return "here"

    shop.behaviours[neighbours[0].address.saga_id] = meanwhile
    answers = shop.run([*neighbours, raced])
    assert answers[-1].result == {"receipt": "R-debit"}, "the reply of the one that was first"
    assert all(shop.effects(command) == {"debit": 1} for command in (*neighbours, raced))


@on_servers
def test_two_batches_of_the_same_commands_in_opposite_orders_have_one_effect_each(shop: Shop) -> None:
    for _ in range(5):
        commands = [forward() for _ in range(8)]
        start = threading.Barrier(2)
        answers: dict[bool, list[Answer]] = {}

        def run(backwards: bool) -> None:
            start.wait(PATIENCE_S)  # noqa: B023 - awaited within the round
            ordered = [again(each) for each in commands]  # noqa: B023
            answers[backwards] = shop.run(ordered[::-1] if backwards else ordered)  # noqa: B023

        threads = [threading.Thread(target=run, args=(backwards,)) for backwards in (False, True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert answers[False] == answers[True][::-1]
        assert all(shop.effects(command) == {"debit": 1} for command in commands)


def test_aborted_and_unknown_commits_of_batches_neither_double_nor_lose_an_effect(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    random, faults = Random(11), {"aborted": 0, "unknown, done": 0, "unknown, not done": 0}

    def faulty(true_commit: Callable[[], None], true_rollback: Callable[[], None]) -> None:
        fault = random.choice([*faults, *[""] * 2])
        if fault == "":
            true_commit()
            return
        faults[fault] += 1
        (true_commit if fault == "unknown, done" else true_rollback)()
        raise aborted(shop.engine) if fault == "aborted" else unknown(shop.engine)

    done, refused = [forward() for _ in range(60)], [shop.behaving(reject) for _ in range(60)]
    mixed = [command for pair in zip(done, refused, strict=True) for command in pair]
    with commits(shop.engine, monkeypatch, faulty):
        answers = [answer for start in range(0, 120, 5) for answer in shop.run(mixed[start : start + 5])]
    assert [answer.outcome for answer in answers] == [Outcome.SUCCEEDED, Outcome.REJECTED] * 60
    assert all(shop.effects(command) == {"debit": 1} for command in done)
    assert all(shop.effects(command) == {} for command in refused)
    assert min(faults.values()) >= 2


def test_when_the_database_does_not_serve_all_are_told_and_nothing_is_done(shop: Shop) -> None:
    def unavailable(_ctx: Context) -> object:
        raise StoreUnavailableError("the database does not serve")

    commands = [forward(), shop.behaving(unavailable), forward()]
    outcomes = shop.outcomes(commands)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailableError] * 3
    assert all(shop.effects(command) == {} for command in commands)


def test_what_a_batch_puts_on_record_is_what_single_commands_do(shop: Shop) -> None:
    payment = Payment(shop.engine)
    rejected, undone = shop.behaving(reject), forward()
    shop.run([forward(), rejected, compensation(undone)])
    assert payment.recorded(rejected.key) == {rejected.key: Recorded.REJECTED}
    undo = compensation(undone)
    assert payment.recorded(undone.key, undo.key) == {undone.key: Recorded.TOMBSTONE, undo.key: Recorded.SUCCEEDED}
    assert payment.run(undone).code == "tombstone"
