"""Static checks of expressions: what they must let through, and the advice they give. What they refuse: the corpus."""

from __future__ import annotations

import pytest

from tests.unit.definition.support import codes, loaded

INPUT = """\
input:
  $defs: {line: {type: object, required: [sku], properties: {sku: {type: string}, count: {type: integer}}}}
  type: object
  required: [id, lines, any, choice, loose]
  properties:
    id: {type: string}
    note: {type: string}
    size: {type: integer, default: 1}
    lines: {type: array, items: {$ref: "#/$defs/line"}}
    any: {}
    loose: {type: object, properties: {a: {}}, required: [a], additionalProperties: true}
    counts: {type: object, additionalProperties: {type: integer}}
    choice:
      oneOf:
        - {type: object, required: [card], properties: {card: {type: string}}}
        - {type: object, required: [iban], properties: {iban: {type: string}}}
"""


def forward(expression: str) -> str:
    quoted = expression.replace('"', '\\"')
    return f'saga: s\n{INPUT}steps:\n  - {{step: a, call: p.c, compensate: none, with: {{v: "${{{{ {quoted} }}}}"}}}}\n'


def undoing(expression: str) -> str:
    return (
        "saga: s\nsteps:\n  - {step: a, call: p.c, compensate: none}\n  - step: b\n    call: p.c\n    compensate:\n"
        f"      call: p.u\n      with:\n        v: >-\n          ${{{{ {expression} }}}}\n"
    )


@pytest.mark.parametrize(
    "expression",
    [
        "input.id",
        "input['id']",
        'input["id"]',
        "input.lines[0].sku",
        "input.lines[size(input.lines) - 1].sku",
        "input.lines.map(x, x.sku)",
        "input.lines.filter(x, x.sku != '')",
        "input.any.whatever.it[3].is",
        "input.loose.other",
        "input.choice.card",
        "input.choice.iban",
        "input.size + 1",
        "[input.id, {'k': input.id}]",
        "{'in': input.id}['in']",
        "saga.id + saga.key",
        "size(input.lines.map(x, [x.sku, input.id]))",
        "input.any[input.id]",
    ],
)
def test_a_path_that_the_schema_knows_is_taken(expression: str) -> None:
    assert codes(forward(expression)) == []


@pytest.mark.parametrize(
    "expression",
    [
        "steps.a.result != null ? steps.a.result.x : ''",
        "null != steps.a.result ? steps.a.result.x : ''",
        "steps.a.result == null ? '' : steps.a.result.x.y[0]",
        "!(steps.a.result == null) ? steps.a.result.x : ''",
        "steps.a.result != null && steps.a.result.ok ? steps.a.result.x : ''",
        "steps.a.result == null || steps.a.result.x == 1",
        "steps.a.result != null && has(steps.a.result.x) ? steps.a.result.x : ''",
        "steps['a'].result != null ? steps.a['result'].x : ''",
        "steps.b.result != null && steps.a.result != null ? steps.a.result.x + steps.b.result.x : 0",
        "steps.a.result",
        "steps.a.status == 'skipped'",
        "failure.code + failure.message",
    ],
)
def test_a_guarded_result_is_taken_in_a_compensation(expression: str) -> None:
    assert codes(undoing(expression)) == []


@pytest.mark.parametrize(
    "expression",
    [
        "steps.a.result != null ? '' : steps.a.result.x",
        "steps.a.result != null || steps.a.result.x",
        "(steps.a.result != null ? true : true) ? steps.a.result.x : ''",
        "steps.a.result != 1 ? steps.a.result.x : ''",
        "steps.a.result != null ? steps.b.result.x : ''",
        "!(steps.a.result != null) ? steps.a.result.x : ''",
    ],
)
def test_a_guard_that_does_not_guard_is_seen_through(expression: str) -> None:
    assert codes(undoing(expression)) == ["E235"]


def test_what_may_be_absent_is_advised_to_be_guarded() -> None:
    (warning,) = loaded(forward("input.note")).warnings
    assert warning.code == "W302"
    assert str(warning).endswith("input.note may be absent; guard it: has(input.note) ? input.note : ...")


@pytest.mark.parametrize(
    "expression",
    [
        "has(input.note) ? input.note : ''",
        "!has(input.note) ? '' : input.note",
        "has(input.note) && input.note != ''",
        "!has(input.note) || input.note == ''",
        "input.size",
        "input.lines.exists(x, has(x.count) && x.count > 1)",
    ],
)
def test_what_is_guarded_or_has_a_default_needs_no_advice(expression: str) -> None:
    assert loaded(forward(expression)).warnings == ()


def test_a_result_of_a_step_that_may_be_skipped_is_advised_to_be_guarded() -> None:
    text = (
        'saga: s\nsteps:\n  - {step: a, if: "${{ input.x }}", call: p.c, compensate: none}\n'
        '  - {step: b, call: p.c, compensate: none, with: {v: "${{ steps.a.result.x }}"}}\n'
        "  - step: c\n    call: p.c\n    compensate: none\n"
        '    with: {v: "${{ steps.a.result != null ? steps.a.result.x : 0 }}"}\n'
    )
    assert [(each.code, each.line) for each in loaded(text).warnings] == [("W301", 4)]


def test_every_step_may_read_all_that_it_follows() -> None:
    text = (
        "saga: s\nsteps:\n  - {step: a, call: p.c, compensate: none}\n  - {step: b, needs: [], sleep: 1s}\n"
        '  - {step: c, needs: [a], wait: {event: Paid}, emit: {event: Got, data: "${{ steps.c.result.x }}"}}\n'
        "  - step: d\n    needs: [b, c]\n    call: p.c\n    compensate: none\n"
        '    with: ["${{ steps.a.result.x }}", "${{ steps.c.result.x }}"]\n'
        'output: "${{ steps.d.result }}"\n'
    )
    assert codes(text) == []


def test_the_result_of_a_timer_is_null_and_has_no_fields() -> None:
    text = (
        "saga: s\nsteps:\n  - {step: a, sleep: 1s}\n"
        '  - {step: b, call: p.c, compensate: none, with: {v: "${{ steps.a.result.x }}"}}\n'
    )
    assert codes(text) == ["E231"]


def test_the_item_is_known_in_payload_and_compensation_of_its_step() -> None:
    text = (
        f"saga: s\n{INPUT}steps:\n  - step: a\n    call: p.c\n"
        '    for_each: {in: "${{ input.lines }}", as: line}\n    with: {sku: "${{ line.sku }}"}\n'
        "    compensate:\n      call: p.u\n      with:\n        sku: ${{ line.sku }}\n"
        '        x: "${{ steps.a.result != null ? steps.a.result.x : 0 }}"\n'
    )
    assert codes(text) == []
