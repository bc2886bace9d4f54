"""The secondary indexes of the engine's tables, for whoever makes or compares tables without migrations.

Apart from the tables because SQLAlchemy imports each dialect that an index has an option for: no query needs that.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import Index, MetaData, text

from saga_engine.sql.schema import engine_tables, streams


@cache
def indexed_engine_tables() -> MetaData:
    """The engine's tables as a migrated database has them: with their indexes. Made once."""
    made = MetaData()
    for table in engine_tables.sorted_tables:
        table.to_metadata(made)
    columns = made.tables[streams.name].c
    Index(
        "saga_streams_due",
        columns.partition,
        columns.next_due,
        postgresql_where=text("next_due IS NOT NULL"),
        sqlite_where=text("next_due IS NOT NULL"),
    )
    Index("saga_streams_status", columns.status, columns.stream_id)
    Index("saga_streams_saga", columns.saga, columns.stream_id)
    return made
