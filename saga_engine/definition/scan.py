"""The first pass over a definition's bytes: YAML events, checked one by one before any node is built from them.

Owns what may stand in a file at all: size, depth, characters, one document, no anchors, tags or repeated keys.
The only module that knows the YAML library. Knows nothing about sagas, except where the list of steps is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StreamMark, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from saga_engine.definition.problems import Problem, Problems, shown
from saga_engine.definition.yaml_words import Complaint, Mark, read_complaint

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
MAX_NODES: Final = 20_000
MAX_STEPS: Final = 1_000

_CONTROL: Final = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_BIDI: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BEYOND_UNICODE: Final = re.compile(r"\\U(?!000|0010)[0-9a-fA-F]{8}")
_HIDDEN: Final = re.compile("[\x00\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class TokenKind(Enum):
    """What a token opens, closes or is. BROKEN stands for a node that has been complained about already."""

    MAPPING = auto()
    SEQUENCE = auto()
    END = auto()
    SCALAR = auto()
    BROKEN = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One node event. `plain`: written without quotes; `raw`: the source text of a scalar that holds an expression."""

    kind: TokenKind
    line: int
    column: int
    text: str = ""
    plain: bool = False
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Scanned:
    """All tokens of the one document, and what was wrong with single ones of them."""

    tokens: tuple[Token, ...]
    problems: tuple[Problem, ...]


def scan(data: bytes, file: str) -> Scanned | Problems:
    """The tokens of a file, or the problems after which there is nothing to build from."""
    decoded = _decode(data, file)
    if isinstance(decoded, Problem):
        return Problems(file, (decoded,))
    scanner = _Scanner(decoded, file)
    stopped = scanner.run()
    if stopped is not None:
        return Problems(file, tuple(sorted([*scanner.problems, stopped])))
    return Scanned(tuple(scanner.tokens), tuple(scanner.problems))


