"""The words of a CEL expression, each with its offset.

Owns the lexical part of the subset of CEL that definitions may use: no bytes, no unsigned numbers, no comments.
Source of the grammar: the CEL language specification, https://github.com/google/cel-spec/blob/master/doc/langdef.md
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from saga_engine.definition.values import MAX_INTEGER

MAX_TEXT: Final = 2_000

STRING: Final = (
    r"""(?:[rR](?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\r\n]*"|'[^'\r\n]*')"""
    r"""|\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''|"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*')"""
)
"""A pattern (with DOTALL) for a string as it is written: raw or not, in three quotes or one."""

Kind: TypeAlias = Literal["name", "string", "int", "float", "symbol", "end"]


class CelSyntaxError(Exception):
    """Where (offset from 0) and why a text is no expression of the language. Always caught inside this package."""

    def __init__(self, offset: int, message: str, code: str = "E140") -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message
        self.code = code


@dataclass(frozen=True, slots=True)
class CelToken:
    """`text` is the source text; for a string, `value` is what it says."""

    kind: Kind
    text: str
    at: int
    value: str = ""

    @property
    def end(self) -> int:
        return self.at + len(self.text)


_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<unsupported>[bB][rR]?["']|[rR][bB]["']|//|(?:0x[0-9a-fA-F]+|[0-9]+)[uU])
    |(?P<string>"""
    + STRING
    + r""")
    |(?P<float>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
    |(?P<int>0x[0-9a-fA-F]+|[0-9]+)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<symbol>==|!=|<=|>=|&&|\|\||[-+*/%!<>?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE: Final = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|X[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}|.)", re.DOTALL
)
_SIMPLE: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?",
}  # fmt: skip


def tokenize(text: str) -> list[CelToken]:
    """All tokens, the last of kind `end`. Raises CelSyntaxError."""
    if len(text) > MAX_TEXT:
        raise CelSyntaxError(0, f"the expression has {len(text):,} characters, at most {MAX_TEXT:,}", "E142")
    tokens: list[CelToken] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise CelSyntaxError(position, _no_token(text, position))
        if match.lastgroup == "unsupported":
            raise CelSyntaxError(position, f"{match[0]!r}: bytes, unsigned numbers and comments are not part of it")
        if match.lastgroup != "space":
            tokens.append(_token(match, position))
        position = match.end()
    tokens.append(CelToken("end", "", len(text)))
    return tokens


def _no_token(text: str, position: int) -> str:
    char = text[position]
    hint = {
        "=": ': compare with "=="',
        "&": ': "and" is "&&"',
        "|": ': "or" is "||"',
        '"': ": the string is not closed",
        "'": ": the string is not closed",
    }.get(char, "")
    return f"unexpected {char!r}{hint}"


def _token(match: re.Match[str], at: int) -> CelToken:
    text = match[0]
    match match.lastgroup:
        case "string":
            return CelToken("string", text, at, _string(text, at))
        case "int":
            _check_integer(text, at)
            return CelToken("int", text, at)
        case "float":
            if not math.isfinite(float(text)):
                raise CelSyntaxError(at, "the number is out of range")
            return CelToken("float", text, at)
        case "name":
            return CelToken("name", text, at)
        case _:
            return CelToken("symbol", text, at)


def _check_integer(text: str, at: int) -> None:
    digits = len(text) - 2 if text.startswith("0x") else len(text)
    if digits > 20 or int(text, 16 if text.startswith("0x") else 10) > MAX_INTEGER:
        raise CelSyntaxError(at, "the integer is beyond ±2^53")


def _string(text: str, at: int) -> str:
    raw = text[0] in "rR"
    quoted = text[1:] if raw else text
    size = 3 if quoted[:3] in ('"""', "'''") else 1
    content = quoted[size:-size]
    if raw:
        return content
    start = at + size
    return _ESCAPE.sub(lambda match: _unescaped(match[0], start + match.start()), content)


def _unescaped(escape: str, at: int) -> str:
    letter = escape[1]
    if letter in _SIMPLE:
        return _SIMPLE[letter]
    code = -1
    if letter in "xXuU" and len(escape) > 2:
        code = int(escape[2:], 16)
    elif letter.isdecimal() and len(escape) == 4:
        code = int(escape[1:], 8)
    if code <= 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise CelSyntaxError(at, f"{escape!r} is no escape of a character that may stand in a text")
    return chr(code)
