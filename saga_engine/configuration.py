"""Reads a project's configuration: config.yaml < environment `SAGA_...` < flags, and where each value came from.

Owns sources, precedence, origins and the wording of mistakes. Knows no meaning of any setting: that is `settings`.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast, get_args

from pydantic import BaseModel, JsonValue, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from saga_engine.config_file import Position, Tree, read_config_file
from saga_engine.definition.durations import format_duration
from saga_engine.definition.problems import nearest
from saga_engine.errors import UsageError
from saga_engine.exposure import refuse_plain_text
from saga_engine.project import CONFIG_FILE
from saga_engine.settings.sections import Config, EventstoreSection
from saga_engine.settings.settled import Settings, settle
from saga_engine.settings.shown import shown_url
from saga_engine.settings.values import NAME_PATTERN

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

Place: TypeAlias = tuple[str, ...]
PREFIX = "SAGA_"
OTHER_VARIABLES = frozenset({"SAGA_DEBUG", "SAGA_LOG_LEVEL", "SAGA_PROJECT"})
"""Variables of ours that are no settings: the command line reads them."""


@dataclass(frozen=True, slots=True)
class Value:
    """One setting as it is shown: its place (`nats.url`), its value with secrets hidden, and where it came from."""

    place: str
    value: JsonValue
    origin: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings, and every single value of them with its origin. `stated`: to look at, not to connect with."""

    stated: Settings
    values: tuple[Value, ...]

    @property
    def settings(self) -> Settings:
        """What everything is wired from. Raises `UsageError` when it lets data leave this machine in plain text."""
        refuse_plain_text(self.stated)
        return self.stated


@dataclass(frozen=True, slots=True)
class _Source:
    """One layer: its values, and how a place in them is named to people."""

    tree: Tree
    positions: Mapping[Place, Position]
    kind: str

    def origin(self, place: Place) -> str | None:
        """Where this layer says something about exactly that place, or None."""
        if not _holds(self.tree, place):
            return None
        if self.kind == "environment":
            return PREFIX + "__".join(place).upper()
        return f"--set {'.'.join(place)}" if self.kind == "flag" else f"{CONFIG_FILE}:{self.positions[place].line}"

    def where(self, place: Place) -> str:
        position = self.positions.get(place)
        if self.kind == "file" and position is not None:
            return f"{CONFIG_FILE}:{position.line}:{position.column}"
        return self.origin(place) or self.kind


def load(root: Path, flags: Sequence[str] = ()) -> Configuration:
    """The configuration of the project at `root`. `flags`: `place=value`, as in `orchestrator.due_poll=2s`.

    Raises `UsageError` with a line for every mistake: where it is, what was expected, the nearest right name.
    """
    tree, positions = read_config_file(root / CONFIG_FILE)
    sources = (
        _Source(_flags(flags), {}, "flag"),
        _Source(_environment(), {}, "environment"),
        _Source(tree, positions, "file"),
    )
    merged: Tree = {}
    for source in reversed(sources):
        merged = _merge(merged, source.tree)
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        raise UsageError("\n".join(_mistake(problem, sources) for problem in error.errors())) from None
    settings = settle(config, root)
    return Configuration(settings, tuple(_values(settings, sources)))


def _environment() -> Tree:
    ours = [name for name in sorted(os.environ) if name.upper().startswith(PREFIX)]
    for name in ours:
        _refuse_near_miss(name)
    if OTHER_VARIABLES.issuperset(map(str.upper, ours)):
        return {}
    # Imported late: it brings a reader of every kind of source, and mostly there is nothing to read.
    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

    class Environment(Config, BaseSettings):
        model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__")

    class Source(EnvSettingsSource):
        def decode_complex_value(self, field_name: str, field: FieldInfo, value: JsonValue) -> JsonValue:
            """As JSON where it is JSON; other text is for the model to judge, as `0.0.0.0:3000` for `api.listen`."""
            try:
                return cast(JsonValue, super().decode_complex_value(field_name, field, value))
            except ValueError:
                return value

    tree = cast(Tree, Source(Environment)())
    for section in _trees(tree.get("participants")):
        if isinstance(settings := section.get("settings"), dict):
            section["settings"] = _typed(settings)
    return tree


def _refuse_near_miss(variable: str) -> None:
    """Only a near miss is a mistake: Kubernetes sets SAGA_PORT and the like for a service that is named saga."""
    name = variable.upper()
    if not name.startswith(PREFIX) or name in OTHER_VARIABLES or "__" in name:
        return
    known = [PREFIX + field.upper() for field in Config.model_fields]
    meant = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    if meant and name not in known:
        raise UsageError(f"{variable}: unknown setting in the environment; did you mean {meant[0]}?")


