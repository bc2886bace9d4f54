"""Commands that cannot be read, run or answered as they should: dead letters, putting back, failures."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Message
from saga_engine.participant import Context
from saga_engine.sql.schema import inbox, inbox_tries
from saga_engine.wire.commands import command_to_message
from saga_engine.wire.headers import REASON
from tests.unit.participant.bench import Bench, put_back, rows
from tests.unit.participant.support import (
    DAY,
    NOW,
    forward,
    until,
)


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
    assert "test_worker_trouble.py" in entry["where"]
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


async def test_a_definite_outcome_removes_the_count_of_tries(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None: ...

    async with bench.working():
        bench.subscription.deliver(forward(), deliveries=4)
        await until(lambda: bench.subscription.acked)
    assert bench.engine is not None
    with bench.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(inbox_tries)).scalar_one() == 0


class LibraryTimeout(BaseException):
    """As gevent's, which no `except Exception` is to catch."""


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (SystemExit(3), "system_exit"),
        (KeyboardInterrupt(), "keyboard_interrupt"),
        (asyncio.CancelledError(), "cancelled_error"),
        (LibraryTimeout("too slow"), "library_timeout"),
    ],
)
async def test_a_handler_that_raises_what_ends_processes_or_tasks_fails_its_command_and_no_other(
    bench: Bench, unfenced: Bench, raised: BaseException, code: str
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
        assert (reply.outcome, reply.code) == (Outcome.FAILED, code)
