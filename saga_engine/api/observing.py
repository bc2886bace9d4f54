"""Around every request: it is counted, logged and, where traces are exported, given a span; a defect is answered.

Owns what is told of a request, which is never what it holds. Who may call is `access`'.
"""

from __future__ import annotations

import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import clear_contextvars

from saga_engine.api.counters import ApiCounters
from saga_engine.api.exchange import Exchange, exchange_of, keep
from saga_engine.api.problems import DEFECT
from saga_engine.trace_context import valid_traceparent
from saga_engine.wire.headers import TRACEPARENT

if TYPE_CHECKING:
    from saga_engine.tracing import Tracing

_READS: Final = frozenset({"GET", "HEAD"})

_METHOD_SHOWN: Final = 20
"""Characters: it is the caller's to make up."""

_log = structlog.get_logger(__name__)


class Observed:
    """Counts and logs what is answered, and answers what failed for a reason that nobody expected."""

    def __init__(self, app: ASGIApp, counters: ApiCounters) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A connection's callbacks may run in the context of its request before (python/cpython#140947).
        clear_contextvars()
        exchange = Exchange(scope["method"], self._counters)
        keep(scope, exchange)
        began = time.monotonic_ns()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = int(message["status"])
                self._counters.count(exchange.operation, message["status"], (time.monotonic_ns() - began) // 1_000)
            await send(message)

        self._counters.open += 1
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            _log.error("a request failed", exc_info=error)
            if exchange.status is not None:
                raise  # Half an answer is sent: only the server can still end it, by cutting it off.
            await DEFECT.response()(scope, receive, sending)
        finally:
            self._counters.open -= 1
            _tell(exchange, (time.monotonic_ns() - began) // 1_000_000)


class Traced:
    """Gives requests a span, on the trace of their caller: those that may be made, so that no stranger fills a trace.

    Where nothing is exported, the caller's trace context is passed on as it is.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing | None) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope) if scope["type"] == "http" else None
        if exchange is None or not exchange.admitted:
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).getlist(TRACEPARENT)
        # More than one is none, as W3C Trace Context has it.
        parent = valid_traceparent(given[0]) if len(given) == 1 else None
        if self._tracing is None:
            exchange.goes_on_from(parent)
            await self._app(scope, receive, send)
            return
        span = self._tracing.serving(exchange.method, parent)
        exchange.goes_on_from(self._tracing.context_of(span))
        failed = False
        try:
            with self._tracing.within(exchange.traceparent):
                await self._app(scope, receive, send)
        except Exception:
            failed = True
            raise
        finally:
            # What failed is answered by `Observed`, around us.
            status = HTTPStatus.INTERNAL_SERVER_ERROR if failed and exchange.status is None else exchange.status
            self._tracing.served(span, exchange.method, exchange.path, status, exchange.saga_id)


def _tell(exchange: Exchange, milliseconds: int) -> None:
    """What was done, or refused, is worth a line; what was only looked at is not."""
    refused = exchange.status is None or exchange.status >= HTTPStatus.BAD_REQUEST
    level = logging.INFO if refused or exchange.method not in _READS else logging.DEBUG
    method = exchange.method[:_METHOD_SHOWN]
    _log.log(level, "a request was answered", method=method, status=exchange.status, ms=milliseconds)
