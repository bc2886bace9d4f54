"""What the YAML library complains of, in the words of somebody who edits a file: what is wrong, where, what to write.

Owns those words, and the guess at the line that is to blame. Reads the source by lines; builds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from saga_engine.definition.problems import shown

_KEY: Final = r"""(?:[\w.-]+|"[^"]*"|'[^']*')"""
_VALUED: Final = re.compile(rf"^(?P<indent>\s*(?:- +)*){_KEY}\s*:\s+(?P<value>[^\s#&|>].*)$")
_KEY_ALONE: Final = re.compile(rf"^\s*(?:- +)*{_KEY}\s*$")
_CLINGING_COLON: Final = re.compile(r"^\s*(?:- +)*(?P<key>[A-Za-z_]\w*):(?P<value>[^\s/].*)$")
_CLINGING_DASH: Final = re.compile(r"^\s*-(?P<rest>[A-Za-z_]\w*:.*)$")
_ITEM: Final = re.compile(r"^\s*(?:- +)+")
_QUOTED: Final = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'""")
_NAMES: Final = {
    "<block end>": "the end of this block",
    "<block mapping start>": "a mapping",
    "<block sequence start>": "a list",
    "<document start>": "the start of a document",
    "<stream end>": "the end of the file",
    "<scalar>": "a value",
}
"""The library's own words, for what has no better ones here."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place, line and column from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the library says: `problem` at `at`, and in which `context` that began at `since`."""

    problem: str
    at: Mark
    context: str = ""
    since: Mark | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What it means."""

    at: Mark
    message: str
    expected: str = ""
    suggestion: str = ""


def read_complaint(complaint: Complaint, lines: Sequence[str]) -> Reading:
    """The complaint in our words, at the place that is to blame."""
    said = next((said for tell in _TELLERS if (said := tell(complaint, lines)) is not None), None)
    if said is not None:
        return said
    text = " ".join(filter(None, (complaint.problem or "not YAML", complaint.context))).replace("\x00", "the end")
    for token, words in _NAMES.items():
        text = text.replace(f"'{token}'", words).replace(token, words)
    return Reading(complaint.at, f"not YAML: {text}")


def _expression(complaint: Complaint, lines: Sequence[str]) -> Reading | None:
    """`${{` outside of quotes: its braces and colons are taken for YAML's own."""
    if "${{" not in _QUOTED.sub("", _line(lines, complaint.at.line)):
        return None
    return Reading(complaint.at, "an expression without quotes", "", 'quote the expression: "${{ ... }}"')


def _second_colon(complaint: Complaint, lines: Sequence[str]) -> Reading | None:
    """`mapping values are not allowed here`: a colon where no key can stand."""
    if not complaint.problem.startswith("mapping values are not allowed"):
        return None
    at = complaint.at
    above = _above(lines, at.line)
    if not _KEY_ALONE.match(_line(lines, at.line)[: at.column - 1]):
        return Reading(at, 'a ": " inside of a text without quotes', "", 'quote the whole text: "..."')
    if above is None:
        return None
    line = _line(lines, above)
    if found := _CLINGING_DASH.match(line):
        return Reading(Mark(above, found.start("rest")), 'no space behind the "-"', "", f'write "- {found["rest"]}"')
    if found := _CLINGING_COLON.match(line):
        place = Mark(above, found.start("value"))
        return Reading(place, 'no space behind the ":"', "", f'write "{found["key"]}: {found["value"]}"')
    if found := _VALUED.match(line):
        wanted = len(found["indent"])
        deep = _indent(_line(lines, at.line))
        if deep > wanted:
            message = f"this line is indented by {deep}, deeper than line {above}, which has a value already"
            return Reading(Mark(at.line, deep + 1), message, f"an indentation of {_spaces(wanted)}, as there")
    return None


def _no_colon(complaint: Complaint, lines: Sequence[str]) -> Reading | None:
    if "could not find expected ':'" not in complaint.problem or complaint.since is None:
        return None
    word = _line(lines, complaint.since.line)[complaint.since.column - 1 :].strip()
    return Reading(complaint.since, f'no ":" in {shown(word)}', "`key: value`")


