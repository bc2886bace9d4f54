"""The databases of a service: set up, or found to be, before it works; as files, those that it must keep to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from saga_engine import databases
from saga_engine.bootstrap.serving import patiently
from saga_engine.bootstrap.stores import is_embedded
from saga_engine.databases import Database
from saga_engine.errors import SchemaMissingError
from saga_engine.ports.store import RunSync
from saga_engine.settings.settled import Settings
from saga_engine.sql.files import OpenedFile, file_of


async def prepare(settings: Settings, used: Sequence[Database], run_sync: RunSync) -> None:
    """Set up what is embedded; ask for `saga db upgrade` where somebody else's database is behind.

    Raises:
        SchemaMissingError: such a database is not set up for this release.
        StoreUnavailableError: it was not there within `START_WAIT_S`.
    """
    for database in used:
        if is_embedded(database.url.get_secret_value()):
            await run_sync(partial(databases.upgrade, settings, database))
            continue
        far = await patiently(partial(databases.status, settings, database), run_sync)
        if far.pending:
            raise SchemaMissingError(
                f"the database of {database.branch} is not set up for this release "
                f"(pending: {', '.join(far.pending)}): run `saga db upgrade`"
            )


def opened_files(used: Sequence[Database]) -> Sequence[OpenedFile]:
    """The files among them, each once."""
    paths = {file_of(one.url.get_secret_value()) for one in used}
    return [OpenedFile.of(path) for path in paths if path is not None]
