"""What a picture shows, in both formats: boxes, the way forward and back, the pivot, how far a saga has come."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

from saga_engine.cli import main
from saga_engine.cli.whole import read_whole
from saga_engine.core.compiling import compile_plan
from saga_engine.core.state import CompensationStatus, StepStatus
from saga_engine.graph.colours import BACK, FILL, PAPER, QUIET, STROKE, TEXT
from saga_engine.graph.layout import lay_out
from saga_engine.graph.mermaid import mermaid
from saga_engine.graph.picture import Arrow, Tone, picture
from saga_engine.graph.svg import svg
from tests.unit.cli.trips import DEFINITION
from tests.unit.verify.support import FORK, PIVOT, define

ROOT = Path(__file__).parents[3]
SHIPPED = sorted([*ROOT.glob("definitions/*.yaml"), *ROOT.glob("examples/*.yaml")])
SVG = "{http://www.w3.org/2000/svg}"


def texts(document: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(document).iter(f"{SVG}text")]


def test_compensation_goes_back_where_something_can_be_undone_and_the_way_back_is_open() -> None:
    shown = picture(compile_plan(define(PIVOT)))
    assert [(arrow.source, arrow.target, arrow.undone) for arrow in shown.arrows] == [
        ("a", "p", True),
        ("p", "r", False),
    ]


def test_an_arrow_that_follows_from_others_is_not_drawn() -> None:
    shown = picture(compile_plan(read_whole(ROOT / "examples" / "store_order.yaml").definition))
    drawn = [(arrow.source, arrow.target) for arrow in shown.arrows]
    assert drawn == [("debit", "ship/pack"), ("ship/pack", "ship/book_courier"), ("ship/book_courier", "book_points")]


def test_mermaid_draws_both_ways_and_marks_the_pivot() -> None:
    lines = mermaid(picture(compile_plan(define(PIVOT)))).splitlines()
    assert '    s0["<b>a</b><br/>one.do<br/>↶ one.undo"]:::plain' in lines
    assert '    s1{{"<b>p</b> · pivot<br/>two.do"}}:::plain' in lines
    assert [line for line in lines if "->" in line] == ["    s0 --> s1", "    s1 -.-> s0", "    s1 --> s2"]
    assert "    linkStyle 1 stroke:#974208" in lines


HEARING = """
saga: ship
on: {subject: ORDERS.approved, key: "${{ event.data.id }}"}
steps:
  - {step: pack, call: w.pack, compensate: none}
  - {step: collected, wait: {event: Collected, on: {subject: CARRIER.collected, key: "${{ event.data.id }}"}}}
"""


def test_what_others_tell_is_drawn_where_it_starts_a_saga_and_where_it_ends_a_wait() -> None:
    shown = picture(compile_plan(define(HEARING)))
    lines = mermaid(shown).splitlines()
    assert '    s0(["<b>✉ ORDERS.approved</b><br/>starts the saga"]):::event' in lines
    assert '    s2["<b>collected</b><br/>wait for Collected<br/>or ✉ CARRIER.collected"]:::timer' in lines
    assert [line for line in lines if "->" in line] == ["    s0 --> s1", "    s1 --> s2"]
    assert {"✉ ORDERS.approved", "starts the saga", "or ✉ CARRIER.collected"} <= set(texts(svg(shown)))


def test_a_saga_that_runs_is_drawn_without_what_may_have_started_it() -> None:
    shown = picture(compile_plan(define(HEARING)), {}, "running")
    assert [box.place for box in shown.boxes] == ["pack", "collected"]


def test_what_mermaid_would_read_as_syntax_is_escaped() -> None:
    text = """
saga: quoted
version: 1
steps:
  - {step: a, if: '${{ input.x == "<b>]" }}', call: p.a, compensate: none}