def _flags(flags: Sequence[str]) -> Tree:
    tree: Tree = {}
    for flag in flags:
        place, equals, text = flag.partition("=")
        names = place.strip().split(".")
        if not equals or not all(names):
            raise UsageError(f"--set {flag}: expected a place, = and a value, as in --set orchestrator.due_poll=2s")
        _refuse_secret(place, text)
        nested: JsonValue = _typed(text) if "settings" in names[2:3] else text
        for name in reversed(names):
            nested = {name: nested}
        tree = _merge(tree, cast(Tree, nested))
    return tree


def _refuse_secret(place: str, text: str) -> None:
    """Arguments are visible to every user of the machine."""
    if place in ("nats.password", "nats.token") or place.startswith("api.tokens") or shown_url(text) != text:
        variable = PREFIX + place.replace(".", "__").upper()
        raise UsageError(f"--set {place}: a secret may not stand on the command line; use {CONFIG_FILE} or {variable}")


def _typed(value: JsonValue) -> JsonValue:
    """Text from outside as JSON where it is JSON, else as it is: free-form settings have no schema to go by."""
    if isinstance(value, dict):
        return {name: _typed(part) for name, part in value.items()}
    if not isinstance(value, str):
        return value
    try:
        return cast(JsonValue, json.loads(value))
    except ValueError:
        return value


def _trees(value: JsonValue) -> list[dict[str, JsonValue]]:
    return [part for part in value.values() if isinstance(part, dict)] if isinstance(value, dict) else []


def _merge(below: Tree, above: Tree) -> Tree:
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        merged[name] = _merge(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _holds(tree: JsonValue, place: Place) -> bool:
    for name in place:
        if isinstance(tree, list) and name.isdecimal() and int(name) < len(tree):
            tree = tree[int(name)]
        elif isinstance(tree, dict) and name in tree:
            tree = tree[name]
        else:
            return False
    return True


def _mistake(problem: ErrorDetails, sources: Sequence[_Source]) -> str:
    # pydantic names the key of a mapping as `[key]` behind it when the key itself is at fault.
    place = tuple(str(part) for part in problem["loc"] if part != "[key]")
    source = next((s for s in sources if _holds(s.tree, place)), sources[-1])
    where = source.where(place)
    if problem["type"] == "extra_forbidden":
        known = _fields(place[:-1])
        hint = nearest(place[-1], known) or f"expected one of {', '.join(known)}"
        return f'{where}: unknown key "{".".join(place)}"; {hint}'
    if problem["type"] == "missing":
        parent = next((s for s in sources if _holds(s.tree, place[:-1])), sources[-1])
        return f"{parent.where(place[:-1])}: {'.'.join(place)} is missing"
    if problem["type"] == "string_pattern_mismatch":
        return f"{where}: {'.'.join(place)}: a name must match {NAME_PATTERN}, as in payment"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {'.'.join(place)}: {message[0].lower()}{message[1:]}"


def _fields(place: Place) -> list[str]:
    """The keys that a section knows."""
    model: object = Config
    for name in place:
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(name)
            model = _section(field.annotation) if field is not None else None
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _section(annotation: object) -> object:
    """The section inside an annotation: itself, or within an optional, a mapping or a sequence."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section(part)) is not None), None)


def _values(settings: Settings, sources: Sequence[_Source]) -> list[Value]:
    shown: dict[str, object] = {
        "database": settings.database,
        "nats": settings.nats,
        "participants": {
            name: {"database": one.database, "concurrency": one.concurrency, "settings": one.settings}
            for name, one in settings.participants.items()
        },
        "projections": {
            name: {"database": one.database, "sweep": format_duration(one.sweep)}
            for name, one in settings.projections.items()
        },
        "orchestrator": settings.orchestrator,
        "limits": settings.limits,
        "api": {**dict(settings.api), "listen": str(settings.api.listen)},
        "eventstore": settings.eventstore and _eventstore(settings.eventstore),
        "metrics": None if settings.metrics is None else str(settings.metrics),
        "demo": settings.demo,
    }
    return [
        Value(".".join(place), value, next((o for s in sources if (o := s.origin(place))), "default"))
        for place, value in _leaves(shown, ())
    ]


def _eventstore(section: EventstoreSection) -> dict[str, object]:
    types = ", ".join(section.event_types) or None
    return {**dict(section), "listen": str(section.listen), "event_types": types}


def _leaves(value: object, place: Place) -> list[tuple[Place, JsonValue]]:
    if isinstance(value, BaseModel):
        return [leaf for name, part in value.model_dump().items() for leaf in _leaves(part, (*place, name))]
    if isinstance(value, Mapping) and value:
        return [leaf for name, part in value.items() for leaf in _leaves(part, (*place, str(name)))]
    if isinstance(value, tuple | list) and value:
        return [leaf for index, part in enumerate(value) for leaf in _leaves(part, (*place, str(index)))]
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return [(place, shown_url(text) if "://" in text else "***")]
    return [(place, str(value) if isinstance(value, Path) else cast(JsonValue, value))]
