"""Files that are no YAML: what is wrong is told as an author sees it, at the line that is to blame."""

from __future__ import annotations

import pytest

from saga_engine.definition.yaml_words import Complaint, Mark, read_complaint
from tests.unit.definition.support import problems

HEAD = "saga: s\nsteps:\n  - step: a\n    call: p.c\n"

MISTAKES = {
    "a key that is indented below a value": (
        "saga: s\n version: 1\n",
        "2:2: E109 this line is indented by 1, deeper than line 1, which has a value already; "
        "expected an indentation of 0 spaces, as there",
    ),
    "a key of a step that is indented too far": (
        HEAD + "     compensate: none\n",
        "5:6: E109 this line is indented by 5, deeper than line 4, which has a value already; "
        "expected an indentation of 4 spaces, as there",
    ),
    "a key of a step that is not indented enough": (
        HEAD + "   compensate: none\n",
        "5:4: E109 this line is indented by 3 spaces, as none that it could belong to; "
        "expected an indentation of 4 (line 4), 2 (line 3), 0 (line 2)",
    ),
    "an expression in quotes on a line that is indented wrongly": (
        HEAD + '   with: {x: "${{ input.x }}"}\n',
        "5:4: E109 this line is indented by 3 spaces, as none that it could belong to; "
        "expected an indentation of 4 (line 4), 2 (line 3), 0 (line 2)",
    ),
    "an item that is not indented as the others": (
        HEAD + "    # between\n\n - step: b\n",
        "7:2: E109 this line is indented by 1 space, as none that it could belong to; "
        "expected an indentation of 4 (line 4), 2 (line 3), 0 (line 2)",
    ),
    "an item among keys": (
        "saga: s\nsteps:\n  step: a\n  - call: p.c\n",
        "4:3: E109 a list item among the keys that begin in line 3; expected a key, or a list under a key",
    ),
    "a key among items": (
        "saga: s\nsteps:\n  - step: a\n  call: p.c\n",
        "4:3: E109 a key among the items of the list that begins in line 3; "
        'expected "- " before it, or an indentation of 4 spaces, if it belongs to the item',
    ),
    "a colon that clings to its value": (
        "saga: s\nsteps:\n  - step:a\n    call: p.c\n",
        '3:9: E109 no space behind the ":"; write "step: a"',
    ),
    "a dash that clings to its key": (
        "saga: s\nsteps:\n  -step: a\n   call: p.c\n",
        '3:3: E109 no space behind the "-"; write "- step: a"',
    ),
    "a key without a colon": (
        "saga: s\nsteps:\n  - step: a\n    call p.c\n    compensate: none\n",
        '4:5: E109 no ":" in "call p.c"; expected `key: value`',
    ),
    "a colon in a text": (
        "saga: s\nsummary: one: two\n",
        '2:13: E109 a ": " inside of a text without quotes; quote the whole text: "..."',
    ),
    "a brace that is not closed": (
        "saga: s\nsteps:\n  - {step: a, call: p.c\n  - {step: b, call: p.d}\n",
        '3:5: E109 this "{" is not closed; expected a "}" behind its last entry',
    ),
    "a bracket that is not closed": (
        "saga: s\nsteps: [a, b\n",
        '2:8: E109 this "[" is not closed; expected a "]" behind its last entry',
    ),
    "a bracket that a brace closes": (
        "saga: s\nsteps: [a}\n",
        '2:10: E109 a "}" where the "[" at 2:8 is open; expected "]"',
    ),
    "a brace too many": ("saga: s\nsteps:\n  - {step: a}}\n", '3:14: E109 a "}" that closes nothing; remove it'),
    "entries without a comma": (
        "saga: s\nsteps:\n  - {step: a call: p.c}\n",
        '3:18: E109 the entries of the "{" at 3:5 are not set apart; expected "," between them, or "}" behind the last',
    ),
    "a comma too many": (
        "saga: s\nsteps:\n  - {step: a,, call: p.c}\n",
        '3:14: E109 nothing before ","; expected a value',
    ),
    "a quote that is not closed": (
        'saga: s\nsummary: "abc\nsteps: []\n',
        "2:10: E109 this quote is not closed; expected the same quote at the end of the text",
    ),
    "text behind a quote": (
        'saga: s\nsummary: "a" b\n',
        '2:14: E109 text behind the closing quote; quote the whole text, and write " within it as \\"',
    ),
    "an expression without quotes": (
        "saga: s\nkey: ${{ a ? b : c }}\n",
        '2:16: E109 an expression without quotes; quote the expression: "${{ ... }}"',
    ),
    "a text that begins with an at": (
        "saga: s\nsummary: @x\n",
        '2:10: E109 a text that begins with "@"; quote it: "..."',
    ),
    "a text that begins with a star": (
        "saga: s\nsummary: * x\n",
        '2:10: E109 a text that begins with "*"; quote it: "..."',
    ),
    "an escape that there is not": (
        'saga: s\nsummary: "a\\q"\n',
        '2:13: E109 "\\q" is no escape that YAML knows; write "\\\\q", or use single quotes',
    ),
    "a text where a key belongs": (
        "saga: s\nsummary: |\n    a\n  b\nversion: 1\n",
        "4:3: E109 a text where a key is expected; expected `key: value`",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_no_yaml_is_told_in_our_words_at_the_line_to_blame(mistake: str) -> None:
    text, said = MISTAKES[mistake]
    assert problems(text) == [f"test.yaml:{said}"]


def test_what_has_no_words_of_ours_is_told_in_the_librarys_without_its_names_of_tokens() -> None:
    complaint = Complaint("expected '<document start>', but found ('<stream end>',)", Mark(2, 1))
    assert read_complaint(complaint, ["%FOO", "saga: s"]).message == (
        "not YAML: expected the start of a document, but found (the end of the file,)"
    )


@pytest.mark.parametrize(
    "problem",
    [
        "mapping values are not allowed here",
        "could not find expected ':'",
        "expected <block end>, but found '-'",
        "expected ',' or '}', but got '<stream end>'",
        "found unexpected end of stream",
        "found character '%' that cannot start any token",
        "",
    ],
)
def test_a_complaint_about_a_line_that_is_not_there_is_told_all_the_same(problem: str) -> None:
    context = "while scanning a quoted scalar"
    for since in (None, Mark(7, 7)):
        assert read_complaint(Complaint(problem, Mark(9, 9), context, since), []).message
