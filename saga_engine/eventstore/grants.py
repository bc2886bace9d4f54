"""What the event store service may do in the databases, and no more, as GRANT statements. See `sql.grants`."""

from __future__ import annotations

from typing import Final

from saga_engine.eventstore.tables import BRANCH, domain_events, domain_streams
from saga_engine.sql.grants import SqlRole, usage
from saga_engine.sql.migrate import ENGINE_BRANCH, version_table
from saga_engine.sql.schema import events, snapshots, streams

EVENTSTORE: Final = "saga_eventstore"


def reads_sagas() -> SqlRole:
    """Reads the streams of sagas, which the event store serves as aggregates. Changes nothing there."""
    reads = ", ".join((streams.name, events.name, snapshots.name, version_table(ENGINE_BRANCH)))
    return SqlRole(
        EVENTSTORE,
        "runs `saga eventstore`",
        ENGINE_BRANCH,
        (usage(EVENTSTORE), f"GRANT SELECT ON {reads} TO {EVENTSTORE}"),
    )


def keeps_events() -> SqlRole:
    """The same role where domain events are kept. May add events, and neither change nor delete one."""
    return SqlRole(
        EVENTSTORE,
        "keeps domain events",
        BRANCH,
        (
            usage(EVENTSTORE),
            f"GRANT SELECT, INSERT, UPDATE ON {domain_streams.name} TO {EVENTSTORE}",
            f"GRANT SELECT, INSERT ON {domain_events.name} TO {EVENTSTORE}",
            f"GRANT SELECT ON {version_table(BRANCH)} TO {EVENTSTORE}",
        ),
    )
