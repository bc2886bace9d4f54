"""Forward commands, their copies and their compensation at the same time: who wins does not matter."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine, event

from saga_engine.core.events import Effect
from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Command
from saga_engine.participant.answers import Answer
from tests.databases import SERVER_LANES
from tests.integration.participant.ledger import entered
from tests.integration.participant.payments import Payment
from tests.unit.participant.support import PATIENCE_S, again, compensation, forward

ROUNDS = 60


@pytest.fixture
def payment(engine: Engine) -> Payment:
    return Payment(engine)


def race(payment: Payment, commands: list[Command], start_after_s: list[float]) -> list[Answer]:
    """Run all at once, each in a thread, begun after its delay; the answers in order."""
    start = threading.Barrier(len(commands))

    def run(command: Command, delay: float) -> Answer:
        start.wait(PATIENCE_S)
        threading.Event().wait(delay)
        return payment.run(command)

    with ThreadPoolExecutor(len(commands)) as threads:
        return list(threads.map(run, commands, start_after_s))


def test_a_forward_command_its_copies_and_its_compensation_race(payment: Payment) -> None:
    seen: Counter[str] = Counter()
    for number in range(ROUNDS):
        command = forward()
        undo = compensation(command)
        # The head start of one side or the other sweeps over the time that a transaction takes.
        lead = (number % 12 - 6) / 1000
        delays = [max(0.0, -lead), max(0.0, -lead), max(0.0, lead), max(0.0, lead)]
        first, second, third, fourth = race(payment, [command, again(command), undo, again(undo)], delays)
        assert first == second
        assert third == fourth
        assert third.outcome is Outcome.SUCCEEDED
        effects = entered(payment.engine, command.address.saga_id)
        if third.effect is Effect.UNDONE:
            seen["undone"] += 1
            assert first.outcome is Outcome.SUCCEEDED
            assert effects == {"debit": 1, "refund": 1}
        else:
            seen["tombstone"] += 1
            assert (first.outcome, first.code) == (Outcome.REJECTED, "tombstone")
            assert effects == {}
    assert seen["undone"] >= 3
    assert seen["tombstone"] >= 3


def test_copies_of_one_command_race_and_one_takes_effect(payment: Payment) -> None:
    for _ in range(ROUNDS // 3):
        command = forward()
        answers = race(payment, [command, *[again(command)] * 5], [0.0] * 6)
        assert {answer.outcome for answer in answers} == {Outcome.SUCCEEDED}
        assert entered(payment.engine, command.address.saga_id) == {"debit": 1}


# A SQLite transaction of ours holds the write lock from its start: the orders below cannot occur there.
with_open_transactions = pytest.mark.parametrize("empty_database", SERVER_LANES, indirect=True)


@contextmanager
def held_before_commit(engine: Engine, thread_name: str) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Hold the commits of one thread: the first event says that it has come to one, the second lets it go on."""
    arrived, release = threading.Event(), threading.Event()

    def hold(_connection: Connection) -> None:
        if threading.current_thread().name.startswith(thread_name):
            arrived.set()
            assert release.wait(PATIENCE_S)

    event.listen(engine, "commit", hold)
    try:
        yield arrived, release
    finally:
        event.remove(engine, "commit", hold)


def in_thread(name: str, payment: Payment, command: Command) -> Future[Answer]:
    threads = ThreadPoolExecutor(1, thread_name_prefix=name)
    future = threads.submit(payment.run, command)
    threads.shutdown(wait=False)
    return future


@with_open_transactions
def test_a_compensation_meets_a_forward_command_that_is_about_to_commit(payment: Payment) -> None:
    command = forward()
    with held_before_commit(payment.engine, "forward") as (arrived, release):
        done = in_thread("forward", payment, command)
        assert arrived.wait(PATIENCE_S)
        undone = in_thread("compensation", payment, compensation(command))
        with pytest.raises(TimeoutError):
            undone.result(0.3)
        release.set()
        assert done.result(PATIENCE_S).outcome is Outcome.SUCCEEDED
        assert undone.result(PATIENCE_S).effect is Effect.UNDONE
    assert entered(payment.engine, command.address.saga_id) == {"debit": 1, "refund": 1}


@with_open_transactions
def test_a_compensation_commits_while_the_forward_handler_is_running(payment: Payment) -> None:
    command = forward()
    begun, release = threading.Event(), threading.Event()

    def hold(kind: str) -> None:
        if kind == "debit":
            begun.set()
            assert release.wait(PATIENCE_S)

    payment.meanwhile = hold
    late = in_thread("forward", payment, command)
    assert begun.wait(PATIENCE_S)
    assert payment.run(compensation(command)).effect is Effect.NONE
    release.set()
    assert late.result(PATIENCE_S).code == "tombstone"
    assert entered(payment.engine, command.address.saga_id) == {}


@with_open_transactions
def test_a_forward_command_meets_a_tombstone_that_is_about_to_commit(payment: Payment) -> None:
    command = forward()
    with held_before_commit(payment.engine, "compensation") as (arrived, release):
        undone = in_thread("compensation", payment, compensation(command))
        assert arrived.wait(PATIENCE_S)
        late = in_thread("forward", payment, command)
        with pytest.raises(TimeoutError):
            late.result(0.3)
        release.set()
        assert undone.result(PATIENCE_S).effect is Effect.NONE
        assert late.result(PATIENCE_S).code == "tombstone"
    assert entered(payment.engine, command.address.saga_id) == {}
