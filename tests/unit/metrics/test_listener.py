"""The listener: what it answers, and that nobody who asks too much, too slowly or too often holds anything up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

import pytest

from saga_engine.metrics import listener as listening
from saga_engine.metrics.listener import HEAD_BYTES, MOST_AT_ONCE, Listener, Page
from saga_engine.tasks import end_tasks

PATIENCE_S = 90.0
SMALL = 4096


async def page() -> Page:
    return Page(HTTPStatus.OK, "text/plain", b"the page")


async def long_page() -> Page:
    """More than small buffers of the kernel take, and less than asyncio keeps before it wants to be drained."""
    return Page(HTTPStatus.OK, "text/plain", b"x" * 60_000)


async def broken() -> Page:
    raise RuntimeError("secret")


@asynccontextmanager
async def served(port: int = 0, request_s: float = PATIENCE_S) -> AsyncIterator[Listener]:
    listener = Listener("127.0.0.1", port, {"/page": page, "/long": long_page, "/broken": broken}, request_s)
    task = asyncio.create_task(listener.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await listener.listening.wait()
            yield listener
    finally:
        await end_tasks([task])


async def asked(listener: Listener, request: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(request.encode())
    try:
        answer = await reader.read()
    except ConnectionResetError:
        answer = b""
    writer.close()
    with suppress(ConnectionResetError):
        await writer.wait_closed()
    return answer.decode()


async def ask_and_not_read(client: socket.socket, listener: Listener) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", listener.port))
    await asyncio.get_running_loop().sock_sendall(client, b"GET /long HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /page HTTP/1.1", 200),
        ("GET /page?query=1 HTTP/1.0", 200),
        ("GET / HTTP/1.1", 404),
        ("GET /page/ HTTP/1.1", 404),
        ("POST /page HTTP/1.1", 405),
        ("DELETE /page HTTP/1.1", 405),
        ("GET /page", 400),
        ("GET /page HTTP/2", 400),
        ("\x00\x01\x02", 400),
        ("GET /broken HTTP/1.1", 500),
    ],
)
async def test_each_request_has_its_answer(request_line: str, status: int) -> None:
    async with served() as listener:
        answer = await asked(listener, f"{request_line}\r\nHost: here\r\n\r\n")
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert "secret" not in answer
    assert ("Allow: GET, HEAD" in answer) == (status == 405)


async def test_head_has_the_length_and_no_body() -> None:
    async with served() as listener:
        answer = await asked(listener, "HEAD /page HTTP/1.1\r\n\r\n")
    assert "Content-Length: 8\r\n" in answer
    assert answer.endswith("\r\n\r\n")


async def test_a_head_that_is_too_long_is_refused() -> None:
    async with served() as listener:
        answer = await asked(listener, f"GET /page HTTP/1.1\r\nX: {'x' * HEAD_BYTES}")
    assert answer.startswith("HTTP/1.1 431 ")


async def test_whoever_asks_too_slowly_is_cut_off_without_an_answer() -> None:
    async with served(request_s=0.1) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET /page HT")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        answer = ""
        while not answer:  # this machine, too, may be too slow for once
            answer = await asked(listener, "GET /page HTTP/1.1\r\n\r\n")
        assert answer.startswith("HTTP/1.1 200 ")


async def test_whoever_does_not_take_the_answer_is_cut_off_and_holds_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    start_server = asyncio.start_server

    async def with_small_buffers(*args: Any, **options: Any) -> asyncio.Server:
        server = await start_server(*args, **options)
        for listened in server.sockets:
            listened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        return server

    monkeypatch.setattr(asyncio, "start_server", with_small_buffers)
    async with served(request_s=0.1) as listener:
        with ExitStack() as open_until_then:
            for _ in range(MOST_AT_ONCE):
                await ask_and_not_read(open_until_then.enter_context(socket.socket()), listener)
            answer = ""
            while not answer:
                answer = await asked(listener, "GET /page HTTP/1.1\r\n\r\n")


async def test_one_connection_too_many_is_cut_off_and_those_before_are_served() -> None:
    async with served() as listener:
        waiting = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(MOST_AT_ONCE)]
        assert await asked(listener, "GET /page HTTP/1.1\r\n\r\n") == ""
        for reader, writer in waiting:
            writer.write(b"GET /page HTTP/1.1\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            writer.close()
            await writer.wait_closed()


async def test_a_port_that_is_taken_is_tried_again_until_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_BIND_AGAIN_S", 0.01)
    async with served() as first:
        second = Listener("127.0.0.1", first.port, {"/page": page})
        task = asyncio.create_task(second.run())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(second.listening.wait(), 0.1)
    async with asyncio.timeout(PATIENCE_S):
        await second.listening.wait()
    assert (await asked(second, "GET /page HTTP/1.1\r\n\r\n")).startswith("HTTP/1.1 200 ")
    await end_tasks([task])
