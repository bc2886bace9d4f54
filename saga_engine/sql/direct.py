"""A statement that is compiled once for a dialect and then run on the driver's own cursor, in whatever transaction.

SQLAlchemy writes the SQL, converts the values and translates the errors. What is left out is its work for each
execution, which costs several times what the statement does. Knows no table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Generic, TypeAlias, TypeVar, overload
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, Connection, Dialect, Executable, TupleType
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import CompilerElement
from sqlalchemy.sql.selectable import ReturnsRows, TypedReturnsRows

R = TypeVar("R", bound=tuple[Any, ...])
T = TypeVar("T")

# What drivers take and give: known to the columns' types only.
_Value: TypeAlias = Any
_Values: TypeAlias = Sequence[_Value] | Mapping[str, _Value]
_Driver: TypeAlias = Any
_Process: TypeAlias = Callable[[_Value], _Value]

_AUTOCOMMITTING: Final = "saga_engine_autocommitting"

_PADDED_TO: Final = 1_024
"""Lists are filled up, with their last value, to the next power of two, and from here on to the next multiple of it:
so a statement has few texts, whatever the length of its lists, and the driver keeps each of them prepared."""


class Statement(Generic[R]):
    """A statement of SQLAlchemy Core; rows are plain tuples of the type `R`. Safe from several threads.

    A parameter that is a list in the statement (`expanding`) must be usable with a value of it repeated, as in IN.
    Every method raises SQLAlchemy's exceptions, with the connection invalidated where it was lost, as
    `Connection.execute` does.
    """

    @overload
    def __init__(self, statement: TypedReturnsRows[R]) -> None: ...
    @overload
    def __init__(self: Statement[tuple[()]], statement: Executable) -> None: ...
    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: WeakKeyDictionary[Dialect, _Compiled] = WeakKeyDictionary()

    def fetch(self, connection: Connection, parameters: Mapping[str, _Value] | None = None) -> list[R]:
        """Run it once; all its rows."""
        compiled = self._for(connection)
        text, values = compiled.bound(parameters or {})
        return compiled.read(fetch(connection, text, values))

    def execute(self, connection: Connection, parameters: Mapping[str, _Value] | None = None) -> int:
        """Run it once; how many rows it changed."""
        text, values = self._for(connection).bound(parameters or {})
        return execute(connection, text, values)

    def execute_many(self, connection: Connection, rows: Iterable[Mapping[str, _Value]]) -> int:
        """Run it for each of these, at least one, which have no lists in them; how many rows were changed in all."""
        compiled = self._for(connection)
        bound = [compiled.bound(row) for row in rows]
        return execute_many(connection, bound[0][0], [values for _, values in bound])

    def _for(self, connection: Connection) -> _Compiled:
        dialect = connection.dialect
        compiled = self._compiled.get(dialect)
        if compiled is None:
            compiled = self._compiled[dialect] = _Compiled(self._statement, dialect)
        return compiled


def fetch(connection: Connection, text: str, values: _Values = ()) -> list[Any]:
    """All rows of a statement in the driver's own form, whose values need no conversion."""
    if not _unobserved(connection):
        return [tuple(row) for row in connection.exec_driver_sql(text, values).all()]
    return _on_cursor(connection, _fetch, text, values)


def execute(connection: Connection, text: str, values: _Values = ()) -> int:
    """Run such a statement; how many rows it changed."""
    if not _unobserved(connection):
        return connection.exec_driver_sql(text, values).rowcount
    return _on_cursor(connection, _execute, text, values)


def execute_many(connection: Connection, text: str, rows: Sequence[Any]) -> int:
    """Run such a statement for each of these; how many rows were changed in all."""
    if len(rows) == 1:
        # For one alone psycopg's way for many is the longer one.
        return execute(connection, text, rows[0])
    if not _unobserved(connection):
        return connection.exec_driver_sql(text, [*rows]).rowcount
    return _on_cursor(connection, _execute_many, text, rows)


