"""Commands without a handler in the worker: put back for other workers, told once and seldom, let go of in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from saga_engine.core.timing import LONGEST_REPLY_WAIT
from saga_engine.participant import Context
from saga_engine.participant.missing import REMIND_US
from saga_engine.wire.commands import command_to_message
from saga_engine.wire.headers import RESENT
from tests.unit.participant.bench import Bench, acked, put_back
from tests.unit.participant.support import NOW, SECOND, forward, until


@pytest.fixture
def payment(bench: Bench) -> Bench:
    """A worker that knows `debit` alone."""

    @bench.payment.command
    def debit(ctx: Context) -> None: ...

    return bench


def told(logs: Sequence[EventDict], event: str) -> list[EventDict]:
    return [entry for entry in logs if entry["event"].startswith(event)]


async def test_an_unknown_command_is_put_back_and_told_once_with_what_to_write(payment: Bench) -> None:
    with capture_logs() as logs:
        async with payment.working():
            for _ in range(3):
                payment.subscription.deliver(forward("capture"))
            await until(partial(put_back, payment, 3))
            payment.clock.at += 20 * SECOND
            payment.subscription.deliver(forward("capture"), 5)
            await until(partial(put_back, payment, 4))
    assert payment.transport.published == []
    assert payment.subscription.acked == []
    (entry,) = logs
    assert entry["event"] == "no handler for a command: its sagas wait until a worker has one"
    assert (entry["command"], entry["known"]) == ("payment.capture", "debit")
    assert entry["saga"] == "place_order"
    assert entry["next"].startswith('write def capture(ctx: Context) under the .command decorator of Participant("pay')


async def test_no_handler_is_suggested_for_a_command_since_the_definitions_may_call_it_rightly(payment: Bench) -> None:
    with capture_logs() as logs:
        async with payment.working():
            payment.subscription.deliver(forward("debbit"))
            await until(partial(put_back, payment, 1))
    (entry,) = told(logs, "no handler")
    assert entry["known"] == "debit"
    assert entry["next"].startswith("write def debbit(")


async def test_a_handler_that_stays_missing_is_told_again_seldom_and_with_a_count(payment: Bench) -> None:
    with capture_logs() as logs:
        async with payment.working():
            for count in range(1, 4):
                payment.subscription.deliver(forward("capture"))
                await until(partial(put_back, payment, count))
            payment.clock.at = NOW + REMIND_US
            for count in range(4, 7):
                payment.subscription.deliver(replace(forward("capture"), deadline=payment.clock.at))
                await until(partial(put_back, payment, count))
    (again,) = told(logs, "still no handler")
    assert (again["command"], again["deliveries"]) == ("payment.capture", 3)


async def test_an_old_send_of_an_unknown_command_is_let_go_of_since_a_newer_one_has_come_if_it_is_wanted(
    payment: Bench,
) -> None:
    waiting = forward("capture")
    with capture_logs() as logs:
        async with payment.working():
            payment.clock.at = waiting.deadline + LONGEST_REPLY_WAIT
            payment.subscription.deliver(waiting)
            await until(partial(put_back, payment, 1))
            payment.clock.at += 1
            payment.subscription.deliver(waiting, 40)
            await until(partial(acked, payment, 1))
    assert len(payment.subscription.put_back) == 1
    assert payment.transport.published == [], "nobody may say anything of what was not run"
    assert not told(logs, "command dropped"), "the missing handler was told"


async def test_what_an_operator_has_sent_again_waits_for_its_handler_however_old_it_is(payment: Bench) -> None:
    command = forward("capture")
    message = command_to_message(command)
    letter = replace(message, headers={**message.headers, RESENT: "SAGA_DEAD:7"})
    async with payment.working():
        payment.clock.at = command.deadline + 100 * LONGEST_REPLY_WAIT
        payment.subscription.deliver(letter)
        await until(partial(put_back, payment, 1))
    assert payment.subscription.acked == []


async def test_names_that_nobody_knows_do_not_fill_the_log_without_end(payment: Bench) -> None:
    with capture_logs() as logs:
        async with payment.working():
            for number in range(1_100):
                payment.subscription.deliver(forward(f"capture{number}"))
            await until(partial(put_back, payment, 1_100))
    assert len(told(logs, "no handler")) == 1_000
