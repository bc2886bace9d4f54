"""The hotel's bookings."""

from alembic import op
from sqlalchemy import Column, Integer, Text

revision = "0001_bookings"
down_revision = None
branch_labels = ("hotel",)  # the participant whose database it is for
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bookings",
        Column("booking_id", Text, primary_key=True),
        Column("saga_id", Text, primary_key=True),
        Column("nights", Integer, nullable=False),
        Column("status", Text, nullable=False),
        if_not_exists=True,
    )
