"""Bodies of requests: bounded in bytes and seconds, strict JSON, and fit for a model.

Owns those limits. Knows nothing of what bodies mean.
"""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from saga_engine.api.problems import Problem
from saga_engine.definition.inputs import MAX_TEXT, InputRejected, parse_json

M = TypeVar("M", bound=BaseModel)

BODY_BYTES: Final = MAX_TEXT
BODY_S: Final = 10.0
"""To send a body."""


async def body(request: Request, model: type[M], *, empty: bool = False) -> M:
    """The body of a request as that model. `empty`: none at all is an empty object.

    Raises:
        Problem: it is too long or too slow, no JSON, or does not fit; every mistake is told with its place.
    """
    raw = await _bytes(request)
    if not raw and empty:
        raw = b"{}"
    elif not re.fullmatch(r"application/(json|[\w.+-]+\+json)\s*(;.*)?", request.headers.get("content-type", ""), re.I):
        # Also what keeps other sites' forms away: a browser asks before it sends JSON elsewhere.
        said = "expected the header `Content-Type: application/json`"
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media_type", said)
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        said = "expected the body as it is, without Content-Encoding"
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media_type", said)
    value = parse_json(raw)
    if isinstance(value, InputRejected):
        errors = [{"at": problem.json_path, "message": problem.message} for problem in value.problems]
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed", str(value), {"errors": errors})
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise misfit(error) from None


def misfit(error: ValidationError) -> Problem:
    """What does not fit, each with its place."""
    errors = [
        {"at": ".".join(str(part) for part in one["loc"]) or "$", "message": one["msg"].removeprefix("Value error, ")}
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    said = "; ".join(f"{one['at']}: {one['message']}" for one in errors)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", said, {"errors": errors})


async def _bytes(request: Request) -> bytes:
    received = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                received += chunk
                if len(received) > BODY_BYTES:
                    raise Problem(
                        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"a body has at most {BODY_BYTES:,} bytes"
                    )
    except TimeoutError:
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "too_slow", f"a body is sent within {BODY_S:.0f} s") from None
    except ClientDisconnect:
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed", "the body was cut off") from None
    return bytes(received)
