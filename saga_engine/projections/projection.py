"""`Projection`: a read model as a small class, whose methods say what each event changes in its tables.

Owns the form of such a class and refuses other forms. Knows no store, and nothing of how events arrive.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import ClassVar, Final, TypeAlias, TypeVar, cast, get_args, get_type_hints
from uuid import UUID

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from sqlalchemy import Connection, MetaData

from saga_engine.core.events import Event
from saga_engine.definition.model import Json
from saga_engine.errors import UsageError

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
PUBLISHED: Final = re.compile(r"[A-Z][A-Za-z0-9]{0,62}")
STORED: Final = frozenset(get_args(Event))

What: TypeAlias = type[Event] | str
F = TypeVar("F", bound=Callable[..., None])

_MARK: Final = "_saga_engine_on"
_FORM: Final = "def handler(self, ctx: Context) -> None, or with the event's data as a third parameter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One event on its way into a read model.

    `db` is the transaction in which the checkpoint is written too: never commit it or roll it back. It may be run once
    more from its start, so a handler does nothing but write through it. `saga_id` and `version` name the event for
    ever, `key` and `generation` the saga for people; `at` is the store's time in microseconds.
    """

    db: Connection
    saga: str
    saga_id: UUID
    key: str
    generation: int
    version: int
    at: int


@dataclass(frozen=True, slots=True)
class Handler:
    """A method for one event. `data` None: it takes no data, or a stored event as it is. `place` is file:line."""

    function: Callable[..., None]
    takes_data: bool
    data: TypeAdapter[object] | None
    place: str

    def call(self, projection: Projection, ctx: Context, value: Event | Json) -> None:
        """Run it. Raises pydantic's ValidationError for data of another form than declared, else what it raises."""
        if not self.takes_data:
            self.function(projection, ctx)
        else:
            self.function(projection, ctx, value if self.data is None else self.data.validate_python(value))


def on(*events: What) -> Callable[[F], F]:
    """Let a method of a `Projection` handle these: names of published events, or types of `saga_engine.core.events`.

    Of a published event it is given the data, as the type that its third parameter is annotated with; of a saga's own
    event, the event itself. UsageError for anything else.
    """
    for event in events:
        published = isinstance(event, str) and PUBLISHED.fullmatch(event) is not None
        if not published and event not in STORED:
            raise UsageError(
                f"@on({event!r}): expected the name of a published event, as in OrderCreated, or a type of "
                "saga_engine.core.events, as in SagaStarted"
            )

    def mark(function: F) -> F:
        setattr(function, _MARK, events)
        return function

    return mark


class Projection:
    """A read model. A subclass has a `name`, the `tables` that are its alone, and a method for each event it wants.

    `sagas`: the names of the definitions whose sagas it follows; empty: of all. The events of one saga arrive in their
    order and once each; those of different sagas in any order. What it writes must follow from the events alone, so
    that it can be rebuilt.
    """

    name: ClassVar[str]
    tables: ClassVar[MetaData]
    sagas: ClassVar[tuple[str, ...]] = ()
    stored_handlers: ClassVar[Mapping[type[Event], Handler]]
    published_handlers: ClassVar[Mapping[str, Handler]]
    defined_at: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _check(cls)
        stored: dict[type[Event], Handler] = {}
        published: dict[str, Handler] = {}
        for event, handler in _handlers(cls):
            known = (
                published.setdefault(event, handler) if isinstance(event, str) else stored.setdefault(event, handler)
            )
            if known is not handler:
                what = f"{cls.__name__} has two handlers of {_name(event)}"
                raise UsageError(f"{what}: {known.place} and {handler.place}; remove one")
        if not stored and not published:
            raise UsageError(f"{cls.__module__}.{cls.__name__}: handles no event; put @on(...) above a method")
        cls.stored_handlers, cls.published_handlers = stored, published
        cls.defined_at = next(handler.place for _, handler in _handlers(cls))

    @classmethod
    def handled_events(cls) -> list[str]:
        """The names of the events that it handles."""
        return sorted([*(event.__name__ for event in cls.stored_handlers), *cls.published_handlers])


def _check(cls: type[Projection]) -> None:
    where = f"{cls.__module__}.{cls.__name__}"
    name: object = getattr(cls, "name", None)
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise UsageError(f'{where}: set name = "order_view", for example: it must match {NAME.pattern}')
    tables: object = getattr(cls, "tables", None)
    if not isinstance(tables, MetaData) or not tables.tables:
        raise UsageError(f"{where}: set tables to the MetaData of the tables that it keeps; a rebuild empties them")
    if not isinstance(cls.sagas, tuple) or not all(isinstance(saga, str) for saga in cls.sagas):
        raise UsageError(f'{where}: sagas must be a tuple of names, as in sagas = ("place_order",)')


def _handlers(cls: type[Projection]) -> Iterator[tuple[What, Handler]]:
    for function in (value for base in reversed(cls.__mro__) for value in vars(base).values()):
        for event in cast("tuple[What, ...]", getattr(function, _MARK, ())):
            yield event, _read(function, event)


def _read(function: object, event: What) -> Handler:
    if not isinstance(function, FunctionType):
        raise UsageError(f"@on({_name(event)}): {function!r} is no method; expected {_FORM}")
    place = f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"
    parameters = list(inspect.signature(function).parameters.values())
    if inspect.iscoroutinefunction(function) or not 2 <= len(parameters) <= 3:
        raise UsageError(f"{place}: {function.__name__} cannot handle {_name(event)}; expected {_FORM}")
    if len(parameters) == 2:
        return Handler(function, False, None, place)
    if not isinstance(event, str):
        return Handler(function, True, None, place)
    try:
        hints = get_type_hints(function)
        return Handler(function, True, TypeAdapter(cast(type[object], hints[parameters[2].name])), place)
    except KeyError:
        raise UsageError(f"{place}: annotate {parameters[2].name!r}: a pydantic model, a dataclass, or dict") from None
    except (NameError, TypeError, PydanticUserError) as error:
        raise UsageError(
            f"{place}: {function.__name__}: an annotation cannot be used ({str(error).splitlines()[0]}); "
            "use a pydantic model, a dataclass or dict, imported or defined above the class"
        ) from error


def _name(event: What) -> str:
    return event if isinstance(event, str) else event.__name__
