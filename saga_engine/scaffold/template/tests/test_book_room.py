"""The course of `book_room`, by the engine's own orchestrator and workers, in memory and in virtual time."""

from saga_engine.testing.system import SagaSystem

from store import bookings


def test_a_booking_is_charged_and_keeps_its_room(saga_system_with_handlers: SagaSystem) -> None:
    saga = saga_system_with_handlers.start("book_room", {"booking_id": "b-1", "nights": 2})
    assert saga.ended() == "completed"
    assert saga.output == {"receipt": "R-b-1"}
    with saga_system_with_handlers.database("hotel").connect() as db:
        assert bookings.statuses(db) == {"b-1": bookings.HELD}


def test_a_declined_card_releases_the_room(saga_system_with_handlers: SagaSystem) -> None:
    saga = saga_system_with_handlers.start("book_room", {"booking_id": "b-2", "nights": 30})
    assert saga.ended() == "compensated"
    assert [event.name for event in saga.emitted] == ["RoomHeld", "RoomReleased"]
    with saga_system_with_handlers.database("hotel").connect() as db:
        assert bookings.statuses(db) == {"b-2": bookings.RELEASED}


def test_a_payment_service_that_is_down_for_an_hour_fails_nothing(saga_system_with_handlers: SagaSystem) -> None:
    saga_system_with_handlers.participant("payment").on("charge").is_silent(for_="1h")
    saga = saga_system_with_handlers.start("book_room", {"booking_id": "b-3", "nights": 2})
    saga_system_with_handlers.advance("50m")
    assert saga.status == "running"
    assert saga.ended() == "completed"
