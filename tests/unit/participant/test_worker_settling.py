"""A command that cannot be answered, acknowledged or put back: its neighbours are, and it comes again itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Command, Message, Reply
from saga_engine.errors import StoreUnavailableError
from saga_engine.participant import Context
from saga_engine.participant.answers import Disposition
from saga_engine.participant.executor import Executor
from saga_engine.ports.transport import Delivery
from saga_engine.wire.replies import reply_to_message
from tests.unit.participant.bench import Bench, acked, rows
from tests.unit.participant.support import ScriptedSubscription, forward, until


class Refusing(ScriptedSubscription):
    """Fails to put back, or to acknowledge, as often as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.no_put_back = 0
        self.no_ack = 0

    async def retry_later(self, deliveries: Sequence[Delivery], delay: float) -> None:
        if self.no_put_back > 0:
            self.no_put_back -= 1
            raise ConnectionResetError("a flush in between")
        await super().retry_later(deliveries, delay)

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        if self.no_ack > 0:
            self.no_ack -= 1
            raise ConnectionResetError("a flush in between")
        await super().ack(deliveries)


@pytest.fixture
def refusing(bench: Bench) -> Refusing:
    bench.subscription = bench.transport.subscription = subscription = Refusing()
    return subscription


@pytest.mark.parametrize("batch", [False, True])
async def test_a_result_nested_too_deep_fails_its_command_before_the_commit_and_no_neighbour(
    bench: Bench, batch: bool
) -> None:
    @bench.payment.command(batch=batch)
    def debit(ctx: Context, command: dict[str, bool]) -> object:
        result: object = 1
        for _ in range(250 if command.get("deep") else 1):
            result = [result]
        return result

    async with bench.working():
        for number in range(6):
            bench.subscription.deliver(forward(payload={"deep": number == 2}))
        await until(lambda: acked(bench, 6))
    told = sorted((reply.outcome.value, reply.code) for reply in bench.transport.replied)
    assert told == [("failed", "result_too_deep"), *[("succeeded", "")] * 5]
    assert rows(bench.engine) == 5


@pytest.mark.parametrize("batch", [False, True])
async def test_a_command_that_cannot_be_put_back_is_let_go_of_and_its_neighbours_are_answered(
    bench: Bench, refusing: Refusing, batch: bool
) -> None:
    @bench.payment.command(batch=batch)
    def debit(ctx: Context, command: dict[str, bool]) -> None:
        if command["bad"]:
            raise StoreUnavailableError("the other database is away")

    refusing.no_put_back = 10**6
    async with bench.working() as worker:
        refusing.deliver(forward(payload={"bad": True}))
        for _ in range(3):
            refusing.deliver(forward(payload={"bad": False}))
        if batch:
            # A database that is away is away for the whole batch: nobody is answered, and nobody is held on to.
            await until(lambda: refusing.no_put_back == 10**6 - 4)
        else:
            await until(lambda: acked(bench, 3))
        refusing.no_put_back = 0
        await worker.stop(5)
    assert refusing.put_back == [], "what was let go of is not handed back at the end: it comes by itself"


@pytest.mark.parametrize("batch", [False, True])
async def test_a_reply_that_cannot_be_made_hangs_only_its_own_command(
    bench: Bench, batch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    @bench.payment.command(batch=batch)
    def debit(ctx: Context) -> None: ...

    bad: Command = forward()

    def made(reply: Reply) -> Message:
        if reply.address == bad.address:
            raise TypeError("Recursion limit reached")
        return reply_to_message(reply)

    monkeypatch.setattr("saga_engine.participant.deliveries.reply_to_message", made)
    async with bench.working():
        for command in (forward(), bad, forward(), forward()):
            bench.subscription.deliver(command)
        await until(lambda: acked(bench, 3))
    assert bench.subscription.put_back == [], "it is not open any more when the worker stops"


async def test_a_command_that_ends_in_a_fault_of_the_worker_is_let_go_of_and_comes_by_itself(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None: ...

    bad: Command = forward()
    execute = Executor.execute

    async def faulty(self: Executor, command: Command, repeated: bool) -> Disposition:
        if command.address == bad.address:
            raise LookupError("a fault of the worker")
        return await execute(self, command, repeated)

    monkeypatch.setattr(Executor, "execute", faulty)
    async with bench.working():
        bench.subscription.deliver(bad)
        bench.subscription.deliver(forward())
        await until(lambda: acked(bench, 1))
    assert bench.subscription.put_back == [], "it is not open any more when the worker stops"


async def test_commands_that_cannot_be_acknowledged_come_again_and_get_their_stored_replies(
    bench: Bench, refusing: Refusing
) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None: ...

    refusing.no_ack = 1
    command = forward()
    async with bench.working():
        refusing.deliver(command)
        await until(lambda: bench.transport.replied)
        await until(lambda: refusing.no_ack == 0)
        refusing.deliver(replace(command), deliveries=2)
        await until(lambda: acked(bench, 1))
    assert [reply.outcome for reply in bench.transport.replied] == [Outcome.SUCCEEDED] * 2
    assert rows(bench.engine) == 1