def _block(complaint: Complaint, lines: Sequence[str]) -> Reading | None:
    """`expected <block end>, but found ...`: a line that fits none of the blocks that are open."""
    found = re.search(r"expected <block end>, but found '(.+)'", complaint.problem)
    if found is None or complaint.since is None:
        return None
    at, since = complaint.at, complaint.since
    if found[1] in ("}", "]"):
        return Reading(at, f'a "{found[1]}" that closes nothing', "", "remove it")
    if found[1] == "<scalar>" and _line(lines, at.line)[: at.column - 1].rstrip().endswith(('"', "'")):
        return Reading(at, "text behind the closing quote", "", 'quote the whole text, and write " within it as \\"')
    if found[1] == "<scalar>":
        return Reading(at, "a text where a key is expected", "`key: value`", "")
    if at.column == since.column and found[1] in ("?", "-"):
        if found[1] == "-":
            what = f"a list item among the keys that begin in line {since.line}"
            return Reading(at, what, "a key, or a list under a key")
        what = f"a key among the items of the list that begins in line {since.line}"
        inner = _ITEM.match(_line(lines, since.line))
        deeper = f"{_spaces(len(inner[0]))}, if it belongs to the item" if inner else "more spaces"
        return Reading(at, what, f'"- " before it, or an indentation of {deeper}')
    fitting = ", ".join(f"{column} (line {line})" for column, line in _open_columns(lines, at.line))
    deep = _indent(_line(lines, at.line))
    message = f"this line is indented by {_spaces(deep)}, as none that it could belong to"
    return Reading(at, message, f"an indentation of {fitting}" if fitting else "")


def _flow(complaint: Complaint, lines: Sequence[str]) -> Reading | None:
    """Between braces or brackets."""
    found = re.search(r"expected ',' or '([}\]])', but got '(.+)'", complaint.problem)
    at, since = complaint.at, complaint.since
    if found is None or since is None:
        return None
    opening = _line(lines, since.line)[since.column - 1 : since.column]
    if found[2] in ("}", "]"):
        what = f'a "{found[2]}" where the "{opening}" at {since.line}:{since.column} is open'
        return Reading(at, what, f'"{found[1]}"')
    if at.line != since.line or found[2] == "<stream end>":
        return Reading(since, f'this "{opening}" is not closed', f'a "{found[1]}" behind its last entry')
    what = f'the entries of the "{opening}" at {since.line}:{since.column} are not set apart'
    return Reading(at, what, f'"," between them, or "{found[1]}" behind the last')


def _open_quote(complaint: Complaint, _lines: Sequence[str]) -> Reading | None:
    if "quoted scalar" not in complaint.context or "end of stream" not in complaint.problem or complaint.since is None:
        return None
    return Reading(complaint.since, "this quote is not closed", "the same quote at the end of the text")


def _sign(complaint: Complaint, lines: Sequence[str]) -> Reading | None:
    """A text that begins with a sign which means something to YAML."""
    found = re.search(r"found character '(.)' that cannot start any token", complaint.problem)
    place = complaint.at
    if found is None and complaint.context in ("while scanning an alias", "while scanning an anchor"):
        place = complaint.since or place
    elif found is None:
        return None
    sign = found[1] if found is not None else _line(lines, place.line)[place.column - 1 : place.column]
    return Reading(place, f'a text that begins with "{sign}"', "", 'quote it: "..."')


def _escape(complaint: Complaint, _lines: Sequence[str]) -> Reading | None:
    found = re.search(r"found unknown escape character '(.)'", complaint.problem)
    if found is None:
        return None
    what = f'"\\{found[1]}" is no escape that YAML knows'
    return Reading(complaint.at, what, "", f'write "\\\\{found[1]}", or use single quotes')


def _empty_place(complaint: Complaint, _lines: Sequence[str]) -> Reading | None:
    found = re.search(r"expected the node content, but found '(.+)'", complaint.problem)
    if found is None:
        return None
    return Reading(complaint.at, f"nothing before {shown(_NAMES.get(found[1], found[1]))}", "a value", "")


_TELLERS: Final[Sequence[Callable[[Complaint, Sequence[str]], Reading | None]]] = (
    _expression,
    _second_colon,
    _no_colon,
    _block,
    _flow,
    _open_quote,
    _sign,
    _escape,
    _empty_place,
)


def _line(lines: Sequence[str], number: int) -> str:
    return lines[number - 1] if 0 < number <= len(lines) else ""


def _above(lines: Sequence[str], number: int) -> int | None:
    """The next line above that holds something."""
    return next((at for at in range(number - 1, 0, -1) if _says(_line(lines, at))), None)


def _says(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _spaces(number: int) -> str:
    return f"{number} space{'' if number == 1 else 's'}"


def _open_columns(lines: Sequence[str], number: int) -> Iterator[tuple[int, int]]:
    """The indentations by which a line could belong to what stands above it, and where each is seen; deepest first."""
    least: int | None = None
    for at in range(number - 1, 0, -1):
        line = _line(lines, at)
        if not _says(line):
            continue
        item = _ITEM.match(line)
        for column in sorted({_indent(line), len(item[0]) if item else _indent(line)}, reverse=True):
            if least is None or column < least:
                least = column
                yield column, at
