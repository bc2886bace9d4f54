"""The effects of stock."""

from __future__ import annotations

from store.migrations.effects_table import create

revision = "0001_effects_stock"
down_revision = None
branch_labels = ("stock",)
depends_on = None

upgrade = create