def execute_each(connection: Connection, text: str, rows: Sequence[_Values]) -> list[int]:
    """Run such a statement for each of these; how many rows each of them changed."""
    if not _unobserved(connection):
        return [connection.exec_driver_sql(text, row).rowcount for row in rows]
    return _on_cursor(connection, _execute_each, text, rows)


def begin(connection: Connection, text: str) -> None:
    """Begin a transaction by this statement, while SQLAlchemy is about to take note of it (its event `begin`)."""
    if _observed(connection):
        connection.exec_driver_sql(text)
    else:
        _on_cursor(connection, _execute, text, ())


def autocommitting(connection: Connection) -> Connection:
    """The same connection, for statements that need no transaction.

    Each sees what is committed when it starts, and is committed when it returns.
    """
    if connection.dialect.name != "sqlite":  # whose driver begins nothing by itself, as `sql.engine` sets it up
        let_driver_begin(connection, False)
    return connection.execution_options(**{_AUTOCOMMITTING: True})


def let_driver_begin(connection: Connection, begins: bool) -> None:
    """Whether the driver is to begin a transaction before a statement. It stays so when the connection is given back:

    to switch it to and fro for each statement, as SQLAlchemy does, takes longer than all else done for one here.
    """
    driver: _Driver = connection.connection.driver_connection
    if driver.autocommit is begins:
        try:
            driver.autocommit = not begins
        except connection.dialect.loaded_dbapi.Error as error:
            connection._handle_dbapi_exception(error, None, None, None, None)


def is_autocommitting(connection: Connection) -> bool:
    """Whether the connection was made so by `autocommitting`."""
    return _AUTOCOMMITTING in connection.get_execution_options()


def _unobserved(connection: Connection) -> bool:
    """Whether the driver may be asked directly.

    Not where somebody listens to the statements, and not where SQLAlchemy would first begin a transaction, or refuse
    since that at hand is over.
    """
    if _observed(connection):
        return False
    transaction = connection.get_nested_transaction() or connection.get_transaction()
    return is_autocommitting(connection) if transaction is None else transaction.is_active


def _observed(connection: Connection) -> bool:
    """Whether somebody listens to the statements of this engine: a test, tracing."""
    dispatch = connection.engine.dispatch
    return bool(dispatch.before_cursor_execute or dispatch.after_cursor_execute)


def _on_cursor(
    connection: Connection, run: Callable[[DBAPICursor, str, Any], T], text: str, values: _Values | Sequence[_Values]
) -> T:
    cursor = connection.connection.cursor()
    try:
        result = run(cursor, text, values)
        cursor.close()
    except BaseException as error:  # noqa: BLE001 - given to SQLAlchemy, which raises what it makes of it
        # It has no public name for that: what means a lost connection, and what becomes of it and the others of the
        # pool. What does not come of the driver, it raises as it is.
        failed = text if isinstance(error, connection.dialect.loaded_dbapi.Error) else None
        connection._handle_dbapi_exception(error, failed, None, cursor, None)
    return result


def _fetch(cursor: DBAPICursor, text: str, values: _Values) -> list[Any]:
    cursor.execute(text, values)
    rows: list[Any] = cursor.fetchall()  # type: ignore[assignment]  # a list with all drivers that we have
    return rows


def _execute(cursor: DBAPICursor, text: str, values: _Values) -> int:
    cursor.execute(text, values)
    return cursor.rowcount


def _execute_many(cursor: DBAPICursor, text: str, rows: Sequence[Any]) -> int:
    cursor.executemany(text, rows)
    return cursor.rowcount


def _execute_each(cursor: DBAPICursor, text: str, rows: Sequence[_Values]) -> list[int]:
    changed: list[int] = []
    for values in rows:
        cursor.execute(text, values)
        changed.append(cursor.rowcount)
    return changed


