"""JSON Schema applied to inputs: violations with their places, and defaults filled in.

The only module that imports jsonschema; import this one late. Which schemas a definition may have is `schema_rules`'.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry

from saga_engine.definition.cel_library import search
from saga_engine.definition.model import Json
from saga_engine.definition.problems import PathPart
from saga_engine.definition.schema_words import explain
from saga_engine.definition.shapes import resolve

MAX_VIOLATIONS: Final = 20


def form_errors(schema: Mapping[str, Json]) -> list[tuple[tuple[PathPart, ...], str]]:
    """Where and why a schema is no JSON Schema of draft 2020-12."""
    validator = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    document = cast("Mapping[str, Json]", Draft202012Validator.META_SCHEMA)
    return [(tuple(error.absolute_path), explain(error, document)) for error in validator.iter_errors(schema)]


def _pattern(_validator: object, pattern: str, value: object, _schema: object) -> Iterator[ValidationError]:
    # Python's own patterns may take exponential time, and the text comes from whoever starts a saga.
    if isinstance(value, str) and search(pattern, value) is not True:
        yield ValidationError(f"the text does not match the pattern {pattern!r}")


def _required(_validator: object, names: list[str], value: object, _schema: object) -> Iterator[ValidationError]:
    # The library tells it of the object; the place of what is missing says more, and sorts it among the others.
    if isinstance(value, Mapping):
        yield from (ValidationError("is missing", path=(name,)) for name in names if name not in value)


def _dependent(
    _validator: object, needs: Mapping[str, list[str]], value: object, _schema: object
) -> Iterator[ValidationError]:
    if isinstance(value, Mapping):
        missing = [name for key, names in needs.items() if key in value for name in names if name not in value]
        yield from (ValidationError("is missing", path=(name,)) for name in dict.fromkeys(missing))


def _additional(
    validator: Draft202012Validator, given: Json, value: object, schema: Mapping[str, Json]
) -> Iterator[ValidationError]:
    if given is False and isinstance(value, Mapping):
        known = cast("Mapping[str, Json]", schema.get("properties", {}))
        yield from (ValidationError("an unknown key", path=(name,)) for name in value if name not in known)
        return
    yield from Draft202012Validator.VALIDATORS["additionalProperties"](validator, given, value, schema)


_OURS: Final = {
    "pattern": _pattern,
    "required": _required,
    "dependentRequired": _dependent,
    "additionalProperties": _additional,
}
_Validator: Final = extend(Draft202012Validator, _OURS)  # type: ignore[no-untyped-call]  # untyped in the stubs


def checker(schema: Mapping[str, Json]) -> Callable[[Json], list[tuple[tuple[PathPart, ...], str]]]:
    """A function that says where and why a value breaks the schema: in the order of the paths, at most twenty."""
    validator = _Validator(schema, registry=Registry())

    def violations(value: Json) -> list[tuple[tuple[PathPart, ...], str]]:
        found: list[tuple[tuple[PathPart, ...], str]] = []
        for error in validator.iter_errors(value):
            found.append((tuple(error.absolute_path), explain(error, schema)))
            if len(found) == MAX_VIOLATIONS:
                break
        return sorted(found, key=lambda violation: [str(part) for part in violation[0]])

    return violations


def filled(schema: Mapping[str, Json], value: Json, document: Mapping[str, Json] | None = None) -> Json:
    """The value with the `default` of every absent property, also in nested objects, lists and referenced schemas.

    Defaults under `anyOf`, `oneOf` and `if` are not filled in: which branch holds is not known yet.
    """
    document = schema if document is None else document
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target = resolve(reference, document)
        value = value if target is None else filled(target, value, document)
    if isinstance(value, Mapping):
        return _filled_object(schema, value, document)
    items = schema.get("items")
    if isinstance(items, Mapping) and isinstance(value, Sequence) and not isinstance(value, str):
        return [filled(items, item, document) for item in value]
    return value


def _filled_object(schema: Mapping[str, Json], value: Mapping[str, Json], document: Mapping[str, Json]) -> Json:
    made = dict(value)
    parts = schema.get("allOf")
    for part in parts if isinstance(parts, list) else ():
        inner = filled(part, made, document) if isinstance(part, Mapping) else made
        made = dict(inner) if isinstance(inner, Mapping) else made
    properties = schema.get("properties")
    for name, property_schema in properties.items() if isinstance(properties, Mapping) else ():
        if not isinstance(property_schema, Mapping):
            continue
        if name in made:
            made[name] = filled(property_schema, made[name], document)
        elif "default" in property_schema:
            made[name] = copy.deepcopy(property_schema["default"])
    return made
