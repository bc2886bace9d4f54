"""Child sagas: put into their parents, and judged together with them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from saga_engine.definition.canonical import definition_hash, definition_to_json
from saga_engine.definition.children import Lookup, NotExpanded, expand
from saga_engine.definition.model import Child, Definition
from saga_engine.definition.order import Order, opened
from saga_engine.definition.stored import definition_from_json
from tests.unit.definition.support import call, compiled, definition, loaded


def saga(name: str, *steps: str) -> Definition:
    return definition(f"saga: {name}\nsteps:\n" + "".join(f"  - {{{step}}}\n" for step in steps))


def among(*found: Definition) -> Lookup:
    by_name: Mapping[str, Definition] = {each.saga: each for each in found}

    def lookup(name: str, version: int | None) -> Definition | None:
        each = by_name.get(name)
        return each if each is not None and version in (None, each.version) else None

    return lookup


def refused(found: Definition, *others: Definition) -> list[str]:
    result = expand(found, among(*others))
    assert isinstance(result, NotExpanded)
    return [finding.code for finding in result.findings]


TRIP = saga("trip", "step: hotel, call: h.book, compensate: none", "step: flight, call: f.book, compensate: none")


def test_a_definition_without_children_comes_back_as_it_is() -> None:
    assert expand(TRIP, among()) is TRIP


def test_a_child_is_pinned_with_its_version_and_survives_storage() -> None:
    parent = saga("sell", "step: trip, saga: trip", "step: tell, call: m.send, kind: retriable")
    whole = expand(parent, among(TRIP))
    assert isinstance(whole, Definition)
    assert whole.steps[0].action == Child("trip", 1, compiled({}), TRIP)
    assert definition_from_json(definition_to_json(whole)) == whole
    assert definition_hash(whole) != definition_hash(parent)


def test_children_of_children_are_put_in_too() -> None:
    middle = saga("middle", "step: inner, saga: trip")
    whole = expand(saga("outer", "step: mid, saga: middle"), among(middle, TRIP))
    assert isinstance(whole, Definition)
    assert [step.name for step in opened(whole)] == ["mid/inner/hotel", "mid/inner/flight"]


def test_the_steps_of_a_child_stand_between_its_neighbours() -> None:
    parent = saga(
        "p", "step: a, sleep: 1s", "step: c, saga: trip", "step: d, saga: trip", "step: z, needs: [d], sleep: 1s"
    )
    whole = expand(parent, among(TRIP))
    assert isinstance(whole, Definition)
    steps = {step.name: step.needs for step in opened(whole)}
    assert steps == {
        "a": (),
        "c/hotel": ("a",),
        "c/flight": ("c/hotel",),
        "d/hotel": ("c/flight",),
        "d/flight": ("d/hotel",),
        "z": ("d/flight",),
    }
    assert Order(opened(whole)).before("a", "z")


@pytest.mark.parametrize(
    ("steps", "codes"),
    [
        (["step: a, saga: nowhere"], ["E216"]),
        (["step: a, saga: trip, version: 2"], ["E216"]),
        (["step: a, saga: nowhere", "step: b, saga: gone"], ["E216", "E216"]),
    ],
)
def test_a_child_that_is_not_there_is_refused(steps: list[str], codes: list[str]) -> None:
    assert refused(saga("p", *steps), TRIP) == codes


def test_a_saga_never_contains_itself_also_through_children() -> None:
    first, second = saga("first", "step: a, saga: second"), saga("second", "step: b, saga: first")
    result = expand(first, among(first, second))
    assert isinstance(result, NotExpanded)
    assert "a saga contains itself: first → second → first" in str(result)


def test_a_child_may_hold_the_pivot_but_there_is_only_one() -> None:
    paying = saga("paying", "step: pay, call: p.pay, kind: pivot")
    one = saga(
        "p", "step: a, call: p.c, compensate: none", "step: b, saga: paying", "step: c, call: p.c, kind: retriable"
    )
    assert isinstance(expand(one, among(paying)), Definition)
    assert refused(saga("p", "step: a, saga: paying", "step: b, saga: paying"), paying) == ["E206"]


def test_the_kinds_of_a_child_are_judged_where_it_stands() -> None:
    late = saga("p", "step: a, call: p.c, kind: pivot", "step: b, saga: trip")
    assert refused(late, TRIP) == ["E207", "E207"]
    after = saga("p", "step: a, call: p.c, kind: retriable", "step: b, saga: trip")
    assert refused(after, TRIP) == ["E211", "E211"]
    waiting = saga("waiting", "step: w, wait: {event: Paid, timeout: 1h}")
    assert refused(saga("p", "step: a, call: p.c, kind: pivot", "step: b, saga: waiting"), waiting) == ["E212"]


def test_read_only_steps_of_a_child_past_the_point_of_no_return_have_no_bound() -> None:
    asking = saga("asking", "step: ask, call: p.ask, kind: read_only")
    parent = saga("p", "step: a, saga: asking", "step: b, call: p.c, kind: pivot", "step: c, saga: asking")
    whole = expand(parent, among(asking))
    assert isinstance(whole, Definition)
    bounds = []
    for step in (whole.steps[0], whole.steps[2]):
        assert isinstance(step.action, Child)
        assert step.action.definition is not None
        bounds.append(call(step.action.definition, "ask").retry.maximum_attempts)
    assert bounds == [5, None]


def test_children_that_multiply_beyond_a_thousand_steps_are_refused_at_once() -> None:
    levels = [saga("level0", "step: a, sleep: 1s")]
    for number in range(1, 12):
        steps = [f"step: s{each}, saga: level{number - 1}" for each in range(10)]
        levels.append(saga(f"level{number}", *steps))
    assert refused(levels[-1], *levels) == ["E103"]


def test_what_is_wrong_with_a_child_is_shown_in_the_file_of_its_parent() -> None:
    found = loaded("saga: p\nsteps:\n  - step: a\n    saga: nowhere\n")
    result = expand(found.definition, among())
    assert isinstance(result, NotExpanded)
    assert str(found.place(result.findings)).startswith("test.yaml:4:11: E216 there is no saga nowhere")
    assert str(result).startswith("steps[0].saga: E216 there is no saga nowhere")