"""
    (label,) = re.findall(r'\["(.*)"\]', mermaid(picture(compile_plan(define(text)))))
    assert "if input.x == #34;#60;b#62;#93;#34;" in label
    assert '"' not in label


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_the_svg_of_every_shipped_saga_names_every_step_and_is_well_formed(file: Path) -> None:
    plan = compile_plan(read_whole(file).definition)
    assert set(plan.nodes) <= set(texts(svg(picture(plan))))


def test_every_state_of_a_step_has_a_colour_and_is_written_out() -> None:
    plan = compile_plan(define(FORK))
    words = {str(status) for status in (*StepStatus, *CompensationStatus)}
    words |= {"pending", "not_run", "without_effect", "given_up"}
    for word in sorted(words):
        shown = picture(plan, dict.fromkeys(plan.nodes, word), "running")
        assert word.replace("_", " ") in texts(svg(shown))
        assert f":::{shown.boxes[0].tone}" in mermaid(shown)
    assert picture(plan, {"a": "blocked"}).boxes[0].tone is Tone.FAILED
    assert picture(plan, {"a": "succeeded"}).boxes[0].tone is Tone.DONE
    assert picture(plan, {"a": "given_up"}).boxes[0].tone is Tone.SKIPPED
    assert picture(plan, {}).boxes[0].tone is Tone.PENDING


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("tone", Tone)
def test_text_is_readable_on_every_colour(tone: Tone) -> None:
    assert all(contrast(colour, FILL[tone]) >= 4.5 for colour in (TEXT, QUIET))
    assert contrast(BACK, FILL[tone]) >= 4.5
    assert contrast(STROKE[tone], PAPER) >= 2.4


def mesh(count: int) -> tuple[dict[str, tuple[float, float]], list[Arrow]]:
    """Boxes of several sizes in a graph with short and long arrows."""
    sizes = {f"b{i}": (130.0 + 20 * (i % 4), 60.0 + 18 * (i % 3)) for i in range(count)}
    arrows = [Arrow(f"b{i - gap}", f"b{i}", True) for i in range(count) for gap in (2, 3, 7) if i >= gap and i % gap]
    return sizes, arrows


def fan(count: int) -> tuple[dict[str, tuple[float, float]], list[Arrow]]:
    middle = [f"m{i}" for i in range(count)]
    arrows = [Arrow("start", name, True) for name in middle] + [Arrow(name, "join", True) for name in middle]
    return dict.fromkeys(["start", *middle, "join"], (150.0, 74.0)), arrows


@pytest.mark.parametrize(("sizes", "arrows"), [mesh(30), fan(28), fan(3), mesh(1), ({}, [])])
def test_boxes_do_not_overlap_and_stay_inside(sizes: dict[str, tuple[float, float]], arrows: list[Arrow]) -> None:
    layout = lay_out(sizes, arrows)
    boxes = list(layout.boxes.items())
    assert {name: (width, height) for name, (_, _, width, height) in boxes} == sizes
    for index, (_, (x, y, width, height)) in enumerate(boxes):
        assert min(x, y) >= -0.01
        assert x + width <= layout.width + 0.01
        assert y + height <= layout.height + 0.01
        for _, (left, top, breadth, depth) in boxes[index + 1 :]:
            assert x + width <= left or left + breadth <= x or y + height <= top or top + depth <= y


@pytest.mark.parametrize(("sizes", "arrows"), [mesh(30), fan(28), fan(3)])
def test_arrows_go_on_from_layer_to_layer_and_not_through_boxes(
    sizes: dict[str, tuple[float, float]], arrows: list[Arrow]
) -> None:
    layout = lay_out(sizes, arrows)
    for arrow, turns in zip(arrows, layout.arrows, strict=True):
        ways = [turn[1:] for turn in turns]
        assert all(leave <= enter for (_, leave), (enter, _) in pairwise(ways))
        for across, enter, leave in turns[1:-1]:
            middle = (enter + leave) / 2
            for name, (x, y, width, height) in layout.boxes.items():
                at, along = (across, middle) if layout.down else (middle, across)
                inside = x < at < x + width and y < along < y + height
                assert not inside, f"{arrow} runs through {name}"


def test_a_wide_saga_lies_on_its_side() -> None:
    assert not lay_out(*fan(28)).down
    assert lay_out(*fan(3)).down


def test_the_command_draws_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "trip.yaml"
    file.write_text(DEFINITION, encoding="utf-8")
    assert main(["graph", str(file)]) == 0
    assert 'title: "trip version 1"' in capsys.readouterr().out
    assert main(["graph", str(file), "-o", "svg"]) == 0
    assert "wait for Confirmed, at most 1h" in texts(capsys.readouterr().out)
    assert main(["graph", str(tmp_path / "none.yaml")]) == 2


def test_the_command_draws_a_saga_by_its_key_with_the_state_of_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("saga_engine: 1\n", encoding="utf-8")
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "trip.yaml").write_text(DEFINITION, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["start", "trip", "--input", '{"id": "t-1"}']) == 0
    capsys.readouterr()
    assert main(["graph", "t-1", "-o", "svg"]) == 0
    shown = texts(capsys.readouterr().out)
    assert "trip version 1 · running" in shown
    assert shown.count("running") == 1
    assert shown.count("pending") == 3
    assert main(["graph", "t-2"]) == 3
