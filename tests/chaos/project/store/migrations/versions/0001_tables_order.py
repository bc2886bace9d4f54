"""The tables of order."""

from __future__ import annotations

from store.migrations.participant_tables import create

revision = "0001_tables_order"
down_revision = None
branch_labels = ("order",)
depends_on = None

upgrade = create
