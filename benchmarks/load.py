"""The load: a closed loop that keeps so many sagas in flight, or one saga after the other.

Starts as a program of a user does: many sagas in one commit of the client, then a ring. Checks how each saga ended.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Final
from uuid import UUID

from benchmarks.engine import Engine
from benchmarks.machine import Meter, Usage
from benchmarks.watching import Watching, watching
from saga_engine.adapters.nats.transport import NatsTransport, connect
from saga_engine.bootstrap.collector import seldom_collecting
from saga_engine.bootstrap.transports import nats_settings
from saga_engine.definition.model import Json
from saga_engine.envelope import partition_of
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.starting import Started

IN_FLIGHT: Final = 1_000

_LOOK_EVERY_S: Final = 0.1
_LOOK_AT: Final = 400
"""Of those in flight, only the oldest are asked for: sagas of one form end nearly in the order of their starts.

So up to 4,000 ends a second are seen, and the looks cost less than what is looked at.
"""

_REFILL: Final = 10
"""A tenth of those in flight is started together, so that the starts are no transaction each."""

_ONE_LOOK_EVERY_S: Final = 0.002
"""With a look every half millisecond the looks took a core, and sagas half as long again."""

_PATIENCE_S: Final = 60.0
"""How long no saga may end before the run is given up."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A finished run: how many sagas, and what it cost; the load itself has the role `load`."""

    sagas: int
    usage: Usage

    @property
    def sagas_per_s(self) -> float:
        return self.sagas / self.usage.wall_s


class Load:
    """Puts load on a running engine. Made by `load_on`."""

    def __init__(self, engine: Engine, client: Client, transport: NatsTransport, eyes: Watching) -> None:
        self._engine = engine
        self._client = client
        self._transport = transport
        self._eyes = eyes

    async def run(self, saga: str, inputs: Iterator[Json], expected: str, in_flight: int = IN_FLIGHT) -> Loaded:
        """Run a saga for each input, `in_flight` at a time; RuntimeError unless each ends as `expected`."""
        # As in our services: else the cycle collector walks over the prepared inputs again and again.
        with seldom_collecting():
            return await self._run(saga, inputs, expected, in_flight)

    async def _run(self, saga: str, inputs: Iterator[Json], expected: str, in_flight: int) -> Loaded:
        statuses: Counter[str] = Counter()
        flying: dict[UUID, None] = {}
        heard = time.monotonic()
        meter = Meter(self._engine.roles, own="load")
        more = True
        while more or flying:
            room = in_flight - len(flying)
            if more and room >= max(in_flight // _REFILL, 1):
                batch = list(islice(inputs, room))
                more = len(batch) == room
                flying.update(dict.fromkeys(await self.start(saga, batch)))
            ended = await asyncio.to_thread(self._eyes.ended, list(islice(flying, _LOOK_AT)))
            for saga_id, status in ended.items():
                statuses[status] += 1
                del flying[saga_id]
            heard = time.monotonic() if ended else heard
            if time.monotonic() - heard > _PATIENCE_S:
                raise RuntimeError(f"no saga has ended for {_PATIENCE_S:.0f} s; {len(flying)} are in flight")
            await asyncio.sleep(_LOOK_EVERY_S)
        usage = meter.stop()
        if set(statuses) != {expected}:
            raise RuntimeError(f"every saga of {saga} should have ended {expected}; they ended {dict(statuses)}")
        return Loaded(statuses.total(), usage)

    async def one_by_one(self, saga: str, inputs: Iterator[Json]) -> Sequence[float]:
        """Run one saga after the other; seconds of each, from before its start until its end is seen."""
        took: list[float] = []
        for one in inputs:
            began = time.perf_counter()
            await self.ended(await self.start(saga, [one]))
            took.append(time.perf_counter() - began)
        return took

    async def ended(self, saga_ids: Sequence[UUID]) -> None:
        """Wait until one of these has ended. TimeoutError when that takes too long."""
        async with asyncio.timeout(_PATIENCE_S):
            # In this thread: nothing else waits here, and a thread would cost more than the look.
            while not self._eyes.ended(saga_ids):  # noqa: ASYNC110 - another process ends them
                await asyncio.sleep(_ONE_LOOK_EVERY_S)

    def versions(self, saga_ids: Sequence[UUID]) -> Sequence[int]:
        """How far each of these is. Blocking."""
        return [self._client.status(saga_id).version for saga_id in saga_ids]

    async def start(self, saga: str, inputs: Sequence[Json]) -> list[UUID]:
        """Start a saga for each input in one commit, and ring for them. RuntimeError for one that was refused."""
        if not inputs:
            return []
        outcomes = await asyncio.to_thread(self._client.start_many, saga, inputs)
        ids = [outcome.saga_id for outcome in outcomes if isinstance(outcome, Started)]
        if len(ids) < len(outcomes):
            refused = next(outcome for outcome in outcomes if not isinstance(outcome, Started))
            raise RuntimeError(f"a saga of {saga} was not started: {refused}")
        await self._transport.ring(sorted({partition_of(saga_id) for saga_id in ids}))
        return ids


@asynccontextmanager
async def load_on(engine: Engine) -> AsyncIterator[Load]:
    """Load for an engine, from this process."""
    client = engine.client()
    url = engine.settings.nats.url
    assert url is not None
    transport = await connect(nats_settings(engine.settings.nats, url.get_secret_value()))
    try:
        with watching(engine.url) as eyes:
            yield Load(engine, client, transport, eyes)
    finally:
        await transport.close()
        client.close()
