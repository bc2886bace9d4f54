"""The effects of payout."""

from __future__ import annotations

from store.migrations.effects_table import create

revision = "0001_effects_payout"
down_revision = None
branch_labels = ("payout",)
depends_on = None

upgrade = create
