"""The worker's dealings with a transport: replies, acknowledgements, putting back, heartbeats, stopping."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Message
from saga_engine.errors import UsageError
from saga_engine.participant import Context, Participant, Rejected
from saga_engine.participant.calls import LONGEST_RUN_US
from saga_engine.participant.registry import merge
from saga_engine.participant.worker import Worker
from saga_engine.sql.schema import inbox, inbox_tries
from saga_engine.wire import REASON, RESENT, command_to_message
from tests.unit.participant.support import (
    DAY,
    NOW,
    PATIENCE_S,
    SETTINGS,
    ScriptedTransport,
    StoppedClock,
    again,
    compensation,
    forward,
    until,
)


class Bench:
    """A worker with everything around it under control."""

    def __init__(self, engine: Engine | None) -> None:
        self.engine = engine
        self.transport = ScriptedTransport()
        self.subscription = self.transport.subscription
        self.clock = StoppedClock()
        self.payment = Participant("payment")

    def worker(self, concurrency: int = 4) -> Worker:
        participant = merge([self.payment])["payment"]
        return Worker(participant, self.transport, self.engine, SETTINGS, self.clock, concurrency)

    @asynccontextmanager
    async def working(self, concurrency: int = 4) -> AsyncIterator[Worker]:
        worker = self.worker(concurrency)
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            running = group.create_task(worker.run())
            yield worker
            await worker.stop(5)
            await running


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine)


@pytest.fixture
def unfenced() -> Bench:
    return Bench(None)


def rows(engine: Engine | None) -> int:
    assert engine is not None
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(inbox)).scalar_one()


async def test_a_command_is_answered_and_acknowledged(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> dict[str, object]:
        return {"receipt": "R-1", "limit": ctx.settings["limit"]}

    command = forward()
    async with bench.working():
        bench.subscription.deliver(command)
        await until(lambda: bench.subscription.acked)
    (reply,) = bench.transport.replied
    assert reply.outcome is Outcome.SUCCEEDED
    assert reply.result == {"receipt": "R-1", "limit": 1_000}
    assert (reply.address, reply.attempt, reply.send, reply.token) == (command.address, 1, 1, "token")
    assert (reply.partition, reply.participant, reply.fenced) == (3, "payment", True)
    assert bench.subscription.acked == [command_to_message(command)]


async def test_a_rejection_is_answered_with_its_code(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None:
        raise Rejected("card_declined", "above the limit")

    async with bench.working():
        bench.subscription.deliver(forward())
        await until(lambda: bench.transport.replied)
    (reply,) = bench.transport.replied
    assert (reply.outcome, reply.code, reply.message) == (Outcome.REJECTED, "card_declined", "above the limit")


async def test_a_command_is_not_acknowledged_before_its_reply_is_confirmed(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None: ...

    bench.transport.confirming = False
    async with bench.working():
        bench.subscription.deliver(forward())
        await until(lambda: len(bench.transport.batches) >= 3)
        assert bench.subscription.acked == []
        bench.transport.confirming = True
        await until(lambda: bench.subscription.acked)
    assert len(bench.transport.replied) == 1


async def test_replies_are_sent_many_at_once(bench: Bench) -> None:
    @bench.payment.command
    async def debit(ctx: Context) -> None: ...

    bench.transport.confirming = False
    async with bench.working(concurrency=8):
        for _ in range(8):
            bench.subscription.deliver(forward())
        await until(lambda: 8 in bench.transport.batches)
        bench.transport.confirming = True


async def test_no_more_than_the_limit_run_at_once(unfenced: Bench) -> None:
    running, most = 0, 0
    free = asyncio.Event()

    @unfenced.payment.command
    async def debit(ctx: Context) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await free.wait()
        running -= 1

    async with unfenced.working(concurrency=3):
        for _ in range(10):
            unfenced.subscription.deliver(forward())
        await until(lambda: running == 3)
        assert len(unfenced.subscription.waiting) == 7
        assert unfenced.subscription.largest_receive <= 3
        free.set()
        await until(lambda: len(unfenced.subscription.acked) == 10)
    assert most == 3


async def test_a_hanging_handler_does_not_hold_up_other_commands(unfenced: Bench) -> None:
    @unfenced.payment.command
    async def debit(ctx: Context) -> None:
        await asyncio.Event().wait()

    @unfenced.payment.command
    async def check(ctx: Context) -> None: ...

    hanging = forward()
    worker = unfenced.worker(concurrency=2)
    running = asyncio.create_task(worker.run())
    for send in range(1, 6):
        unfenced.subscription.deliver(replace(hanging, send=send))
    others = [forward("check") for _ in range(5)]
    for other in others:
        unfenced.subscription.deliver(other)
    await until(lambda: len(unfenced.transport.replied) == 5)
    assert {reply.address for reply in unfenced.transport.replied} == {other.address for other in others}
    assert len(unfenced.subscription.put_back) == 4
    await worker.stop(0)
    await running


async def test_a_long_handler_is_reported_as_in_progress(bench: Bench) -> None:
    free = threading.Event()

    @bench.payment.command
    def debit(ctx: Context) -> None:
        assert free.wait(PATIENCE_S)

    command = forward()
    async with bench.working():
        bench.subscription.deliver(command)
        await until(lambda: len(bench.subscription.progress) >= 3)
        assert bench.subscription.progress[0] == command_to_message(command)
        free.set()
        await until(lambda: bench.subscription.acked)
    assert pytest.approx(5 / 3) in bench.clock.sleeps


async def test_a_handler_that_hangs_in_its_thread_is_no_longer_reported_as_in_progress(bench: Bench) -> None:
    free, begun = threading.Event(), threading.Event()

    @bench.payment.command
    def debit(ctx: Context) -> str:
        begun.set()
        assert free.wait(PATIENCE_S)
        return "after all"

    command = forward()
    with capture_logs() as logs:
        async with bench.working(concurrency=2):
            bench.subscription.deliver(command)
            await until(begun.is_set)
            bench.clock.at += LONGEST_RUN_US
            await until(partial(beats, bench, len(bench.clock.sleeps) + 5))
            assert logs == [], "not before its time is over"
            bench.clock.at += 1
            await until(lambda: logs)
            reported = len(bench.subscription.progress)
            bench.subscription.deliver(command, deliveries=2)
            await until(lambda: bench.subscription.put_back)
            await until(partial(beats, bench, len(bench.clock.sleeps) + 5))
            assert len(bench.subscription.progress) == reported
            free.set()
            await until(lambda: bench.subscription.acked)
    (line,) = logs
    assert line["log_level"] == "error"
    assert (line["command"], line["key"], line["seconds"]) == ("debit", command.key, 600)
    assert [reply.result for reply in bench.transport.replied] == ["after all"]


def beats(bench: Bench, count: int) -> bool:
    return len(bench.clock.sleeps) >= count


async def test_a_handler_may_take_until_the_deadline_of_its_send(bench: Bench) -> None:
    free, begun = threading.Event(), threading.Event()

    @bench.payment.command
    def debit(ctx: Context) -> None:
        begun.set()
        assert free.wait(PATIENCE_S)

    with capture_logs() as logs:
        async with bench.working():
            bench.subscription.deliver(replace(forward(), deadline=NOW + DAY))
            await until(begun.is_set)
            bench.clock.at += DAY
            reported = len(bench.subscription.progress)
            await until(lambda: len(bench.subscription.progress) >= reported + 3)
            free.set()
            await until(lambda: bench.subscription.acked)
    assert logs == []


async def test_an_exception_is_answered_as_failed_and_not_stored(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None:
        raise ConnectionResetError("the card network hung up")

    with capture_logs() as logs:
        async with bench.working():
            bench.subscription.deliver(forward(payload={"card": "4111"}))
            await until(lambda: bench.subscription.acked)
    (reply,) = bench.transport.replied
    assert (reply.outcome, reply.code) == (Outcome.FAILED, "connection_reset_error")
    assert reply.message == "the card network hung up"
    assert rows(bench.engine) == 0
    (entry,) = [entry for entry in logs if entry["event"] == "handler failed"]
    assert "test_worker.py" in entry["where"]
    assert "4111" not in str(logs)


async def test_trouble_of_the_participants_database_gives_no_reply(bench: Bench) -> None:
    broken = True

    @bench.payment.command
    def debit(ctx: Context) -> None:
        if broken:
            raise OperationalError("INSERT", {}, disk_full())

    with capture_logs() as logs:
        async with bench.working():
            for deliveries in range(1, 13):
                bench.subscription.deliver(forward(), deliveries)
            await until(lambda: len(bench.subscription.put_back) == 12)
            assert bench.transport.published == []
            assert bench.subscription.acked == []
            broken = False
            bench.subscription.deliver(forward())
            await until(lambda: bench.subscription.acked)
    delays = sorted(call.delay for call in bench.subscription.put_back)
    assert delays[0] < 0.2
    assert delays[0] < delays[1] < delays[2]
    assert delays[-1] == 10.0
    assert [reply.outcome for reply in bench.transport.replied] == [Outcome.SUCCEEDED]
    assert len([entry for entry in logs if entry["event"] == "command put back"]) == 1


def disk_full() -> Exception:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


async def test_an_outage_of_the_database_is_never_taken_for_a_crash(bench: Bench) -> None:
    outage = True

    @bench.payment.command
    def debit(ctx: Context) -> None:
        if outage:
            raise OperationalError("INSERT", {}, disk_full())

    command = forward()
    async with bench.working():
        for deliveries in range(2, 32):
            bench.subscription.deliver(command, deliveries)
            await until(partial(put_back, bench, deliveries - 1))
        outage = False
        bench.subscription.deliver(command, 32)
        await until(lambda: bench.subscription.acked)
    assert [reply.outcome for reply in bench.transport.replied] == [Outcome.SUCCEEDED]


def acked(bench: Bench, count: int) -> bool:
    return len(bench.subscription.acked) == count


def put_back(bench: Bench, count: int) -> bool:
    return len(bench.subscription.put_back) == count


async def test_missing_inbox_tables_give_no_reply_but_a_hint(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None: ...

    assert bench.engine is not None
    inbox.drop(bench.engine)
    with capture_logs() as logs:
        async with bench.working():
            bench.subscription.deliver(forward())
            await until(lambda: bench.subscription.put_back)
    assert bench.transport.published == []
    assert "saga db upgrade" in str(logs)


async def test_an_unknown_command_is_put_back_and_warned_about_once(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None: ...

    with capture_logs() as logs:
        async with bench.working():
            for _ in range(3):
                bench.subscription.deliver(forward("capture"))
            await until(lambda: len(bench.subscription.put_back) == 3)
    assert bench.transport.published == []
    (entry,) = [entry for entry in logs if entry["event"].startswith("no handler")]
    assert (entry["command"], entry["known"]) == ("payment.capture", "debit")


async def test_an_unreadable_message_goes_to_the_dead_letters(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None: ...

    message = Message("saga.command.payment.debit", {"x": "y"}, b"nonsense", None)
    async with bench.working():
        bench.subscription.deliver(message)
        await until(lambda: bench.subscription.acked)
    (buried,) = bench.transport.buried
    assert (buried.subject, buried.body) == ("saga.dead.payment", b"nonsense")
    assert "saga-key" in buried.headers[REASON]
    assert bench.transport.replied == []


async def test_a_command_that_cannot_be_read_is_answered_so_that_its_step_does_not_hang(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None:
        raise AssertionError("must not run")

    command = forward()
    async with bench.working():
        bench.subscription.deliver(replace(command_to_message(command), body=b'{"payload":'))
        await until(lambda: bench.subscription.acked)
    (reply,) = bench.transport.replied
    assert (reply.outcome, reply.code, reply.address) == (Outcome.FAILED, "poison", command.address)
    assert "not JSON" in reply.message
    assert len(bench.transport.buried) == 1


async def test_a_command_past_the_horizon_is_buried_and_answered_as_failed(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None:
        raise AssertionError("must not run")

    async with bench.working():
        bench.subscription.deliver(replace(forward(), issued_at=NOW - 90 * DAY - 1))
        await until(lambda: bench.subscription.acked)
    (reply,) = bench.transport.replied
    assert (reply.outcome, reply.code) == (Outcome.FAILED, "horizon")
    assert len(bench.transport.buried) == 1
    assert rows(bench.engine) == 0


async def test_a_command_at_the_horizon_still_runs(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None: ...

    async with bench.working():
        bench.subscription.deliver(replace(forward(), issued_at=NOW - 90 * DAY))
        await until(lambda: bench.subscription.acked)
    assert [reply.outcome for reply in bench.transport.replied] == [Outcome.SUCCEEDED]


async def test_a_result_that_is_too_large_is_a_failure_and_leaves_nothing(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> str:
        return "x" * 300_000

    async with bench.working():
        bench.subscription.deliver(forward())
        await until(lambda: bench.subscription.acked)
    (reply,) = bench.transport.replied
    assert (reply.outcome, reply.code) == (Outcome.FAILED, "result_too_large")
    assert rows(bench.engine) == 0


async def test_an_unfenced_handler_says_so_and_gets_the_idempotency_key(unfenced: Bench) -> None:
    @unfenced.payment.command
    async def debit(ctx: Context) -> str:
        return ctx.idempotency_key

    command = forward()
    async with unfenced.working():
        unfenced.subscription.deliver(command)
        await until(lambda: unfenced.subscription.acked)
    (reply,) = unfenced.transport.replied
    assert (reply.result, reply.fenced) == (command.key, False)


async def test_an_unfenced_handler_is_not_run_past_the_deadline(unfenced: Bench) -> None:
    @unfenced.payment.command
    async def debit(ctx: Context) -> None:
        raise AssertionError("must not run")

    async with unfenced.working():
        unfenced.subscription.deliver(replace(forward(), deadline=NOW))
        await until(lambda: unfenced.subscription.acked)
    assert unfenced.transport.published == []


async def test_a_letter_sent_past_its_deadline_is_with_the_dead_letters_again(
    unfenced: Bench,
) -> None:
    @unfenced.payment.command
    async def debit(ctx: Context) -> None:
        raise AssertionError("must not run")

    late = command_to_message(replace(forward(), deadline=NOW))
    async with unfenced.working():
        unfenced.subscription.deliver(replace(late, headers={**late.headers, RESENT: "7"}))
        await until(lambda: unfenced.subscription.acked)
    assert "deadline" in unfenced.transport.buried[0].headers[REASON]
    assert [reply.code for reply in unfenced.transport.replied] == ["deadline_passed"]


async def test_an_unfenced_handler_is_stopped_at_the_deadline(unfenced: Bench) -> None:
    stopped = False

    @unfenced.payment.command
    async def debit(ctx: Context) -> None:
        nonlocal stopped
        try:
            await asyncio.Event().wait()
        finally:
            stopped = True

    async with unfenced.working():
        unfenced.subscription.deliver(replace(forward(), deadline=NOW + 20_000))
        await until(lambda: unfenced.subscription.acked)
    (reply,) = unfenced.transport.replied
    assert (reply.outcome, reply.code, stopped) == (Outcome.FAILED, "deadline_passed", True)


@pytest.mark.parametrize("database", [False, True], ids=["no database", "mixed"])
async def test_an_unfenced_handler_that_rejects_a_redelivery_does_not_deny_the_effect_of_an_earlier_one(
    bench: Bench, unfenced: Bench, database: bool
) -> None:
    chosen = bench if database else unfenced

    @chosen.payment.command
    async def debit(ctx: Context) -> None:
        raise Rejected("card_declined", "no more credit")

    async with chosen.working():
        for number, deliveries in enumerate((1, 2), start=1):
            chosen.subscription.deliver(forward(), deliveries)
            await until(partial(acked, chosen, number))
    assert [(reply.outcome, reply.code, reply.message) for reply in chosen.transport.replied] == [
        (Outcome.REJECTED, "card_declined", "no more credit"),
        (Outcome.FAILED, "card_declined", "no more credit"),
    ]


async def test_a_fenced_handler_may_reject_a_redelivery(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None:
        raise Rejected("card_declined")

    async with bench.working():
        bench.subscription.deliver(forward(), deliveries=2)
        await until(lambda: bench.subscription.acked)
    assert [reply.outcome for reply in bench.transport.replied] == [Outcome.REJECTED]


async def test_a_rejection_of_a_compensation_is_answered_as_failed(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None: ...

    @bench.payment.command
    def refund(ctx: Context) -> None:
        raise Rejected("closed_account")

    command = forward()
    async with bench.working():
        bench.subscription.deliver(command)
        await until(lambda: bench.subscription.acked)
        bench.subscription.deliver(compensation(command))
        await until(lambda: len(bench.subscription.acked) == 2)
    assert [(reply.outcome, reply.code) for reply in bench.transport.replied] == [
        (Outcome.SUCCEEDED, ""),
        (Outcome.FAILED, "closed_account"),
    ]


async def test_a_participant_without_a_database_cannot_have_a_handler_that_needs_one(unfenced: Bench) -> None:
    @unfenced.payment.command
    def debit(ctx: Context) -> None: ...

    with pytest.raises(UsageError, match=r"participants\.payment\.database.*async"):
        unfenced.worker()


async def test_old_rows_of_the_inbox_are_forgotten_while_the_worker_runs(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None: ...

    async with bench.working():
        bench.subscription.deliver(forward())
        await until(lambda: bench.subscription.acked)
        assert rows(bench.engine) == 1
        bench.clock.at += 98 * DAY
        await until(lambda: rows(bench.engine) == 0)
    assert 3600.0 in bench.clock.sleeps


async def test_stopping_finishes_what_runs(bench: Bench) -> None:
    free, begun = threading.Event(), threading.Event()

    @bench.payment.command
    def debit(ctx: Context) -> None:
        begun.set()
        assert free.wait(PATIENCE_S)

    async with bench.working() as worker:
        bench.subscription.deliver(forward())
        await until(begun.is_set)
        stopping = asyncio.create_task(worker.stop(PATIENCE_S))
        await until(lambda: not bench.subscription.receiving)
        bench.subscription.deliver(forward())
        free.set()
        await stopping
    assert len(bench.transport.replied) == 1
    assert len(bench.subscription.waiting) == 1
    assert bench.subscription.put_back == []
    assert bench.subscription.closed


async def test_stopping_hands_back_what_does_not_end_in_time(bench: Bench) -> None:
    free, begun = threading.Event(), threading.Event()

    @bench.payment.command
    def debit(ctx: Context) -> None:
        begun.set()
        free.wait(PATIENCE_S)

    command = forward()
    async with bench.working() as worker:
        bench.subscription.deliver(command)
        await until(begun.is_set)
        await worker.stop(0.05)
    free.set()
    assert [(call.message, call.delay) for call in bench.subscription.put_back] == [(command_to_message(command), 0)]
    assert bench.transport.published == []
    assert bench.subscription.closed


async def test_stopping_a_worker_that_does_not_run_returns(bench: Bench) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await bench.worker().stop()


async def test_a_repeated_command_returns_the_stored_reply(bench: Bench) -> None:
    runs = 0

    @bench.payment.command
    def debit(ctx: Context) -> int:
        nonlocal runs
        runs += 1
        return runs

    command = forward()
    async with bench.working():
        for number, copy in enumerate((command, again(command), again(command, attempt=2)), start=1):
            bench.subscription.deliver(copy)
            await until(partial(acked, bench, number))
    assert runs == 1
    assert {(reply.attempt, reply.send) for reply in bench.transport.replied} == {(1, 1), (1, 2), (2, 1)}
    assert [reply.result for reply in bench.transport.replied] == [1, 1, 1]


async def test_a_definite_outcome_removes_the_count_of_tries(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None: ...

    async with bench.working():
        bench.subscription.deliver(forward(), deliveries=4)
        await until(lambda: bench.subscription.acked)
    assert bench.engine is not None
    with bench.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(inbox_tries)).scalar_one() == 0


@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt()], ids=["sys.exit", "KeyboardInterrupt"])
async def test_a_handler_that_wants_to_end_the_process_fails_its_command_and_no_other(
    bench: Bench, unfenced: Bench, raised: BaseException
) -> None:
    def debit(ctx: Context, command: dict[str, object]) -> None:
        raise raised

    async def charge(ctx: Context, command: dict[str, object]) -> None:
        raise raised

    bench.payment.command(debit)
    unfenced.payment.command("debit")(charge)
    for each in (bench, unfenced):
        async with each.working():
            each.subscription.deliver(forward())
            await until(lambda: each.subscription.acked)  # noqa: B023  # awaited at once
        (reply,) = each.transport.replied
        assert reply.outcome is Outcome.FAILED
        assert reply.code in ("system_exit", "keyboard_interrupt")
