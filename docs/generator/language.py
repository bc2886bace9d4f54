"""The keys of the definition language as tables, from its JSON Schema: what the loader and editors know of each.

Owns how a schema is shown. What the keys mean together is written by hand on the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias, cast

from docs.generator.blocks import code, table
from saga_engine.definition.model import Json
from saga_engine.definition.schema import language_schema

Schema: TypeAlias = Mapping[str, Json]

_COMMON: Final = ("step", "needs", "if")
_ACTIONS: Final = ("call", "sleep", "wait", "saga")


def keys(place: str) -> str:
    """The keys at one place: `saga`, `step`, one of the four actions, `for_each`, or a shared definition."""
    schema = _places()[place]
    required = cast(list[str], schema.get("required", []))
    rows = [
        (code(name), "yes" if name in required else "", _kind(each), str(each.get("description", "")))
        for name, each in _properties(schema).items()
    ]
    return table(("key", "required", "value", "what"), rows)


def all_keys() -> set[str]:
    """Every key that may stand anywhere in a definition."""
    return {name for schema in _places().values() for name in _properties(schema)}


def places() -> list[str]:
    return list(_places())


def _places() -> dict[str, Schema]:
    whole = language_schema()
    shared = cast(Mapping[str, Schema], whole["definitions"])
    steps = dict(zip(_ACTIONS, cast(list[Schema], shared["step"]["oneOf"]), strict=True))
    found: dict[str, Schema] = {"saga": whole, "step": _only(steps["call"], _COMMON)}
    for action, step in steps.items():
        found[f"{action}_step"] = _without(step, _COMMON)
    found["wait"] = _properties(steps["wait"])["wait"]
    found["wait_on"] = _properties(found["wait"])["on"]
    found["on"] = _properties(whole)["on"]
    found["for_each"] = _properties(steps["call"])["for_each"]
    found["defaults"] = _properties(whole)["defaults"]
    found["saga_emit"] = _properties(whole)["emit"]
    for name in ("retry", "timeout", "compensation"):
        found[name] = shared[name]
    found["emit"] = cast(list[Schema], shared["emit"]["anyOf"])[1]
    return found


def _properties(schema: Schema) -> dict[str, Schema]:
    properties = cast(Mapping[str, Schema], schema["properties"])
    return {name: _resolved(each) for name, each in properties.items()}


def _resolved(schema: Schema) -> Schema:
    """A reference with what it leads to; the key's own words come first."""
    target = schema.get("$ref")
    if not isinstance(target, str):
        return schema
    name = target.rpartition("/")[2]
    shared = cast(Mapping[str, Schema], language_schema()["definitions"])[name]
    return {**shared, **{key: value for key, value in schema.items() if key != "$ref"}, "see": name}


def _only(schema: Schema, names: tuple[str, ...]) -> Schema:
    properties = {name: each for name, each in _properties(schema).items() if name in names}
    return {**schema, "properties": properties}


def _without(schema: Schema, names: tuple[str, ...]) -> Schema:
    properties = {name: each for name, each in _properties(schema).items() if name not in names}
    return {**schema, "properties": properties}


def _kind(schema: Schema) -> str:
    """What may stand there, in a few words."""
    return " or ".join(dict.fromkeys(_kinds(schema)))


def _kinds(schema: Schema) -> Iterator[str]:
    see = schema.get("see")
    if see in ("retry", "timeout"):
        yield f"[{see}](#{see})"
    elif see == "emit":
        yield "an event name or [its form](#emit)"
    elif "enum" in schema:
        yield ", ".join(code(str(value)) for value in cast(list[str], schema["enum"]))
    elif "anyOf" in schema:
        yield "`none` or [a compensation](#compensate)"
    elif schema.get("pattern") == _duration_pattern():
        yield "duration"
    elif schema.get("type") == "integer":
        yield _range(schema)
    elif "type" in schema:
        words = {"string": "text", "object": "mapping", "array": "list"}
        kind = str(schema["type"])
        yield words.get(kind, kind)
    else:
        yield "any value, with expressions"


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    return f"integer from {low} to {high}" if high is not None else f"integer, at least {low}"


def _duration_pattern() -> Json:
    return _properties(language_schema())["sla"]["pattern"]
