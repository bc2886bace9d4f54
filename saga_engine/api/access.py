"""Who may call: whoever brings one of the tokens; without tokens only this machine, and no page of a browser.

Owns that check and the refusal to listen where it would not hold. Tokens are compared in constant time, never shown.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from saga_engine.api.exchange import exchange_of
from saga_engine.api.problems import Problem
from saga_engine.errors import UsageError
from saga_engine.exposure import is_local
from saga_engine.settings.settled import Settings

HEALTH: Final = "/health"
"""Asked without a token: it says nothing of any saga."""

_SCHEME: Final = "bearer "


def refuse_exposure(settings: Settings) -> None:
    """Let nobody else in, or read along, by accident.

    Raises:
        UsageError: beyond loopback without a token, or in plain text without `insecure`.
    """
    api = settings.api
    if is_local(api.listen.host):
        return
    where = f"api.listen: {api.listen}"
    if not api.tokens:
        raise UsageError(
            f"{where}: anybody could start and cancel sagas there; set a token, as in "
            "SAGA_API__TOKENS__OPS=$(openssl rand -hex 32), or listen on 127.0.0.1"
        )
    if api.certificate is None and not settings.insecure:
        raise UsageError(
            f"{where}: tokens and data would travel in plain text; set api.certificate and api.key, or, behind a proxy "
            "that speaks TLS, allow it with --insecure, SAGA_INSECURE=true or `insecure: true`"
        )


class Access:
    """Lets requests through that may be made, by the name of their token; answers the others itself."""

    def __init__(self, app: ASGIApp, tokens: Mapping[str, str]) -> None:
        self._app = app
        # Digests have one length: comparing them tells nothing of a token's.
        self._digests = {name: sha256(token.encode()).digest() for name, token in tokens.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != HEALTH:
            admitted = self._admitted(Headers(scope=scope))
            if isinstance(admitted, Problem):
                await admitted.response()(scope, receive, send)
                return
            exchange_of(scope).admit(admitted)
        await self._app(scope, receive, send)

    def _admitted(self, headers: Headers) -> str | Problem | None:
        if not self._digests:
            return _from_here(headers)
        given = headers.getlist("authorization")
        text = given[0] if len(given) == 1 else ""
        token = text[len(_SCHEME) :] if text.lower().startswith(_SCHEME) else ""
        digest = sha256(token.encode("latin-1", "replace")).digest()
        fitting = [name for name, known in self._digests.items() if hmac.compare_digest(digest, known)]
        if fitting:
            return fitting[0]
        said = "expected the header `Authorization: Bearer TOKEN` with a token of this API"
        return Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", said, headers={"WWW-Authenticate": "Bearer"})


def _from_here(headers: Headers) -> Problem | None:
    """Without tokens, a name that resolves to this machine by somebody's trick must not be taken for it."""
    if _is_here(headers.get("host", "")):
        return None
    return Problem(
        HTTPStatus.MISDIRECTED_REQUEST,
        "host",
        "without tokens this API answers only what is asked of localhost or 127.0.0.1",
    )


def _is_here(host: str) -> bool:
    try:
        return is_local(urlsplit(f"//{host}").hostname or ".")
    except ValueError:  # An address that begins like one of IPv6, and is none.
        return False