@dataclass(frozen=True, slots=True)
class _Shape:
    """A statement's text for lists of certain lengths, and what becomes of its parameters."""

    text: str
    names: tuple[str, ...]
    """In the order of the driver."""
    elements: tuple[tuple[str, tuple[str, ...]], ...]
    """Each list's name, and the names of its elements."""
    processes: tuple[tuple[str, _Process], ...]


class _Compiled:
    """A statement for one dialect."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        if not isinstance(statement, CompilerElement):
            raise TypeError(f"expected a statement that has a text, got {type(statement).__name__}")
        compiled = statement.compile(dialect=dialect)
        if not isinstance(compiled, SQLCompiler):
            raise TypeError(f"expected a statement about rows, got {type(statement).__name__}")
        self._compiled = compiled
        single = (
            (name, bind.type) for name, bind in compiled.binds.items() if bind not in compiled.post_compile_params
        )
        made = ((name, kind.dialect_impl(dialect).bind_processor(dialect)) for name, kind in single)
        self._processes = {name: process for name, process in made if process is not None}
        self._constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        self._lists = {bind.key: isinstance(bind.type, TupleType) for bind in compiled.post_compile_params}
        self._plain = None if self._lists else self._shape({})
        self._shapes: dict[tuple[int, ...], _Shape] = {}
        columns: Iterable[ColumnElement[Any]] = statement.exported_columns if isinstance(statement, ReturnsRows) else ()
        found = (column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns)
        self._readers: tuple[tuple[int, _Process], ...] = tuple(
            (place, read) for place, read in enumerate(found) if read is not None
        )

    def bound(self, parameters: Mapping[str, _Value]) -> tuple[str, _Values]:
        """The text and its values, as the driver takes them. Raises `KeyError` for a parameter without a value."""
        values = {**self._constants, **parameters}
        shape = self._plain or self._expanded(values)
        for name, process in shape.processes:
            values[name] = process(values[name])
        if self._compiled.positional:
            return shape.text, tuple([values[name] for name in shape.names])
        return shape.text, {name: values[name] for name in shape.names}

    def read(self, rows: list[Any]) -> list[Any]:
        """Rows of the driver with the values of the columns' types."""
        if not self._readers:
            return rows
        if len(self._readers) == 1 and self._readers[0][0] == 0:
            # The commonest by far: an id, and then what drivers know themselves.
            first = self._readers[0][1]
            return [(first(row[0]), *row[1:]) for row in rows]
        return [self._read(row) for row in rows]

    def _read(self, row: Iterable[_Value]) -> tuple[_Value, ...]:
        values = [*row]
        for place, read in self._readers:
            values[place] = read(values[place])
        return tuple(values)

    def _expanded(self, values: dict[str, _Value]) -> _Shape:
        """The shape for the lists that are there, which are taken apart."""
        lists = {name: _padded(values[name]) for name in self._lists}
        lengths = tuple(map(len, lists.values()))
        shape = self._shapes.get(lengths)
        if shape is None:
            shape = self._shapes[lengths] = self._shape({**values, **lists})
        for name, elements in shape.elements:
            each = chain.from_iterable(lists[name]) if self._lists[name] else lists[name]
            values.update(zip(elements, each, strict=True))
        return shape

    def _shape(self, sample: Mapping[str, _Value]) -> _Shape:
        state = self._compiled.construct_expanded_state({**dict.fromkeys(self._compiled.binds), **sample})
        names = tuple(state.parameters if state.positiontup is None else state.positiontup)
        return _Shape(
            state.statement,
            names,
            tuple((name, tuple(elements)) for name, elements in state.parameter_expansion.items()),
            tuple((name, each) for name, each in {**self._processes, **state.processors}.items() if name in names),
        )


def _padded(values: Iterable[_Value]) -> list[_Value]:
    padded = [*values]
    length = len(padded)
    if length > 1:
        wanted = 1 << (length - 1).bit_length() if length <= _PADDED_TO else -(-length // _PADDED_TO) * _PADDED_TO
        padded += padded[-1:] * (wanted - length)
    return padded
