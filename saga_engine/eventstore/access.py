"""Who may call: whoever brings the token, where one is set. Compared in constant time, never shown."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NoReturn, TypeVar

import grpc
from grpc.aio import ServerInterceptor, ServicerContext

TRequest = TypeVar("TRequest")
TResponse = TypeVar("TResponse")

_SCHEME: Final = "bearer "
_REFUSED: Final = "expected the metadata `authorization: Bearer TOKEN` with the token of this event store"


class TokenCheck(ServerInterceptor):
    """Lets calls with the token through, and answers all others UNAUTHENTICATED."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[TRequest, TResponse] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[TRequest, TResponse] | None:
        given = [value for name, value in handler_call_details.invocation_metadata or () if name == "authorization"]
        if self._fits(given):
            return await continuation(handler_call_details)
        return grpc.unary_unary_rpc_method_handler(_refuse)

    def _fits(self, given: Sequence[str | bytes]) -> bool:
        value = given[0] if len(given) == 1 else ""
        text = value if isinstance(value, str) else ""
        token = text[len(_SCHEME) :].encode() if text.lower().startswith(_SCHEME) else b""
        return hmac.compare_digest(token, self._token)


async def _refuse(_request: object, context: ServicerContext[object, object]) -> NoReturn:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, _REFUSED)
    raise AssertionError("abort always raises")
