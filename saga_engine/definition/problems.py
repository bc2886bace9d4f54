"""What is wrong with a definition, as values: where, which rule, what was expected, the nearest right name.

Owns the form in which problems are shown and their order. Knows nothing about YAML or about any single rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

PathPart: TypeAlias = "str | int"

_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """A breach of a rule at a place of the definition, given as a path of keys and indexes.

    `related`: the other end of the breach and what it is, named in the message once its line is known.
    """

    code: str
    path: tuple[PathPart, ...]
    message: str
    expected: str = ""
    suggestion: str = ""
    related: tuple[tuple[PathPart, ...], str] | None = None

    def __str__(self) -> str:
        place = path_text(self.path)
        return f"{place}: {self.code} {sentence(self.message, self.expected, self.suggestion)}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem of a definition file. `line` and `column` count from 1, columns in characters."""

    line: int
    column: int
    code: str
    message: str
    file: str
    expected: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        return f"{where}: {self.code} {sentence(self.message, self.expected, self.suggestion)}"


@dataclass(frozen=True, slots=True)
class Problems:
    """All problems of one file, in the order of the text, and warnings about what could be read in spite of them."""

    file: str
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def sentence(message: str, expected: str, suggestion: str) -> str:
    """One line: what is wrong, what was expected, what to do."""
    parts = [message]
    if expected:
        parts.append(f"expected {expected}")
    if suggestion:
        parts.append(suggestion)
    return "; ".join(parts)


def path_text(path: Iterable[PathPart]) -> str:
    """A path as a person writes it: `steps[2].retry.jitter`; the definition itself is `definition`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "definition"


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean "x"?` for the known name that is closest, or nothing when none is near."""
    return asked(near(name, known))


def near(name: str, known: Iterable[str]) -> str | None:
    """The known name that is closest, if one is near."""
    import difflib  # only a mistake needs it

    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)), None)


def asked(meant: str | None) -> str:
    """`did you mean "x"?`, or nothing."""
    return "" if meant is None else f'did you mean "{meant}"?'


def shown(text: str) -> str:
    """A piece of the author's text, fit for one line of a terminal: quoted, escaped, shortened."""
    short = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    printable = "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode() for char in short
    )
    return f'"{printable}"'
