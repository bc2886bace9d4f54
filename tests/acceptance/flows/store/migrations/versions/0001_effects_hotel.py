"""The effects of hotel."""

from __future__ import annotations

from store.migrations.effects_table import create

revision = "0001_effects_hotel"
down_revision = None
branch_labels = ("hotel",)
depends_on = None

upgrade = create
