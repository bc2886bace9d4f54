"""INSERT with an ON CONFLICT clause, which SQLAlchemy has per dialect only.

Owns which dialect's form is taken, and imports no other: a command on a SQLite file need not wait for PostgreSQL's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Table

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def insert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that takes an ON CONFLICT clause. `dialect`: the name of the one that will execute it."""
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)
