"""Handlers that take long: heartbeats while they may, and what becomes of those that hang."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from functools import partial

import pytest
from structlog.testing import capture_logs

from saga_engine.participant import Context
from saga_engine.participant.calls import LONGEST_RUN_US
from saga_engine.wire.commands import command_to_message
from tests.unit.participant.bench import Bench
from tests.unit.participant.support import (
    DAY,
    NOW,
    PATIENCE_S,
    forward,
    until,
)


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
