"""The one saga that a command looks at, whole. Prints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saga_engine.errors import SagaEngineError

if TYPE_CHECKING:
    from saga_engine.orchestrator.client import Client, SagaView


def view_of(client: Client, id_or_key: str, saga: str | None = None) -> SagaView:
    """The saga of that id, or the newest one of that key.

    Raises:
        NotFoundError, UsageError: as `Client.find`.
        SagaEngineError: its rows are damaged, or of a newer release.
    """
    saga_id = client.find(id_or_key, saga)
    version: object = client.status(saga_id).version
    if not isinstance(version, int):
        # SQLite keeps a word where a number belongs, and nothing could be compared with it.
        raise SagaEngineError(
            f"saga {saga_id}: its row says version {version!r:.80}, expected a number: somebody has changed it; "
            f"`saga audit {saga_id}` says what else does not fit; put it right, or restore a backup"
        )
    return client.view(saga_id)
