"""The tables of payment."""

from __future__ import annotations

from store.migrations.participant_tables import create

revision = "0001_tables_payment"
down_revision = None
branch_labels = ("payment",)
depends_on = None

upgrade = create
