"""The one saga that a command looks at, whole. Prints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from saga_engine.errors import NotFoundError, SagaEngineError
from saga_engine.ports.store import StreamFilter

if TYPE_CHECKING:
    from saga_engine.orchestrator.client import Client, SagaView


def view_of(client: Client, id_or_key: str, saga: str | None = None) -> SagaView:
    """The saga of that id, or the newest one of that key.

    Raises:
        NotFoundError, UsageError: as `Client.find`; for what is the name of sagas, with the command that lists them.
        SagaEngineError: its rows are damaged, or of a newer release.
    """
    saga_id = _found(client, id_or_key, saga)
    version: object = client.status(saga_id).version
    if not isinstance(version, int):
        # SQLite keeps a word where a number belongs, and nothing could be compared with it.
        raise SagaEngineError(
            f"saga {saga_id}: its row says version {version!r:.80}, expected a number: somebody has changed it; "
            f"`saga audit {saga_id}` says what else does not fit; put it right, or restore a backup"
        )
    return client.view(saga_id)


def _found(client: Client, id_or_key: str, saga: str | None) -> UUID:
    try:
        return client.find(id_or_key, saga)
    except NotFoundError as error:
        if not client.list(StreamFilter(id_or_key, limit=1)):
            raise
        hint = f"it is the name of sagas: `saga list --saga {id_or_key}` shows their keys"
        raise NotFoundError(f"{error}; {hint}") from None
