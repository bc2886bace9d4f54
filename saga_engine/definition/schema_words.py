"""What breaks a JSON Schema, in our words: what was found, what was expected, what to write.

Owns the wording of every keyword. Which value breaks which is the library's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from saga_engine.definition.model import Json
from saga_engine.definition.problems import asked, near, nearest, path_text, sentence, shown
from saga_engine.definition.shapes import resolve
from saga_engine.definition.values import canonical_json
from saga_engine.plural import several

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_MOST: Final = 300
"""Characters that are told of one violation."""
_MOST_NAMES: Final = 12
"""Names that are told of a longer list."""

_A: Final[Mapping[str, str]] = {
    "integer": "an integer",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}

Said: TypeAlias = tuple[str, str, str]
"""What is wrong, what was expected, what to do; the last two may be empty."""


def explain(error: ValidationError, document: Mapping[str, Json]) -> str:
    """One violation, on one line. `document`: the whole schema, in which references lead on."""
    tell = WORDS.get(str(error.validator))
    text = sentence(*tell(error, document)) if tell is not None else str(error.message)
    if "propertyNames" in error.absolute_schema_path:
        text = f"a key: {text}"
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"


def expected_of(schema: Json, document: Mapping[str, Json], *, example: bool = True) -> str:
    """What a schema asks for, as far as a few words tell it, with an example where one is at hand."""
    reference = schema.get("$ref") if isinstance(schema, Mapping) else None
    if isinstance(reference, str):
        schema = resolve(reference, document)
    if not isinstance(schema, Mapping):
        return "a value"
    choices = schema.get("enum")
    if isinstance(choices, list):
        return f"one of {_listed(choices)}"
    if "const" in schema:
        return _text(schema["const"])
    kinds = _kinds(schema.get("type"))
    what = " or ".join(_A[kind] for kind in kinds) or "a value"
    bounds = [f"{words} {_text(schema[keyword])}" for keyword, words in _BOUNDS.items() if keyword in schema]
    such = _example(schema, kinds) if example else None
    return " ".join((what, *bounds[:2])) + ("" if such is None else f", such as {such}")


def _type(error: ValidationError, document: Mapping[str, Json]) -> Said:
    value, kinds = _value(error), _kinds(_given(error))
    return _found(value), expected_of({**_schema(error), "type": list(kinds)}, document), _rewritten(value, kinds)


def _enum(error: ValidationError, _document: Mapping[str, Json]) -> Said:
    value, choices = _value(error), cast("Sequence[Json]", _given(error))
    hint = nearest(value, [one for one in choices if isinstance(one, str)]) if isinstance(value, str) else ""
    return _found(value), f"one of {_listed(choices)}", hint


def _missing(error: ValidationError, document: Mapping[str, Json]) -> Said:
    name, value = str(error.path[-1]), cast("Mapping[str, Json]", _value(error))
    properties = _properties(error)
    meant = near(name, [key for key in value if key not in properties])
    hint = "" if meant is None else f'is "{meant}" meant to be "{name}"?'
    return "is missing", expected_of(properties.get(name), document), hint


def _asked_for(error: ValidationError, document: Mapping[str, Json]) -> Said:
    name, value = str(error.path[-1]), cast("Mapping[str, Json]", _value(error))
    given = cast("Mapping[str, Sequence[str]]", _given(error))
    by = next(key for key, needed in given.items() if key in value and name in needed)
    return f'is missing, and goes with "{by}"', expected_of(_properties(error).get(name), document), ""


def _unknown(error: ValidationError, _document: Mapping[str, Json]) -> Said:
    known = list(_properties(error))
    hint = asked(near(str(error.path[-1]), known))
    return "an unknown key", f"one of {_some(known)}" if known else "no key", hint


def _forms(error: ValidationError, document: Mapping[str, Json]) -> Said:
    """`anyOf` and `oneOf`: the value fits none of several schemas, or more than one."""
    value, branches = _value(error), cast("Sequence[Json]", _given(error))
    if not error.context:
        return "fits more than one of the forms that it may have", "exactly one", ""
    of_type = [one for one in error.context if one.validator == "type" and not one.path]
    if len(of_type) == len(branches):
        expected = dict.fromkeys(expected_of(one, document, example=False) for one in branches)
        return _found(value), " or ".join(expected), ""
    # A branch that fails by its type is not what was meant.
    other = [one for one in error.context if one not in of_type]
    closest = max(other, key=lambda one: len(one.path))
    where = f"{path_text(closest.path)}: " if closest.path else ""
    return f"fits none of {len(branches)} forms, the nearest because {where}{explain(closest, document)}", "", ""


def _excluded(error: ValidationError, document: Mapping[str, Json]) -> Said:
    return _found(_value(error)), f"anything but {expected_of(_given(error), document)}", ""


def _contains(error: ValidationError, document: Mapping[str, Json]) -> Said:
    schema = _schema(error)
    least = cast("int", schema.get("minContains", 1))
    most = f" and at most {schema['maxContains']}" if "maxContains" in schema else ""
    what = expected_of(schema.get("contains"), document)
    return "not as many items as there must be are of the right kind", f"at least {least}{most} times {what}", ""


def _same_items(error: ValidationError, _document: Mapping[str, Json]) -> Said:
    items = [canonical_json(item) for item in cast("Sequence[Json]", _value(error))]
    twice = next(item for place, item in enumerate(items) if item in items[:place])
    return f"the item {_brief(twice.decode())} stands there twice", "items that differ", ""


def _too_many_items(error: ValidationError, _document: Mapping[str, Json]) -> Said:
    allowed = len(cast("Sequence[Json]", _schema(error).get("prefixItems", ())))
    return _found(_value(error)), f"a list of at most {several(allowed, 'item')}", ""


def _other_keys(_error: ValidationError, _document: Mapping[str, Json]) -> Said:
    return "holds what no part of the schema names", "nothing else", ""


def _bound(words: str) -> Callable[[ValidationError, Mapping[str, Json]], Said]:
    return lambda error, _document: (_found(_value(error)), f"{words} {_text(_given(error))}", "")


def _size(
    words: str, unit: str, counted: Callable[[Json], int]
) -> Callable[[ValidationError, Mapping[str, Json]], Said]:
    def tell(error: ValidationError, _document: Mapping[str, Json]) -> Said:
        limit = cast("int", _given(error))
        return f"has {several(counted(_value(error)), unit)}", f"{words} {several(limit, unit)}", ""

    return tell


def _length(value: Json) -> int:
    assert isinstance(value, str | Sequence | Mapping)
    return len(value)


_BOUNDS: Final[Mapping[str, str]] = {
    "minimum": "of at least",
    "exclusiveMinimum": "above",
    "maximum": "of at most",
    "exclusiveMaximum": "below",
    "pattern": "that matches",
    "format": "of the format",
}
WORDS: Final[Mapping[str, Callable[[ValidationError, Mapping[str, Json]], Said]]] = {
    "type": _type,
    "enum": _enum,
    "const": _bound("exactly"),
    "minimum": _bound("at least"),
    "maximum": _bound("at most"),
    "exclusiveMinimum": _bound("more than"),
    "exclusiveMaximum": _bound("less than"),
    "multipleOf": _bound("a multiple of"),
    "pattern": _bound("a text that matches"),
    "format": _bound("the format"),
    "minLength": _size("at least", "character", _length),
    "maxLength": _size("at most", "character", _length),
    "minItems": _size("at least", "item", _length),
    "maxItems": _size("at most", "item", _length),
    "minProperties": _size("at least", "key", _length),
    "maxProperties": _size("at most", "key", _length),
    "uniqueItems": _same_items,
    "items": _too_many_items,
    "contains": _contains,
    "minContains": _contains,
    "maxContains": _contains,
    "required": _missing,
    "dependentRequired": _asked_for,
    "additionalProperties": _unknown,
    "unevaluatedProperties": _other_keys,
    "unevaluatedItems": _other_keys,
    "anyOf": _forms,
    "oneOf": _forms,
    "not": _excluded,
    # The schema `false`, of which the library tells no place.
    "None": lambda error, _document: (f"{_found(_value(error))}, which the schema does not allow", "", "remove it"),
}
"""How each keyword is told. Those that are not here lead to others."""


def _given(error: ValidationError) -> Json:
    return cast("Json", error.validator_value)


def _value(error: ValidationError) -> Json:
    return cast("Json", error.instance)


def _schema(error: ValidationError) -> Mapping[str, Json]:
    return cast("Mapping[str, Json]", error.schema)


def _properties(error: ValidationError) -> Mapping[str, Json]:
    return cast("Mapping[str, Json]", _schema(error).get("properties", {}))


def _kinds(given: Json) -> Sequence[str]:
    kinds = given if isinstance(given, list) else [given]
    return [kind for kind in kinds if isinstance(kind, str) and kind in _A]


def _found(value: Json) -> str:
    match value:
        case str():
            return f"found the text {shown(value)}"
        case bool() | None:
            return f"found {_text(value)}"
        case int() | float():
            return f"found the number {_text(value)}"
        case Mapping():
            return "found an object"
    return f"found a list of {several(len(value), 'item')}"


def _text(value: Json) -> str:
    return shown(value) if isinstance(value, str) else canonical_json(value).decode()


def _listed(choices: Sequence[Json]) -> str:
    return _some([_text(choice) for choice in choices])


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{', '.join(names[:_MOST_NAMES])}{more}"


def _brief(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


def _rewritten(value: Json, kinds: Sequence[str]) -> str:
    """How to write what was probably meant."""
    if isinstance(value, str) and {"integer", "number"} & set(kinds) and value.lstrip("-").isdecimal():
        return f"write {value} without quotes"
    if value in ("true", "false") and "boolean" in kinds:
        return f"write {value} without quotes"
    if "string" in kinds and isinstance(value, bool | int | float):
        return f'write "{_text(value)}", in quotes'
    if "array" in kinds and not isinstance(value, Mapping | None):
        return f"write [{_text(value)}] for a list of one"
    return ""


def _example(schema: Mapping[str, Json], kinds: Sequence[str]) -> str | None:
    """A value that the author gives as one, or an integer within its bounds."""
    examples = schema.get("examples")
    if isinstance(examples, list) and examples:
        return _brief(_text(examples[0]))
    if schema.get("default"):
        return _brief(_text(schema["default"]))
    if "integer" not in kinds:
        return None
    least, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    value = least if isinstance(least, int) else above + 1 if isinstance(above, int) else 1
    most, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    fits = (not isinstance(most, int | float) or value <= most) and (
        not isinstance(below, int | float) or value < below
    )
    return str(value) if fits and "multipleOf" not in schema else None
