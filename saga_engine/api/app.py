"""The ASGI application: the engine's operations and the project's, its document, and what stands around every request.

Owns the order of those. Knows no server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from saga_engine.api import sagas, verbs
from saga_engine.api.access import HEALTH, Access
from saga_engine.api.counters import ApiCounters
from saga_engine.api.exchange import exchange_of
from saga_engine.api.observing import Observed, Traced
from saga_engine.api.openapi import document
from saga_engine.api.operation import Operation, routes
from saga_engine.api.problems import DOCUMENT, Problem, answer_problem
from saga_engine.bootstrap.desk import Desk
from saga_engine.errors import SagaEngineError

INDEX: Final = ("/", "/api")
"""Where a person looks first."""
VERSION: Final = "1"
"""Of the API's form, which is not the engine's."""

ENGINE: Final[Sequence[Operation]] = (*sagas.OPERATIONS, *verbs.OPERATIONS)
"""The engine's own operations."""


def application(desk: Desk, counters: ApiCounters, project: Sequence[Operation] = ()) -> Starlette:
    """The application over a desk. `project`: the operations that the project adds."""
    operations = (*ENGINE, *project)
    described = document(operations, "saga-engine", VERSION)

    async def openapi(request: Request) -> Response:
        exchange_of(request.scope).asks("openapi", DOCUMENT)
        return JSONResponse(described)

    async def index(request: Request) -> Response:
        exchange_of(request.scope).asks("index", INDEX[-1])
        return JSONResponse({"document": DOCUMENT, "sagas": "/api/sagas", "health": HEALTH})

    async def health(request: Request) -> Response:
        exchange_of(request.scope).asks("health", HEALTH)
        return PlainTextResponse("ok\n")

    tokens = {name: token.get_secret_value() for name, token in desk.settings.api.tokens.items()}
    handled: tuple[type[Exception], ...] = (Problem, SagaEngineError, HTTPException)
    answering: Callable[[Request, Exception], Awaitable[Response]] = answer_problem
    return Starlette(
        routes=[
            *(Route(path, index) for path in INDEX),
            Route(HEALTH, health),
            Route(DOCUMENT, openapi),
            *routes(desk, operations),
        ],
        middleware=[
            Middleware(Observed, counters=counters),
            Middleware(Access, tokens=tokens),
            Middleware(Traced, tracing=desk.tracing),
        ],
        exception_handlers=dict.fromkeys(handled, answering),
    )
