"""Bookings of the hotel, by the saga that made them."""

from uuid import UUID

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert, select, update

HELD, RELEASED = "held", "released"

metadata = MetaData()
bookings = Table(
    "bookings",
    metadata,
    Column("booking_id", Text, primary_key=True),
    Column("saga_id", Text, primary_key=True),
    Column("nights", Integer, nullable=False),
    Column("status", Text, nullable=False),
)


def hold(db: Connection, saga_id: UUID, booking_id: str, nights: int) -> None:
    """Hold a room."""
    db.execute(insert(bookings).values(booking_id=booking_id, saga_id=str(saga_id), nights=nights, status=HELD))


def release(db: Connection, saga_id: UUID, booking_id: str) -> None:
    """Release the room that this saga holds."""
    held = (bookings.c.booking_id == booking_id) & (bookings.c.saga_id == str(saga_id))
    db.execute(update(bookings).where(held).values(status=RELEASED))


def statuses(db: Connection) -> dict[str, str]:
    """How each booking is."""
    return {row.booking_id: row.status for row in db.execute(select(bookings.c.booking_id, bookings.c.status))}
