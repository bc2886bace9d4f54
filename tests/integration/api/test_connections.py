"""Connections that keep the HTTP API waiting, or speak what is no HTTP, are ended."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

import pytest

from saga_engine.api import bodies
from saga_engine.api.app import application
from saga_engine.api.connection import Connection
from saga_engine.api.counters import ApiCounters
from saga_engine.api.serving import server
from saga_engine.bootstrap.desk import Desk
from saga_engine.orchestrator.starting import Started
from tests.integration.api.conftest import LIMIT_S, until

HEAD = b"Host: localhost\r\nContent-Type: application/json\r\n"
START = b'{"saga": "trip", "input": {"trip": "t-1"}}'


class Unfinished(Connection):
    head_s = 0.2


class Untaken(Connection):
    take_s = 0.2


@asynccontextmanager
async def listening(desk: Desk, connection: type[Connection] = Connection) -> AsyncIterator[int]:
    """The API on a port of this machine, with such connections."""
    running = server(application(desk, ApiCounters()), desk.settings, connection)
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        serving = asyncio.create_task(running.serve(sockets=[taken]))
        try:
            async with asyncio.timeout(LIMIT_S):
                yield taken.getsockname()[1]
        finally:
            running.should_exit = True
            await serving


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def said(port: int, request: bytes) -> str:
    """All that is answered, until the other side ends the connection."""
    async with connected(port) as (reader, writer):
        writer.write(request)
        return (await reader.read()).decode()


async def until_cut_off(reader: asyncio.StreamReader) -> None:
    """Until the connection is ended, in whatever way."""
    with suppress(ConnectionResetError):
        while await reader.read(65_536):
            pass


UNFINISHED = (
    b"",
    b"GET /api/sagas HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    # Begun behind a request that was answered; and one whose body never ends, which was answered without it.
    b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health HTT",
    b"PUT /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
)


async def test_who_does_not_finish_a_request_is_cut_off(desk: Desk) -> None:
    async def begin(begun: bytes) -> None:
        async with connected(port) as (reader, writer):
            writer.write(begun)
            await until_cut_off(reader)

    async with listening(desk, Unfinished) as port:
        await asyncio.gather(*map(begin, UNFINISHED))


async def test_who_does_not_take_an_answer_is_cut_off_and_nobody_follows_any_more(desk: Desk) -> None:
    started = await desk.ask(lambda client: client.start("trip", {"trip": "t-1", "words": "w" * 250_000}))
    assert isinstance(started, Started)
    counters = ApiCounters()
    running = server(application(desk, counters), desk.settings, Untaken)
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        # What is not read stays with the sender: little of it fits into the buffers of the system.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        serving = asyncio.create_task(running.serve(sockets=[taken]))
        with closing(socket.socket()) as idle:
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            idle.setblocking(False)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(LIMIT_S):
                await loop.sock_connect(idle, taken.getsockname())
                path = f"/api/sagas/{started.saga_id}/events"
                await loop.sock_sendall(idle, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                await until(lambda: bool(counters.followers))
                await until(lambda: not counters.followers)
        running.should_exit = True
        await serving


NO_HTTP = (
    b"\x00\x01\x02\r\n\r\n",
    b"GET /api/sagas HTTP/1.1\r\n\r\n",
    b"GET /api/sagas HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    b"GET /" + b"x" * 20_000,
    b"GET /api/sagas HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000,
    b"POST /api/sagas HTTP/1.1\r\n" + HEAD + b"Content-Length: -1\r\n\r\n{}",
    b"POST /api/sagas HTTP/1.1\r\n" + HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"POST /api/sagas HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: gzip\r\n\r\n{}",
)


async def test_what_is_no_http_is_a_bad_request(desk: Desk) -> None:
    async with listening(desk) as port:
        for request in NO_HTTP:
            assert " 400 " in (await said(port, request)).partition("\r\n")[0]


async def test_a_body_may_come_in_chunks_without_a_length(desk: Desk) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (START[:9], START[9:])) + b"0\r\n\r\n"
    head = b"POST /api/sagas HTTP/1.1\r\n" + HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with listening(desk) as port:
        assert " 201 " in (await said(port, head + chunks)).partition("\r\n")[0]


async def test_a_body_that_does_not_come_is_told_to_be_too_slow(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_S", 0.2)
    head = b"POST /api/sagas HTTP/1.1\r\n" + HEAD + b"Connection: close\r\nContent-Length: 9\r\n\r\n{"
    async with listening(desk) as port:
        assert "problem:too_slow" in await said(port, head)


async def test_a_body_that_was_announced_to_be_huge_is_refused_before_it_comes_whole(desk: Desk) -> None:
    head = b"POST /api/sagas HTTP/1.1\r\n" + HEAD + b"Content-Length: 1000000000000\r\n\r\n"
    async with listening(desk) as port, connected(port) as (reader, writer):
        writer.write(head + b" " * (bodies.BODY_BYTES + 1))
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        await reader.readuntil(b"problem:too_large")
