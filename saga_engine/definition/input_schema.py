"""JSON Schema as definitions use it: checked when a definition is loaded, applied when a saga is started.

Owns the bounds on schemas (references inside the document only) and the filling in of defaults.
The only module that imports jsonschema; import this one late.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry

from saga_engine.definition.model import Json
from saga_engine.definition.problems import PathPart

MAX_VIOLATIONS = 20


def schema_problems(schema: Mapping[str, Json]) -> list[tuple[tuple[PathPart, ...], str]]:
    """Where and why a schema is none."""
    problems: list[tuple[tuple[PathPart, ...], str]] = []
    validator = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    for error in validator.iter_errors(schema):
        problems.append((tuple(error.absolute_path), _message(error)))
    return problems


def violations(schema: Mapping[str, Json], value: Json) -> list[tuple[tuple[PathPart, ...], str]]:
    """Where and why a value breaks a schema, in the order of the paths; at most twenty."""
    validator = Draft202012Validator(schema, registry=Registry())
    found = []
    for error in validator.iter_errors(value):
        found.append((tuple(error.absolute_path), _message(error)))
        if len(found) == MAX_VIOLATIONS:
            break
    return sorted(found, key=lambda violation: [str(part) for part in violation[0]])


def _message(error: ValidationError | SchemaError) -> str:
    message = str(error.message)
    return message if len(message) <= 200 else message[:199] + "…"


def filled(schema: Mapping[str, Json], value: Json) -> Json:
    """The value with the `default` of every absent property, also in nested objects and lists."""
    if isinstance(value, Mapping):
        properties = schema.get("properties")
        if not isinstance(properties, Mapping):
            return value
        made = dict(value)
        for name, inner in properties.items():
            if not isinstance(inner, Mapping):
                continue
            if name in made:
                made[name] = filled(inner, made[name])
            elif "default" in inner:
                made[name] = copy.deepcopy(inner["default"])
        return made
    items = schema.get("items")
    if isinstance(items, Mapping) and isinstance(value, Sequence) and not isinstance(value, str):
        return [filled(items, item) for item in value]
    return value
