"""What a payload's values are against what its command takes: literals by the schema, paths and mixed text by type.

Owns the part of W304 that looks at values; which keys there are is `advice`'s. Says only what is certain: a value of a
type that is not known may fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from saga_engine.definition.catalogue import CommandEntry, ParticipantCatalogue
from saga_engine.definition.expressions import Fragment
from saga_engine.definition.input_fits import plainly_fits
from saga_engine.definition.model import Call, Definition, Json
from saga_engine.definition.problems import Finding, PathPart, path_text
from saga_engine.definition.scopes import Scope, Site
from saga_engine.definition.shapes import ANYTHING, NoSuch, Shape, element, field, shape_of, type_shape
from saga_engine.definition.template import OPEN

_CODE: Final = "W304"
_CONDITIONAL: Final = frozenset({"if", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems"})
"""Keywords by which one value decides over another, so that an expression may decide over a literal."""


def value_misfits(
    definition: Definition, catalogue: ParticipantCatalogue | None, sites: Sequence[Site]
) -> Iterator[Finding]:
    """The values of all payloads that cannot be what their command takes. `sites`: the definition's expressions."""
    if catalogue is None:
        return
    by_path = {site.path: site for site in sites}
    for index, step in enumerate(definition.steps):
        call, path = step.action, ("steps", index)
        if not isinstance(call, Call):
            continue
        forward = by_path.get((*path, "with"))
        yield from _misfits(catalogue, call.participant, call.command, forward)
        compensation = call.compensation
        if compensation is not None:
            # Without a payload of its own a compensation is sent the forward one.
            sent = forward if compensation.payload is None else by_path.get((*path, "compensate", "with"))
            yield from _misfits(catalogue, compensation.participant, compensation.command, sent)


def _misfits(catalogue: ParticipantCatalogue, participant: str, command: str, site: Site | None) -> Iterator[Finding]:
    entry = catalogue.get(participant, command)
    if entry is None or entry.input is None or site is None:
        return
    name = f"{participant}.{command}"
    for where, text in _literals(entry, site.expression.source):
        yield Finding(_CODE, (*site.path, *where), f"{_named(where)} of {name}: {text}")
    wanted = shape_of(entry.input)
    for fragment in site.expression.fragments:
        given, asked = _given(fragment, site.scope), _reached(wanted, fragment.path)
        if not _may_fit(given, asked):
            found = (
                f"{fragment.text.strip()} is {given.describe()}" if fragment.alone else "a text around an expression"
            )
            message = f"{_named(fragment.path)} of {name}: {found}"
            yield Finding(_CODE, (*site.path, *fragment.path), message, asked.describe())


def _named(where: Sequence[PathPart]) -> str:
    return f'"{path_text(where)}"' if where else "the payload"


def _literals(entry: CommandEntry, payload: Json) -> Iterator[tuple[tuple[PathPart, ...], str]]:
    """Where values that hold no expression break the schema, and why."""
    schema = entry.input
    if schema is None or not isinstance(payload, Mapping) or not _doubtful(schema, payload):
        return
    # Imported late: few payloads hold a literal that the quick look does not pass.
    from saga_engine.definition.input_schema import checker
    from saga_engine.definition.schema_rules import schema_findings

    if any(schema_findings(schema, ())) or _decides(schema):
        return
    for where, text in checker(schema)(payload):
        nested = len(where) > 1
        if where and (nested or _is_known(schema, payload, where[0])) and not _has_expression(_at(payload, where)):
            yield where, text


def _doubtful(schema: Mapping[str, Json], payload: Mapping[str, Json]) -> bool:
    """Whether a value that holds no expression, wherever it stands, does not fit at first sight."""
    properties = schema.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    for key, value in payload.items():
        if isinstance(value, str) and OPEN in value:
            continue
        fits = plainly_fits(known[key]) if key in known else None
        if fits is None or _has_expression(value) or not fits(value):
            return True
    return False


def _is_known(schema: Mapping[str, Json], payload: Mapping[str, Json], key: PathPart) -> bool:
    """Whether it is the value of a key that is to be told: what is missing or unknown at the top `advice` tells."""
    properties, others = schema.get("properties"), schema.get("additionalProperties")
    return key in payload and (not isinstance(properties, Mapping) or key in properties or isinstance(others, Mapping))


def _decides(schema: Json) -> bool:
    if isinstance(schema, Mapping):
        return bool(_CONDITIONAL & schema.keys()) or any(map(_decides, schema.values()))
    return isinstance(schema, list) and any(map(_decides, schema))


def _has_expression(value: Json) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_expression, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_expression, value))
    return isinstance(value, str) and OPEN in value


def _at(value: Json, where: Sequence[PathPart]) -> Json:
    """What stands there; None for what is missing."""
    for part in where:
        if isinstance(value, Mapping):
            value = value.get(str(part))
        else:
            assert isinstance(value, list | tuple)
            value = value[int(part)]
    return value


def _given(fragment: Fragment, scope: Scope) -> Shape:
    """What a path leads to, or the text around an expression; anything where more is to be computed."""
    if not fragment.alone:
        return type_shape("string")
    path = fragment.plain
    if not path:
        return ANYTHING
    if path[0] != "steps":
        return _reached(scope.roots.get(str(path[0]), ANYTHING), path[1:])
    if len(path) < 3 or path[2] != "result":
        return ANYTHING
    return _reached(scope.steps.get(str(path[1]), ANYTHING), path[3:])


def _reached(shape: Shape, path: Sequence[PathPart]) -> Shape:
    for part in path:
        found = field(shape, part) if isinstance(part, str) else element(shape)
        if isinstance(found, NoSuch):
            return ANYTHING
        shape = found
    return shape


def _may_fit(given: Shape, wanted: Shape) -> bool:
    # An integer is a number, and a number may be an integer.
    kinds = [{"number" if one == "integer" else one for one in shape.types} for shape in (given, wanted)]
    return not all(kinds) or bool(kinds[0] & kinds[1])
