"""The tables of a participant, for the first revision of each one's database."""

from __future__ import annotations

from alembic import op
from store.tables import metadata


def create() -> None:
    metadata.create_all(op.get_bind())
