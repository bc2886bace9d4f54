"""The effects of flight."""

from __future__ import annotations

from store.migrations.effects_table import create

revision = "0001_effects_flight"
down_revision = None
branch_labels = ("flight",)
depends_on = None

upgrade = create
