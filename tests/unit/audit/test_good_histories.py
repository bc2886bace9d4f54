"""Good histories: whatever the real engine does, in every course of these sagas, no checker objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from saga_engine.audit.check import judge, numbers, texts
from saga_engine.audit.history import Section
from saga_engine.core.events import Verb
from saga_engine.testing.sources import Source
from tests.unit.audit.recorded import KEPT, Recorded, recorded
from tests.unit.core.sagas import BOOK, FAN, PIVOT, saga

REPOSITORY = Path(__file__).resolve().parents[3]
FLOWS = sorted((REPOSITORY / "tests" / "acceptance" / "flows" / "definitions").glob("*.yaml"))
_LOOP = "retry: {maximum_attempts: 2}, for_each: {in: '${{ input.items }}', as: item, max_parallel: 2, tolerate: 1}"
ITEMS = saga(
    """
    step: open, call: p.open, compensate: {call: p.undo_open}
    step: pack, call: p.pack, with: {n: "${{ item }}"}, compensate: {call: p.unpack}, LOOP
    step: close, call: p.close, kind: retriable
    """.replace("LOOP", _LOOP)
)
EMITTING = saga(
    """
    step: one, call: p.one, emit: OneDone, compensate: {call: p.undo_one, emit: OneUndone}
    step: nap, sleep: 1h
    step: ask, wait: {event: Answered, timeout: 2h, on_timeout: continue}
    step: two, call: p.two, emit: TwoDone, compensate: none
    """,
    "emit: {completed: AllDone, compensated: AllUndone}",
)
GIVES_UP = saga(
    """
    step: one, call: p.one, compensate: {call: p.undo_one, retry: {maximum_attempts: 2}, on_exhausted: continue}
    step: two, call: p.two, compensate: none
    """
)
LIMITED = saga(
    """
    step: one, call: p.one, timeout: {reply: 1s, total: 10s}, compensate: {call: p.undo_one}
    step: two, call: p.two, compensate: none
    """,
    "timeout: 1m",
)


def completes(run: Recorded) -> None:
    assert run.system.start("trip").ended() == "completed"


def is_rejected(run: Recorded) -> None:
    run.system.participant("rent").on("book").rejects("no_car")
    assert run.system.start("trip").ended() == "compensated"


def fails_until_spent(run: Recorded) -> None:
    run.system.participant("rent").on("book").fails(times=9)
    run.system.participant("inn").on("cancel").fails(times=3)
    assert run.system.start("trip").ended() == "compensated"


def is_silent_and_cancelled(run: Recorded) -> None:
    run.system.participant("inn").on("book").is_silent(for_="1h", after_effect=True)
    trip = run.system.start("trip")
    run.system.advance("10m")
    trip.cancel()
    assert trip.ended() == "compensated"
    run.system.advance("2h")


def is_overtaken_by_its_compensation(run: Recorded) -> None:
    run.system.participant("inn").on("book").is_silent(for_="1h")
    trip = run.system.start("trip")
    run.system.advance("1m")
    trip.cancel()
    assert trip.ended() == "compensated"
    run.system.advance("2h")


def is_blocked_retried_and_skipped(run: Recorded) -> None:
    run.system.participant("rent").on("book").rejects("no_car")
    run.system.participant("inn").on("cancel").fails(times=40)
    run.system.participant("air").on("cancel").fails(times=20)
    trip = run.system.start("trip")
    trip.becomes("blocked")
    trip.operate(Verb.RETRY)
    run.system.advance("30s")
    trip.becomes("blocked")
    trip.operate(Verb.SKIP)
    trip.becomes("blocked")
    trip.operate(Verb.RESOLVE)
    assert trip.ended() == "closed"


def is_suspended_and_resumed(run: Recorded) -> None:
    run.system.participant("inn").on("book").is_silent(for_="1m")
    trip = run.system.start("trip")
    trip.suspend()
    run.system.advance("5m")
    trip.resume()
    assert trip.ended() == "completed"


def stays_suspended(run: Recorded) -> None:
    run.system.participant("air").on("book").is_silent(for_="1m")
    trip = run.system.start("trip")
    trip.suspend()
    run.system.advance("2h")
    assert trip.status == "suspended"


def pivot_is_rejected(run: Recorded) -> None:
    run.system.participant("card").on("charge").fails(times=7).rejects("declined")
    trip = run.system.start("trip")
    trip.cancel()
    assert trip.ended() == "compensated"


def goes_forward_past_the_pivot(run: Recorded) -> None:
    run.system.participant("post").on("ship").fails(times=12).rejects("not_now", times=3)
    trip = run.system.start("trip")
    trip.cancel()
    assert trip.ended() == "completed"


def fans_back(run: Recorded) -> None:
    run.system.participant("p").on("join").rejects("no")
    run.system.participant("p").on("undo_left").is_silent(for_="5m")
    assert run.system.start("trip").ended() == "compensated"


def half_fans_back(run: Recorded) -> None:
    run.system.participant("p").on("left").is_silent(for_="3m")
    run.system.participant("p").on("right").rejects("no")
    assert run.system.start("trip").ended() == "compensated"


def tolerates_an_item(run: Recorded) -> None:
    run.system.participant("p").on("pack", {"n": 1}).fails(times=2)
    assert run.system.start("trip", {"items": [0, 1, 2, 3]}).ended() == "completed"


def tolerates_no_second_item(run: Recorded) -> None:
    run.system.participant("p").on("pack", {"n": 1}).rejects("no")
    run.system.participant("p").on("pack", {"n": 2}).fails(times=2)
    assert run.system.start("trip", {"items": [0, 1, 2, 3]}).ended() == "compensated"


def sleeps_and_waits(run: Recorded) -> None:
    trip = run.system.start("trip")
    run.system.advance("90m")
    trip.signal("Answered", {"a": 1})
    assert trip.ended() == "completed"


def waits_in_vain(run: Recorded) -> None:
    assert run.system.start("trip").ended() == "completed"


def emits_when_undone(run: Recorded) -> None:
    run.system.participant("p").on("two").rejects("no")
    assert run.system.start("trip").ended() == "compensated"


def an_effect_stands(run: Recorded) -> None:
    run.system.participant("p").on("two").rejects("no")
    run.system.participant("p").on("undo_one").fails(times=2)
    assert run.system.start("trip").ended() == "closed"


def gives_up_a_silent_step(run: Recorded) -> None:
    run.system.participant("p").on("one").is_silent(for_="20s", after_effect=True)
    assert run.system.start("trip").ended() == "compensated"


def runs_out_of_time(run: Recorded) -> None:
    run.system.participant("p").on("two").is_silent(for_="1h")
    assert run.system.start("trip").ended() == "compensated"
    run.system.advance("2h")


COURSES: list[tuple[Sequence[Source], Callable[[Recorded], None]]] = [
    ([BOOK], completes),
    ([BOOK], is_rejected),
    ([BOOK], fails_until_spent),
    ([BOOK], is_silent_and_cancelled),
    ([BOOK], is_overtaken_by_its_compensation),
    ([BOOK], is_blocked_retried_and_skipped),
    ([BOOK], is_suspended_and_resumed),
    ([BOOK], stays_suspended),
    ([PIVOT], completes),
    ([PIVOT], pivot_is_rejected),
    ([PIVOT], goes_forward_past_the_pivot),
    ([FAN], completes),
    ([FAN], fans_back),
    ([FAN], half_fans_back),
    ([ITEMS], tolerates_an_item),
    ([ITEMS], tolerates_no_second_item),
    ([EMITTING], sleeps_and_waits),
    ([EMITTING], waits_in_vain),
    ([EMITTING], emits_when_undone),
    ([GIVES_UP], an_effect_stands),
    ([LIMITED], gives_up_a_silent_step),
    ([LIMITED], runs_out_of_time),
]


@pytest.mark.parametrize(("sources", "course"), COURSES, ids=lambda value: getattr(value, "__name__", ""))
def test_no_checker_objects_to_what_the_engine_does(
    sources: Sequence[Source], course: Callable[[Recorded], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with recorded(monkeypatch, *sources) as run:
        course(run)
        report = judge(run.history())
    assert [str(violation) for violation in report.violations] == []
    assert set(report.checked) == {number for number in numbers() if texts(number, KEPT | {Section.REST})}
    assert report.sagas == 1


def test_no_checker_objects_to_a_saga_that_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with recorded(monkeypatch, BOOK) as run:
        run.system.participant("inn").on("book").fails(times=2).is_silent(for_="1h")
        run.system.start("trip")
        for _ in range(20):
            run.system.advance("3s")
            assert [str(violation) for violation in judge(run.history(at_rest=False)).violations] == []
