"""Which subjects a pattern of NATS stands for."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from saga_engine.settings.sections import EventstoreSection
from saga_engine.subjects import covers


@pytest.mark.parametrize(
    ("pattern", "subject"),
    [
        ("ORDERS.created", "ORDERS.created"),
        ("ORDERS.*", "ORDERS.created"),
        ("ORDERS.*", "ORDERS.*"),
        ("ORDERS.>", "ORDERS.created"),
        ("ORDERS.>", "ORDERS.eu.created"),
        ("ORDERS.>", "ORDERS.*"),
        ("ORDERS.>", "ORDERS.eu.>"),
        ("*.created", "ORDERS.created"),
    ],
)
def test_a_pattern_stands_for_what_fits_it(pattern: str, subject: str) -> None:
    assert covers(pattern, subject)


@pytest.mark.parametrize(
    ("pattern", "subject"),
    [
        ("ORDERS.created", "ORDERS.*"),
        ("ORDERS.*", "ORDERS"),
        ("ORDERS.*", "ORDERS.eu.created"),
        ("ORDERS.*", "ORDERS.>"),
        ("ORDERS.>", "ORDERS"),
        ("ORDERS.>", "BILLS.created"),
        ("ORDERS.eu.>", "ORDERS.>"),
    ],
)
def test_a_pattern_does_not_stand_for_anything_else(pattern: str, subject: str) -> None:
    assert not covers(pattern, subject)


@pytest.mark.parametrize("pattern", ["ORDERS", "ORDERS.created", "ORDERS.*", "ORDERS.*.done", "sagas.x", "a-b.>"])
def test_these_types_may_be_named_for_an_event_store(pattern: str) -> None:
    assert EventstoreSection(event_types=(pattern,)).event_types == (pattern,)


def test_a_flag_names_several_with_commas() -> None:
    given = EventstoreSection.model_validate({"event_types": "ORDERS.*, BILLS.sent"})
    assert given.event_types == ("ORDERS.*", "BILLS.sent")


@pytest.mark.parametrize("pattern", ["", "*", ">", "*.created", "saga.*", "saga", "$JS.API", "a..b", "a.>.b", "a b"])
def test_these_would_open_too_much_or_name_nothing(pattern: str) -> None:
    with pytest.raises(ValidationError, match="must be a subject, as in"):
        EventstoreSection(event_types=(pattern,))
