"""Definitions that say otherwise what the store has under their version: told before `saga start` refuses them.

Owns that warning. Looks into a database that is a file alone: a check before a deployment must not need a server.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.definition.loader import Loaded
from saga_engine.definition.problems import Finding
from saga_engine.orchestrator.starting import changed_definitions
from saga_engine.settings.settled import Settings
from saga_engine.sql.engine import open_engine
from saga_engine.sql.files import file_of

_CODE = "W311"


def with_changed(settings: Settings, loaded: Sequence[Loaded]) -> Sequence[Loaded]:
    """Each with a warning where its version was registered with other content. Nothing is made, written or upgraded.

    Raises:
        StoreUnavailableError, SchemaMissingError: the file is there and is no store of this release.
    """
    url = settings.database.get_secret_value()
    file = file_of(url)
    if file is None or not file.exists():
        return loaded
    with closing(SqlEventStore(open_engine(url))) as store:
        changed = {(one.saga, one.version) for one in changed_definitions(store, [each.definition for each in loaded])}
    return [_warned(one) if (one.definition.saga, one.definition.version) in changed else one for one in loaded]


def _warned(loaded: Loaded) -> Loaded:
    saga, version = loaded.definition.saga, loaded.definition.version
    message = f"saga {saga} version {version} was changed after it was registered"
    hint = f"raise its version, or restore it; `saga definitions diff {saga}` shows the difference"
    placed = loaded.place([Finding(_CODE, ("version",), message, "", hint)])
    return replace(loaded, warnings=tuple(sorted({*loaded.warnings, *placed.problems})))
