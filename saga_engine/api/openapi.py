"""The OpenAPI 3.1 document of a set of operations: it says what they check and answer, since it is made from the same.

Owns the document. Knows no operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, cast

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from saga_engine.api.operation import Operation
from saga_engine.api.problems import MEDIA_TYPE, ProblemDocument
from saga_engine.definition.model import Json

_REF: Final = "#/components/schemas/{model}"
_EVENT: Final[Json] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": {"type": "integer"},
    },
}
"""One event of a stream: that is what tools check one by one."""
_ALWAYS: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE)
_WITH_BODY: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


def document(operations: Sequence[Operation], title: str, version: str) -> Mapping[str, Json]:
    """The document. The order is that of the operations, so that it changes only with them."""
    paths: dict[str, dict[str, Json]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _described(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": cast(Json, paths),
        "components": {
            "schemas": _schemas(operations),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _schemas(operations: Sequence[Operation]) -> Json:
    models: dict[str, type[BaseModel]] = {"ProblemDocument": ProblemDocument}
    for one in operations:
        models |= {model.__name__: model for model in (one.takes, *one.gives.values()) if model is not None}
    made = models_json_schema([(model, "validation") for model in models.values()], ref_template=_REF)
    return cast(Json, made[1]["$defs"])


def _described(one: Operation) -> Json:
    described: dict[str, Json] = {
        "operationId": one.name,
        "summary": one.summary,
        "tags": [one.tag],
        "parameters": [*_path(one), *_query(one), *_headers(one)],
        "responses": _responses(one),
    }
    if one.takes is not None:
        content = {"application/json": {"schema": _ref(one.takes)}}
        described["requestBody"] = {"required": one.body_required, "content": content}
    return described


def _path(one: Operation) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, **cast(Mapping[str, Json], said)}
        for name, said in one.parameters.items()
    ]


def _headers(one: Operation) -> list[Json]:
    return [{"name": name, "in": "header", "required": False, **said} for name, said in one.headers.items()]


def _query(one: Operation) -> list[Json]:
    if one.query is None:
        return []
    schema = one.query.model_json_schema(ref_template=_REF)
    inner = schema.get("$defs", {})
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": _inlined(said, inner)}
        for name, said in schema["properties"].items()
    ]


def _inlined(value: Json, inner: Mapping[str, Json]) -> Json:
    """A parameter's schema without references; null, which no query can say, is left out."""
    if isinstance(value, Mapping):
        if "$ref" in value:
            return _inlined(inner[str(value["$ref"]).rpartition("/")[2]], inner)
        kinds = value.get("anyOf")
        if isinstance(kinds, Sequence) and {"type": "null"} in kinds:
            (kind,) = (one for one in kinds if one != {"type": "null"})
            rest = {name: one for name, one in value.items() if name not in ("anyOf", "default")}
            return _inlined({**rest, **cast(Mapping[str, Json], kind)}, inner)
        return {name: _inlined(one, inner) for name, one in value.items()}
    if isinstance(value, list):
        return [_inlined(one, inner) for one in value]
    return value


def _responses(one: Operation) -> Json:
    responses: dict[str, Json] = {}
    for status, model in one.gives.items():
        kind = "text/event-stream" if model is None else "application/json"
        schema = _EVENT if model is None else _ref(model)
        responses[str(status.value)] = {"description": status.phrase, "content": {kind: {"schema": schema}}}
    checked = _WITH_BODY if one.takes is not None else (HTTPStatus.UNPROCESSABLE_ENTITY,)
    problems = {*one.problems, *_ALWAYS, *(checked if one.takes or one.query or one.headers else ())}
    for status in sorted(problems):
        content = {MEDIA_TYPE: {"schema": _ref(ProblemDocument)}}
        responses[str(status.value)] = {"description": status.phrase, "content": content}
    return responses


def _ref(model: type[BaseModel]) -> Json:
    return {"$ref": _REF.format(model=model.__name__)}
