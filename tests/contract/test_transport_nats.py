"""The contracts of transport and dead letters on a real nats-server, which is killed and wiped for real."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.transport import NatsTransport, connect
from saga_engine.testing.dead_letters_contract import DeadLettersContract, Desk
from saga_engine.testing.transport_contract import TransportContract
from saga_engine.testing.transport_harness import DEADLINE
from tests.nats_fixtures import NatsServer


class NatsHarness:
    ack_wait = 0.5
    publish_timeout = 0.5
    max_payload = 100_000

    def __init__(self, server: NatsServer) -> None:
        self._server = server
        self._transports: list[NatsTransport] = []

    async def connect(self, *, patient: bool = False, ack_wait: float | None = None) -> NatsTransport:
        settings = NatsSettings(
            servers=(self._server.url,),
            ack_wait=DEADLINE if patient else ack_wait or self.ack_wait,
            publish_timeout=DEADLINE if patient else self.publish_timeout,
            check_interval=0.2,
            least_payload=self.max_payload,
        )
        transport = await connect(settings, wait=DEADLINE)
        self._transports.append(transport)
        return transport

    async def stop(self) -> None:
        self._server.kill()

    async def start(self) -> None:
        self._server.start()

    async def wipe(self) -> None:
        self._server.wipe()

    async def close(self) -> None:
        for transport in self._transports:
            await transport.close()


@asynccontextmanager
async def own_server(directory: Path) -> AsyncIterator[NatsHarness]:
    server = NatsServer(directory, f"max_payload: {NatsHarness.max_payload}\n")
    server.start()
    harness = NatsHarness(server)
    yield harness
    await harness.close()
    server.kill()


class TestNatsTransport(TransportContract):
    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[NatsHarness]:
        async with own_server(tmp_path) as harness:
            yield harness


class TestNatsDeadLetters(DeadLettersContract):
    @pytest.fixture
    async def desk(self, tmp_path: Path) -> AsyncIterator[Desk]:
        async with own_server(tmp_path) as harness:
            transport = await harness.connect(patient=True)
            yield Desk(harness, transport, transport.dead_letters())