def _decode(data: bytes, file: str) -> str | Problem:
    if len(data) > MAX_BYTES:
        return Problem(1, 1, "E103", f"the file has {len(data):,} bytes", file, f"at most {MAX_BYTES:,}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        line, column = _position(before, len(before))
        return Problem(line, column, "E108", f"byte 0x{data[error.start]:02x} is not UTF-8", file, "a file in UTF-8")
    for pattern, code, what in ((_BIDI, "E107", "a text direction control"), (_CONTROL, "E108", "a control character")):
        if found := pattern.search(text):
            line, column = _position(text, found.start())
            message = f"{what}, U+{ord(found[0]):04X}, stands in the text"
            return Problem(line, column, code, message, file, suggestion="remove it")
    return text


def _position(text: str, index: int) -> tuple[int, int]:
    before = text[:index].replace("\r\n", "\n").replace("\r", "\n")
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


@dataclass(slots=True)
class _Frame:
    """An open collection.

    `under`: the key it is the value of; `keys`: the line of each key of a mapping; `awaiting`: the key whose value
    comes next.
    """

    mapping: bool
    under: str = ""
    keys: dict[str, int] = field(default_factory=dict)
    awaiting: str | None = None
    size: int = 0


class _StoppedError(Exception):
    """Ends the scan: what follows could not be understood, or is too much."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Scanner:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.tokens: list[Token] = []
        self.problems: list[Problem] = []
        self._frames: list[_Frame] = []
        self._last = (1, 1)
        self._index = 0
        self._key_end = (1, 1)
        self._documents = 0
        self._nodes = 0

    def run(self) -> Problem | None:
        """Read all; the problem that ended the scan early, or None."""
        try:
            for event in self._events():
                self._last, self._index = _start(event), event.start_mark.index
                self._take(event)
        except _StoppedError as stop:
            return stop.problem
        except MarkedYAMLError as error:
            return self._syntax(error)
        except (YAMLError, ValueError, OverflowError):
            return self._escape()
        if not self.tokens or (len(self.tokens) == 1 and self.tokens[0].plain and not self.tokens[0].text):
            return self._problem("E106", 1, 1, "the definition is empty", "a mapping that starts with `saga: a_name`")
        return None

    def _events(self) -> Iterator[Event]:
        parsed: Iterator[Event] = YAML(typ="safe", pure=True).parse(self.text)
        return parsed

    def _take(self, event: Event) -> None:
        if isinstance(event, DocumentStartEvent):
            self._document(event)
        elif isinstance(event, NodeEvent):
            self._node(event)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._frames.pop()
            self.tokens.append(Token(TokenKind.END, *self._last))

    def _document(self, event: DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop("E105", "a second document starts here", "one document in a file", "use a file per saga")
        if event.version is not None:
            self._stop("E105", "a %YAML directive", "no directives", "remove it: the language is YAML 1.2")
        if event.tags:
            self._stop("E104", "a %TAG directive", "no tags", "remove it")

    def _node(self, event: NodeEvent) -> None:
        self._check_anchor_and_tag(event)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._stop("E103", "the definition is too large", f"at most {MAX_NODES:,} values")
        frame = self._frames[-1] if self._frames else None
        is_key = frame is not None and frame.mapping and frame.awaiting is None
        under = self._enter(frame) if frame is not None and not is_key else ""
        if isinstance(event, ScalarEvent):
            self._scalar(event, frame if is_key else None)
        elif is_key:
            self._stop("E110", "a key that is not text", "a name as the key", "if this is an expression, quote it")
        elif isinstance(event, AliasEvent):
            self.tokens.append(Token(TokenKind.BROKEN, *self._last))
        else:
            self._open(under, mapping=isinstance(event, MappingStartEvent))

    def _check_anchor_and_tag(self, event: NodeEvent) -> None:
        if isinstance(event, AliasEvent):
            self._note("E101", f"alias *{event.anchor}", "no anchors or aliases", "write the value out")
            return
        if event.anchor is not None:
            self._note("E101", f"anchor &{event.anchor}", "no anchors or aliases", "write the value out")
        if isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent) and event.tag is not None:
            self._note("E104", f"tag {shown(str(event.tag))}", "no tags", 'remove it; quote a text: "..."')

    def _enter(self, frame: _Frame) -> str:
        """Count a value into its parent; the key that it stands under."""
        frame.size += 1
        if frame.size > MAX_STEPS and frame.under == "steps" and len(self._frames) == 2:
            self._stop("E103", "too many steps", f"at most {MAX_STEPS:,}", "split the saga into child sagas")
        under, frame.awaiting = frame.awaiting or "", None
        return under

    def _open(self, under: str, *, mapping: bool) -> None:
        if len(self._frames) >= MAX_DEPTH:
            self._stop("E102", f"nested too deep, level {len(self._frames) + 1}", f"at most {MAX_DEPTH} levels")
        self._frames.append(_Frame(mapping, under))
        self.tokens.append(Token(TokenKind.MAPPING if mapping else TokenKind.SEQUENCE, *self._last))

    def _scalar(self, event: ScalarEvent, key_of: _Frame | None) -> None:
        text = str(event.value)
        if hidden := _HIDDEN.search(text):
            found = f"U+{ord(hidden[0]):04X}"
            self._note("E107", f"the text holds {found}", "no NUL, lone surrogate or text direction control")
        plain = event.style is None
        if plain and not text and key_of is None and self._frames and self._frames[-1].mapping:
            # The library places an absent value where the next thing begins; its place is behind the colon.
            self._last = self._key_end
        kind = TokenKind.SCALAR if key_of is None else self._key(key_of, text, plain)
        if key_of is not None:
            self._key_end = (event.end_mark.line + 1, event.end_mark.column + 2)
        raw = self.text[event.start_mark.index : event.end_mark.index] if "${{" in text else ""
        self.tokens.append(Token(kind, *self._last, text, plain, raw))

    def _key(self, frame: _Frame, text: str, plain: bool) -> TokenKind:
        frame.awaiting = text
        if text == "<<" and plain:
            self._note("E101", "merge key <<", "no merge keys", "write the values out")
            return TokenKind.BROKEN
        if (first := frame.keys.get(text)) is not None:
            self._note("E114", f"duplicate key {shown(text)} (first at line {first})", suggestion="keep one of them")
            return TokenKind.BROKEN
        frame.keys[text] = self._last[0]
        return TokenKind.SCALAR

    def _syntax(self, error: MarkedYAMLError) -> Problem:
        problem, context = error.problem or "", error.context or ""
        at = _mark(error.problem_mark or error.context_mark) or Mark(*self._last)
        if "'\\t'" in problem:
            return self._problem(
                "E108", at.line, at.column, "a tab in the indentation", "spaces", "replace the tab by spaces"
            )
        complaint = Complaint(problem, at, context, _mark(error.context_mark))
        said = read_complaint(complaint, self.text.splitlines())
        return self._problem("E109", said.at.line, said.at.column, said.message, said.expected, said.suggestion)

    def _escape(self) -> Problem:
        """The YAML library converts an escape such as "\\Uffffffff" without a check of its own."""
        line, column = self._last
        if beyond := _BEYOND_UNICODE.search(self.text, self._index):
            line, column = _position(self.text, beyond.start())
        return self._problem("E109", line, column, "a character escape beyond Unicode", "at most \\U0010ffff")

    def _problem(
        self, code: str, line: int, column: int, message: str, expected: str = "", suggestion: str = ""
    ) -> Problem:
        return Problem(line, column, code, message, self.file, expected, suggestion)

    def _note(self, code: str, message: str, expected: str = "", suggestion: str = "") -> None:
        self.problems.append(self._problem(code, *self._last, message, expected, suggestion))

    def _stop(self, code: str, message: str, expected: str, suggestion: str = "") -> None:
        raise _StoppedError(self._problem(code, *self._last, message, expected, suggestion))


def _start(event: Event) -> tuple[int, int]:
    mark: StreamMark = event.start_mark
    return mark.line + 1, mark.column + 1


def _mark(mark: StreamMark | None) -> Mark | None:
    return None if mark is None else Mark(mark.line + 1, mark.column + 1)
