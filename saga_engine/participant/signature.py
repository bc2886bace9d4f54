"""Reads a handler function: whether it is fenced, what it takes and what it gives. Refuses other forms."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import cast, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from saga_engine.definition.model import Json
from saga_engine.errors import UsageError
from saga_engine.participant.context import CODE, Context, Rejected
from saga_engine.participant.failures import explain

_FORMS = "def handler(ctx: Context, command: Model) -> Result, or async def for one that uses no database"


@dataclass(frozen=True, slots=True)
class Handler:
    """A registered handler. `fenced`: a plain def, run inside the transaction that holds the inbox row.

    `batch`: that transaction may be shared with other commands, a savepoint each. `input` None: it takes the context
    only. `output` None: its result is not declared. `place` is file:line.
    """

    command: str
    function: Callable[..., object]
    fenced: bool
    input: TypeAdapter[object] | None
    output: TypeAdapter[object] | None
    place: str
    batch: bool = False

    def call(self, ctx: Context, payload: Json) -> object:
        """Run it; the result of an async handler is to be awaited. Raises Rejected `invalid_input` for bad payloads."""
        if self.input is None:
            return self.function(ctx)
        try:
            command = self.input.validate_python(payload)
        except ValidationError as error:
            raise Rejected("invalid_input", explain(error)) from None
        return self.function(ctx, command)


def read_handler(function: object, name: str | None, batch: bool = False) -> Handler:
    """The handler that this function is, under `name` or its own. UsageError, with its place, for any other form."""
    if not isinstance(function, FunctionType):
        raise UsageError(f"{function!r} cannot handle a command: expected a function, {_FORMS}")
    command = function.__name__ if name is None else name
    code = inspect.unwrap(function).__code__
    place = f"{code.co_filename}:{code.co_firstlineno}"
    if not CODE.fullmatch(command):
        raise UsageError(f"{place}: the command name {command!r} must match {CODE.pattern}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError(f"{place}: handler {command!r} is a generator; expected {_FORMS}")
    fenced = not inspect.iscoroutinefunction(function)
    if batch and not fenced:
        why = "batch=True is for handlers with a database: only a transaction can be shared"
        raise UsageError(f"{place}: handler {command!r} is an async def; {why}; leave it out, or make it a plain def")
    hints = _hints(function, command, place)
    declared = _input(function, hints, command, place)
    return Handler(
        command=command,
        function=function,
        fenced=fenced,
        input=None if declared is None else _adapter(declared, f"the input of {command!r}", place),
        output=_adapter(hints["return"], f"the result of {command!r}", place) if "return" in hints else None,
        place=place,
        batch=batch,
    )


def _hints(function: FunctionType, command: str, place: str) -> dict[str, object]:
    try:
        return get_type_hints(function)
    except (NameError, TypeError) as error:
        message = f"{place}: an annotation of handler {command!r} cannot be resolved ({error})"
        raise UsageError(f"{message}; define or import the type at the top of the module, above the handler") from error


def _input(function: FunctionType, hints: dict[str, object], command: str, place: str) -> object | None:
    """The declared type of the second parameter, None when there is no second one."""
    parameters = list(inspect.signature(function).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not 1 <= len(parameters) <= 2 or any(parameter.kind not in positional for parameter in parameters):
        raise UsageError(f"{place}: handler {command!r} takes {len(parameters)} parameters; expected {_FORMS}")
    if hints.get(parameters[0].name, Context) is not Context:
        raise UsageError(f"{place}: the first parameter of handler {command!r} must be the Context; expected {_FORMS}")
    if len(parameters) == 1:
        return None
    name = parameters[1].name
    if name not in hints:
        raise UsageError(f"{place}: annotate {name!r} of handler {command!r}: a pydantic model, or dict; {_FORMS}")
    return hints[name]


def _adapter(declared: object, what: str, place: str) -> TypeAdapter[object]:
    try:
        return TypeAdapter(cast(type[object], declared))
    except PydanticUserError as error:
        reason = str(error).splitlines()[0]
        message = f"{place}: {what} cannot be read from JSON ({reason})"
        raise UsageError(f"{message}; use a pydantic model, a dataclass, dict, pydantic.JsonValue or None") from error
