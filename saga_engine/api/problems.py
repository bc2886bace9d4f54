"""What went wrong, as a problem document (RFC 9457): a status, a code for programs, and words for people.

Owns which status each error has. A defect of ours says nothing of itself to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import structlog
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from saga_engine.definition.model import Json
from saga_engine.errors import NotFoundError, SagaEngineError, UnavailableError, UsageError

MEDIA_TYPE = "application/problem+json"
DOCUMENT: Final = "/api/openapi.json"
"""Where the description of the API is served."""

_UNSERVED: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
_SHOWN: Final = 200
"""Characters of what a caller sent that are said back."""

_log = structlog.get_logger(__name__)


class ProblemDocument(BaseModel):
    """A problem. `type` names its kind for ever; `detail` is for people; other members depend on the kind."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:saga-engine:problem:not_found"])
    title: str
    status: int
    detail: str


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """Ends a request with a problem document. `code`: of the kind, in lower case with underscores."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        more: Mapping[str, Json] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.more = more or {}
        self.headers = headers or {}

    def response(self) -> Response:
        """The document as it is sent."""
        document = {
            "type": f"urn:saga-engine:problem:{self.code}",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            **self.more,
        }
        return JSONResponse(document, self.status, self.headers, MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """The problem that an error is to its caller."""
    match error:
        case Problem():
            return error
        case NotFoundError():
            return Problem(HTTPStatus.NOT_FOUND, "not_found", str(error))
        case UsageError():
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", str(error))
        case UnavailableError():
            _log.warning("a request could not be served", error=str(error))
            said = "the store cannot be reached for now; the same request may be repeated"
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", said, headers={"Retry-After": "1"})
        case SagaEngineError():
            return Problem(HTTPStatus.CONFLICT, "refused", str(error))
        case HTTPException():
            status = HTTPStatus(error.status_code)
            said = f"{status.phrase}: {status.description}" if status.description else status.phrase
            return Problem(status, status.name.lower(), said, headers=error.headers)
    return DEFECT


DEFECT: Final = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "defect", "a fault in saga-engine; its log says which")
"""What is nobody's fault but ours."""


async def answer_problem(request: Request, error: Exception) -> Response:
    """Starlette's exception handler for those that are expected."""
    problem = problem_of(error)
    if isinstance(error, HTTPException) and error.status_code in _UNSERVED:
        problem = Problem(problem.status, problem.code, _unserved(request, problem), headers=problem.headers)
    return problem.response()


def _unserved(request: Request, problem: Problem) -> str:
    """What to ask instead of what no operation answers to."""
    path = request.url.path[:_SHOWN]
    if problem.status is HTTPStatus.NOT_FOUND:
        return f"nothing is served at {path}; {DOCUMENT} lists what is"
    allowed = next((value for name, value in problem.headers.items() if name.lower() == "allow"), "")
    return f"{path} takes no {request.method[:_SHOWN]}, only {', '.join(sorted(allowed.split(', ')))}; see {DOCUMENT}"
