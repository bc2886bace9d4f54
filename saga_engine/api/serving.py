"""Serves the HTTP API by uvicorn until it is asked to stop: what is under way is finished, followers are let go.

Owns the server's limits. Knows no operation.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.applications import Starlette

from saga_engine.api.access import refuse_exposure
from saga_engine.api.app import ENGINE, application
from saga_engine.api.connection import Connection
from saga_engine.api.counters import ApiCounters
from saga_engine.api.problems import DOCUMENT
from saga_engine.api.project import project_operations
from saga_engine.bootstrap.desk import at_hand
from saga_engine.bootstrap.projections import chosen, set_up_embedded
from saga_engine.bootstrap.telling import tell_of_api, telling
from saga_engine.bootstrap.tracing import tracing
from saga_engine.errors import UsageError
from saga_engine.settings.settled import Settings
from saga_engine.settings.values import Listening
from saga_engine.tasks import end_tasks

HEAD_BYTES: Final = 16 * 1024
MOST_AT_ONCE: Final = 1_000
"""Connections; one more is answered 503."""
FINISH_S: Final = 10


class Server(uvicorn.Server):
    """Signals are the command line's."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def serve_api(settings: Settings, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Serve until `stop` is set. `ready` is told the address once it is served.

    Raises:
        UsageError: the settings let others in by accident, the address is taken, or the project's `api` is wrong.
        UnavailableError: the store was not there within half a minute.
    """
    refuse_exposure(settings)
    project = project_operations(settings.root, ENGINE)
    if project:
        # What they read need not wait for the first `saga run`.
        await asyncio.to_thread(set_up_embedded, settings, chosen(settings, None))
    counters = ApiCounters()
    async with telling(settings) as tell, at_hand(settings, tracing()) as desk:
        looks = None if tell is None else tell_of_api(tell, desk.store, counters)
        uvicorn_server = server(application(desk, counters, project), settings)
        listening = _bound(settings.api.listen)
        serving = asyncio.create_task(uvicorn_server.serve(sockets=[listening]))
        asked = asyncio.create_task(stop.wait())
        try:
            ready(_ready_line(settings, listening.getsockname()[1]))
            await asyncio.wait((serving, asked), return_when=asyncio.FIRST_COMPLETED)
            desk.following.end()
            uvicorn_server.should_exit = True
            await serving
        finally:
            listening.close()
            await end_tasks([serving, asked])
            if looks is not None:
                looks.close()


def server(app: Starlette, settings: Settings, connection: type[Connection] = Connection) -> Server:
    """uvicorn with our limits, to be run on a socket that listens."""
    api = settings.api
    return Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            ws="none",
            http=connection,
            h11_max_incomplete_event_size=HEAD_BYTES,
            limit_concurrency=MOST_AT_ONCE,
            timeout_graceful_shutdown=FINISH_S,
            ssl_certfile=None if api.certificate is None else str(api.certificate),
            ssl_keyfile=None if api.key is None else str(api.key),
        )
    )


def _bound(listen: Listening) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        return socket.create_server((listen.host, listen.port), family=family)
    except OSError as error:
        raise UsageError(f"api.listen: {listen}: cannot be listened on: {error.strerror}; choose another") from None


def _ready_line(settings: Settings, port: int) -> str:
    api = settings.api
    scheme = "http" if api.certificate is None else "https"
    who = "without a token, from this machine" if not api.tokens else f"with a token ({', '.join(api.tokens)})"
    return (
        f"Serving {scheme}://{Listening(api.listen.host, port)}/api {who}; {DOCUMENT} describes it. Stop with Ctrl-C."
    )
