"""The effects of car."""

from __future__ import annotations

from store.migrations.effects_table import create

revision = "0001_effects_car"
down_revision = None
branch_labels = ("car",)
depends_on = None

upgrade = create
