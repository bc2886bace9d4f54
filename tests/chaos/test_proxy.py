"""The proxy misbehaves as it is told, and passes on every byte in order when it is well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.chaos.faults import NETWORK_FAULTS
from tests.chaos.proxy import HOST, SOUND, Behaviour, Link

PATIENCE_S = 90.0
BRIEFLY_S = 0.2


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    """A link in front of a server that says everything back."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1024):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, HOST, 0)
    link = Link("test", server.sockets[0].getsockname()[1])
    await link.open()
    yield link
    await link.close()
    server.close()


class Caller:
    """A client of the link."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, link: Link) -> Caller:
        return cls(*await asyncio.open_connection(HOST, link.port))

    async def echo(self, text: bytes) -> bytes:
        self._writer.write(text)
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.readexactly(len(text))

    def say(self, text: bytes) -> None:
        self._writer.write(text)

    async def is_silent(self, text: bytes) -> bool:
        """Whether nothing comes back for a while."""
        self._writer.write(text)
        try:
            async with asyncio.timeout(BRIEFLY_S):
                await self._reader.readexactly(1)
        except TimeoutError:
            return True
        return False

    async def rest(self, count: int) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.readexactly(count)

    def close(self) -> None:
        self._writer.close()


@pytest.mark.parametrize(
    "behaviour",
    [SOUND, Behaviour(delay=0.01), Behaviour(slices=1), Behaviour(rate=100_000)],
    ids=["sound", "delayed", "sliced", "slow"],
)
async def test_every_byte_arrives_in_order(link: Link, behaviour: Behaviour) -> None:
    link.behave(behaviour)
    caller = await Caller.connect(link)
    text = bytes(range(256)) * 8
    assert await caller.echo(text) == text
    caller.close()


@pytest.mark.parametrize("behaviour", [Behaviour(frozen_up=True), Behaviour(frozen_down=True)], ids=["up", "down"])
async def test_what_a_frozen_direction_held_arrives_when_it_is_healed(link: Link, behaviour: Behaviour) -> None:
    caller = await Caller.connect(link)
    assert await caller.echo(b"before") == b"before"
    link.behave(behaviour)
    assert await caller.is_silent(b"held")
    link.behave(SOUND)
    assert await caller.rest(4) == b"held"
    caller.close()


async def test_a_connection_that_lost_bytes_never_works_again_while_new_ones_do(link: Link) -> None:
    caller = await Caller.connect(link)
    assert await caller.echo(b"before") == b"before"
    link.behave(Behaviour(swallow_up=True))
    assert await caller.is_silent(b"lost")
    link.behave(SOUND)
    assert link.swallowing == 1
    assert await caller.is_silent(b"lost too")
    other = await Caller.connect(link)
    assert await other.echo(b"after") == b"after"
    caller.close()
    other.close()


async def test_a_cut_resets_both_sides_and_refusing_lets_nobody_in(link: Link) -> None:
    caller = await Caller.connect(link)
    assert await caller.echo(b"before") == b"before"
    link.behave(Behaviour(refuse=True))
    link.cut()
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await caller.echo(b"after")
    refused = await Caller.connect(link)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await refused.echo(b"in")
    link.behave(SOUND)
    other = await Caller.connect(link)
    assert await other.echo(b"healed") == b"healed"
    for each in (caller, refused, other):
        each.close()


@pytest.mark.parametrize("behaviour", NETWORK_FAULTS.values(), ids=NETWORK_FAULTS)
async def test_misbehaviour_counts_as_suffered_only_when_somebody_meets_it(link: Link, behaviour: Behaviour) -> None:
    link.behave(behaviour)
    link.cut()
    assert link.suffered == 0
    caller = await Caller.connect(link)
    caller.say(b"anything")
    async with asyncio.timeout(PATIENCE_S):
        while link.suffered == 0:  # noqa: ASYNC110 - the proxy has no event for it
            await asyncio.sleep(BRIEFLY_S / 10)
    caller.close()


async def test_nobody_suffers_from_a_sound_link(link: Link) -> None:
    caller = await Caller.connect(link)
    assert await caller.echo(b"fine") == b"fine"
    assert link.suffered == 0
    caller.close()
