"""Many rows as an array for each column, in the text that PostgreSQL and CockroachDB read, and the rows in a statement.

The same rows in JSON cost such a server, and with few columns us as well, more than all else of reading them. Knows no
table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    ColumnClause,
    ColumnElement,
    TableValuedAlias,
    bindparam,
    cast,
    func,
    literal_column,
)
from sqlalchemy.types import TypeEngine, UserDefinedType

_AnyColumn = ColumnClause[Any]  # of whatever type: only the server looks into it
_LINE_BREAK: Final[ColumnElement[str]] = literal_column("E'\\n'")


class _Untyped(UserDefinedType[str]):
    """A parameter whose type the server takes from what is around it, so that its text is read once, when it is bound.

    Cast from text instead, an array of ids is read anew for every row that is compared with it.
    """

    cache_ok = True


def array_of(parameter: str, kind: TypeEngine[Any]) -> ColumnElement[Sequence[Any]]:
    """An array of that type; the parameter is made by `plain` or `texts`."""
    return cast(bindparam(parameter, type_=_Untyped()), ARRAY(kind))


def rows_of(parameter: str, *columns: _AnyColumn, lines: _AnyColumn | None = None) -> TableValuedAlias:
    """`unnest(...) AS parameter_rows(...)`, with a parameter `parameter_column` for each column.

    They are made by `plain` or `texts`, that of the column `lines`, the last one, by `in_lines`.
    """
    arrays: list[ColumnElement[Any]] = [array_of(f"{parameter}_{column.name}", column.type) for column in columns]
    if lines is not None:
        text = bindparam(f"{parameter}_{lines.name}", type_=_Untyped())
        arrays.append(func.string_to_array(text, _LINE_BREAK))
        columns = (*columns, lines)
    return func.unnest(*arrays).table_valued(*columns).render_derived(name=f"{parameter}_rows")


def plain(values: Iterable[object]) -> str:
    """An array of numbers, ids or words that need no quotes; None becomes NULL."""
    return f"{{{','.join(['NULL' if value is None else str(value) for value in values])}}}"


def texts(values: Iterable[str]) -> str:
    """An array of any texts."""
    return f"{{{','.join([_quoted(value) for value in values])}}}"


def in_lines(values: Sequence[bytes]) -> str:
    """Texts of some length that hold no line break, as JSON in one line does not. ValueError for one that does."""
    joined = b"\n".join(values)
    if joined.count(b"\n") >= len(values):
        raise ValueError("an event's data holds a line break; expected JSON as the codec writes it")
    return joined.decode()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
