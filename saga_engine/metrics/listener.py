"""A small HTTP server for `GET /metrics`, `/health` and `/ready`: whoever asks too much, or too slowly, is cut off.

Owns the protocol and its limits. Knows nothing of what the pages say. No request can hold up the engine: each is
bounded in bytes and seconds, and so is their number at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias

import structlog

from saga_engine.tasks import end_tasks

HEAD_BYTES: Final = 8 * 1024
"""Of a request, whose body is not read."""
REQUEST_S: Final = 5.0
"""To send a request, and to take the answer."""
MOST_AT_ONCE: Final = 16
"""Connections; one more is cut off."""
_BIND_AGAIN_S: Final = 5.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    status: HTTPStatus
    content_type: str
    body: bytes


Pages: TypeAlias = Mapping[str, Callable[[], Awaitable[Page]]]
"""By path: what makes the page."""


class Listener:
    """Serves `pages` on `host` and `port`, 0 for a free one. Where the port is taken it is tried again: see `run`."""

    def __init__(self, host: str, port: int, pages: Pages, request_s: float = REQUEST_S) -> None:
        self._host = host
        self._port = port
        self._pages = pages
        self._request_s = request_s
        self._serving: set[asyncio.Task[None]] = set()
        self.listening = asyncio.Event()
        self.port = port

    async def run(self) -> None:
        """Serve until cancelled. That nobody can listen is logged once and tried again: it must not stop the engine."""
        told = False
        while True:
            try:
                server = await asyncio.start_server(self._accept, self._host, self._port, limit=HEAD_BYTES)
            except OSError as error:
                if not told:
                    _log.error(
                        "metrics cannot be served; trying again. Give each process of a machine a port of its own",
                        address=f"{self._host}:{self._port}",
                        error=error.strerror or type(error).__name__,
                    )
                told = True
                await asyncio.sleep(_BIND_AGAIN_S)
                continue
            try:
                async with server:
                    self.port = server.sockets[0].getsockname()[1]
                    self.listening.set()
                    _log.info("metrics are served", url=f"http://{self._host}:{self.port}/metrics")
                    await server.serve_forever()
            finally:
                await end_tasks(self._serving)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._serving) >= MOST_AT_ONCE:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # Who asked has gone, or takes too long: nobody is left to be told.
            with suppress(TimeoutError, OSError, asyncio.IncompleteReadError):
                async with asyncio.timeout(self._request_s):
                    page, head_only = await self._answer(reader)
                    _write(writer, page, head_only)
                    writer.close()
                    # Until all is written out: who does not read what was asked for holds the connection no longer.
                    await writer.wait_closed()
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[Page, bool]:
        """The page that is asked for, and whether only its head is."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"at most {HEAD_BYTES} bytes"), False
        parts = head.decode("latin-1").partition("\r\n")[0].split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            return _plain(HTTPStatus.BAD_REQUEST, "not a request of HTTP/1"), False
        method, target, _ = parts
        if method not in ("GET", "HEAD"):
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, "GET and HEAD only"), False
        make = self._pages.get(target.partition("?")[0])
        if make is None:
            return _plain(HTTPStatus.NOT_FOUND, f"there are: {', '.join(self._pages)}"), method == "HEAD"
        try:
            return await make(), method == "HEAD"
        except Exception:  # noqa: BLE001 - a defect in what is told must not end what works
            _log.exception("a page could not be made", path=target.partition("?")[0])
            return _plain(HTTPStatus.INTERNAL_SERVER_ERROR, "see the log"), method == "HEAD"


def _plain(status: HTTPStatus, text: str) -> Page:
    return Page(status, "text/plain; charset=utf-8", f"{text}\n".encode())


def _write(writer: asyncio.StreamWriter, page: Page, head_only: bool) -> None:
    allow = "Allow: GET, HEAD\r\n" if page.status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    head = (
        f"HTTP/1.1 {page.status.value} {page.status.phrase}\r\nContent-Type: {page.content_type}\r\n"
        f"Content-Length: {len(page.body)}\r\n{allow}Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode("latin-1") + (b"" if head_only else page.body))
