"""The contracts of transport and dead letters on the memory broker."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.testing.dead_letters_contract import DeadLettersContract, Desk
from saga_engine.testing.transport_contract import TransportContract
from saga_engine.testing.transport_harness import DEADLINE


class MemoryHarness:
    ack_wait = 0.3
    publish_timeout = 0.3
    max_payload = 10_000

    def __init__(self) -> None:
        self._broker = MemoryBroker(ack_wait=self.ack_wait, max_payload=self.max_payload, check_interval=0.1)
        self._transports: list[MemoryTransport] = []

    async def connect(self, *, patient: bool = False, ack_wait: float | None = None) -> MemoryTransport:
        self._broker.ack_wait = DEADLINE if patient else ack_wait or self.ack_wait
        transport = MemoryTransport(self._broker, publish_timeout=DEADLINE if patient else self.publish_timeout)
        self._transports.append(transport)
        return transport

    async def stop(self) -> None:
        self._broker.stop()

    async def start(self) -> None:
        self._broker.start()

    async def wipe(self) -> None:
        self._broker.wipe()

    async def close(self) -> None:
        for transport in self._transports:
            await transport.close()


class TestMemoryTransport(TransportContract):
    @pytest.fixture
    async def harness(self) -> AsyncIterator[MemoryHarness]:
        harness = MemoryHarness()
        yield harness
        await harness.close()


class TestMemoryDeadLetters(DeadLettersContract):
    @pytest.fixture
    async def desk(self) -> AsyncIterator[Desk]:
        harness = MemoryHarness()
        transport = await harness.connect()
        yield Desk(harness, transport, transport.dead_letters())
        await harness.close()
