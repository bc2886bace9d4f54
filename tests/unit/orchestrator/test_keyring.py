"""Exchanging the keys of the reply tokens: a new key is learned when it is met, a retired one counts no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar
from uuid import UUID

import pytest

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Address, Message, Reply, partition_of
from saga_engine.errors import StoreUnavailableError
from saga_engine.orchestrator.agenda import Agenda
from saga_engine.orchestrator.counters import Counters
from saga_engine.orchestrator.intake import Intake
from saga_engine.orchestrator.keyring import INTERVAL_S, Keyring
from saga_engine.orchestrator.tokens import TokenFault, Tokens
from saga_engine.wire.replies import reply_to_message
from tests.unit.orchestrator.support import ManualClock

T = TypeVar("T")
SAGA = UUID(int=42)
OLD, NEW = {"1": b"old"}, {"1": b"old", "2": b"new"}


class Vault:
    """The keys as the store has them, how often they were read, and whether the store is away."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self.keys = keys
        self.read = 0
        self.away = False

    def __call__(self) -> Mapping[str, bytes]:
        self.read += 1
        if self.away:
            raise StoreUnavailableError("away")
        return self.keys


async def inline(call: Callable[[], T], /) -> T:
    return call()


def signed(tokens: Tokens, step: str = "debit") -> Message:
    address = Address(SAGA, step, None, Direction.FORWARD)
    partition, token = partition_of(SAGA), tokens.make(address.key, "payment")
    said = Reply(
        address, "payment", partition, 1, 1, Outcome.SUCCEEDED, {}, "", "", Effect.UNDONE, True, token, traceparent=None
    )
    return reply_to_message(said)


class Desk:
    """An intake that knows the old key, over a vault."""

    def __init__(self, vault: Vault, clock: ManualClock) -> None:
        self.tokens = Tokens(OLD)
        self.broker = MemoryBroker(ack_wait=60)
        self.transport = MemoryTransport(self.broker, publish_timeout=0.01)
        self.agenda, self.counters = Agenda(), Counters()
        keyring = Keyring(self.tokens, vault, inline, clock)
        self.intake = Intake(self.transport, self.tokens, clock, self.agenda, self.counters, 100, keyring)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(90):
            while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0.001)


@asynccontextmanager
async def at_work(vault: Vault, clock: ManualClock | None = None) -> AsyncIterator[Desk]:
    desk = Desk(vault, clock or ManualClock())
    await desk.intake.listen(frozenset({partition_of(SAGA)}))
    try:
        yield desk
    finally:
        await desk.intake.close()
        await desk.transport.close()


async def test_a_reply_that_names_a_new_key_makes_the_keys_be_read_anew_and_counts() -> None:
    async with at_work(vault := Vault(NEW)) as desk:
        await desk.transport.publish([signed(Tokens(NEW))])
        await desk.until(lambda: len(desk.agenda) == 1)
        assert (desk.counters.forged, desk.counters.replies, vault.read) == (0, 1, 1)
        assert desk.tokens.make("key", "payment").startswith("2.")


async def test_a_reply_signed_with_a_retired_key_is_dropped_and_counted_as_such() -> None:
    async with at_work(Vault({"2": b"new"})) as desk:
        desk.tokens.exchange({"2": b"new"})
        await desk.transport.publish([signed(Tokens(OLD))])
        await desk.until(lambda: desk.counters.forged == 1)
        await desk.until(lambda: not desk.broker.unsettled)
        assert desk.counters.forgeries == {"unknown_key": 1}
        assert len(desk.agenda) == 0


async def test_made_up_key_ids_do_not_keep_the_store_busy() -> None:
    async with at_work(vault := Vault(OLD)) as desk:
        await desk.transport.publish([signed(Tokens({"x": b"?"}), "first")])
        await desk.until(lambda: desk.counters.forged == 1)
        for number in range(50):
            await desk.transport.publish([signed(Tokens({f"x{number}": b"?"}), f"s{number}")])
        await desk.until(lambda: desk.counters.replies >= 51)
        assert vault.read == 1


async def test_while_the_store_is_away_a_reply_of_an_unknown_key_stays_with_the_broker() -> None:
    vault, clock = Vault(NEW), ManualClock()
    vault.away = True
    async with at_work(vault, clock) as desk:
        await desk.transport.publish([signed(Tokens(NEW))])
        await desk.until(lambda: vault.read == 1)
        assert desk.broker.unsettled
        vault.away = False
        clock.time += 2_000_000
        await desk.until(lambda: len(desk.agenda) == 1)
        assert desk.counters.forged == 0


async def test_the_keys_are_followed_while_nothing_happens() -> None:
    vault, slept = Vault(OLD), asyncio.Event()
    tokens = Tokens(OLD)

    class Sleeper(ManualClock):
        async def sleep(self, seconds: float) -> None:
            assert seconds == INTERVAL_S
            slept.set()
            await asyncio.sleep(0)

    keeping = asyncio.create_task(Keyring(tokens, vault, inline, Sleeper()).keep())
    await slept.wait()
    vault.keys = NEW
    async with asyncio.timeout(90):
        while not tokens.make("key", "payment").startswith("2."):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
    vault.keys = {"2": b"new"}
    async with asyncio.timeout(90):
        while tokens.fault(Tokens(OLD).make("key", "payment"), "key", "payment") is None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


def test_what_was_made_with_a_key_is_refused_once_it_is_retired_even_by_who_made_it() -> None:
    tokens = Tokens(OLD)
    made = tokens.make("key", "payment")
    tokens.exchange(NEW)
    assert tokens.fault(made, "key", "payment") is None
    tokens.exchange({"2": b"new"})
    assert tokens.fault(made, "key", "payment") is TokenFault.UNKNOWN_KEY
    assert tokens.fault("", "key", "payment") is TokenFault.NO_TOKEN
