"""The tables of bank."""

from __future__ import annotations

from store.migrations.participant_tables import create

revision = "0001_tables_bank"
down_revision = None
branch_labels = ("bank",)
depends_on = None

upgrade = create
