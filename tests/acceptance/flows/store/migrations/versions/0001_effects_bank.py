"""The effects of bank."""

from __future__ import annotations

from store.migrations.effects_table import create

revision = "0001_effects_bank"
down_revision = None
branch_labels = ("bank",)
depends_on = None

upgrade = create
