"""What the doctor says of projections: followed, behind with nobody following, held back."""

from __future__ import annotations

from saga_engine.bootstrap.projections import Opened
from saga_engine.doctor import projections
from saga_engine.doctor.finding import Finding, Severity
from saga_engine.doctor.sagas import MINUTE
from tests.integration.projections.orders import Orders, View


def judged(orders: Orders, view: View, later: int) -> Finding:
    return projections.judge(Opened(orders.store, view.taker, view.unseen), orders.store.now() + later)


def test_a_projection_that_nobody_follows_is_a_warning_with_the_next_command(orders: Orders, view: View) -> None:
    assert judged(orders, view, 0).severity is Severity.OK
    orders.start(range(3))
    assert judged(orders, view, 0).severity is Severity.OK
    late = judged(orders, view, 15 * MINUTE)
    assert (late.severity, late.where, late.next) == (
        Severity.WARNING,
        "order_view",
        "saga run --projection order_view",
    )
    assert "events of 3 sagas or more, the oldest for 90" in late.what


def test_a_projection_that_has_taken_everything_in_is_fine_however_long_ago(orders: Orders, view: View) -> None:
    sagas = orders.start(range(3))
    view.take(sagas)
    assert judged(orders, view, 15 * MINUTE).severity is Severity.OK
    orders.create(sagas[:1])
    late = judged(orders, view, 15 * MINUTE)
    assert late.severity is Severity.WARNING
    assert "events of 1 saga or more" in late.what
