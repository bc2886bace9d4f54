"""Dead letters as a person or a program reads them: safe for terminals, without what could forge a reply.

Owns that form. Finds and sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

import orjson

from saga_engine.cli.output import Styled, rfc3339, write, write_table
from saga_engine.definition.model import Json
from saga_engine.ports.dead_letters import DeadLetter
from saga_engine.wire.headers import KEY, ORIGINAL_SUBJECT, REASON, TOKEN, TRUNCATED

SHOWN: Final = 4_000
"""Characters of a body that are shown unless all of it is asked for."""

_SHOWN_REASON: Final = 100


def letter_json(letter: DeadLetter) -> Mapping[str, Json]:
    """One row of a list."""
    headers = letter.headers
    return {
        "sequence": letter.sequence,
        "at": rfc3339(letter.at),
        "participant": letter.participant,
        "subject": headers.get(ORIGINAL_SUBJECT, ""),
        "reason": headers.get(REASON, ""),
        "key": headers.get(KEY),
        "bytes": letter.size,
        "cut": TRUNCATED in headers,
    }


def print_letters(letters: Sequence[DeadLetter]) -> None:
    """A table, one line for each."""
    rows = [
        (
            str(letter.sequence),
            rfc3339(letter.at),
            letter.participant,
            letter.headers.get(ORIGINAL_SUBJECT, "")[:_SHOWN_REASON],
            letter.headers.get(KEY, "")[:_SHOWN_REASON],
            _brief(letter.headers.get(REASON, "")),
        )
        for letter in letters
    ]
    if rows:
        write_table(("SEQ", "SINCE", "PARTICIPANT", "SUBJECT", "KEY", "REASON"), rows)


def whole_letter_json(letter: DeadLetter) -> Mapping[str, Json]:
    """One letter with headers and body: the body's value where it is JSON, else its text."""
    value = _value(letter.body or b"")
    body: Json = _text(letter.body or b"") if value is None else value[0]
    return {**letter_json(letter), "headers": _headers(letter), "body": body}


def print_letter(letter: DeadLetter, *, whole: bool) -> int:
    """One letter as lines; how many characters of the body are not shown."""
    write([Styled(f"{letter.sequence}", bold=True), f"  {letter.participant}  since {rfc3339(letter.at)}"])
    write([Styled("  reason   ", dim=True), Styled(letter.headers.get(REASON, ""), "red")])
    for name, value in _headers(letter).items():
        if name != REASON:
            write([Styled(f"  {name}: ", dim=True), str(value)])
    value = _value(letter.body or b"")
    text = _text(letter.body or b"") if value is None else orjson.dumps(value[0], option=orjson.OPT_INDENT_2).decode()
    shown = text if whole else text[:SHOWN]
    write([])
    for line in shown.splitlines():
        write([line])
    return len(text) - len(shown)


def _headers(letter: DeadLetter) -> Mapping[str, Json]:
    """All of them; of the token only its key's id, since whoever has it whole can answer in the participant's name."""
    shown: dict[str, Json] = dict(letter.headers)
    if TOKEN in shown:
        shown[TOKEN] = f"{letter.headers[TOKEN].partition('.')[0]}.***"
    return shown


def _value(body: bytes) -> tuple[Json] | None:
    try:
        return (cast(Json, orjson.loads(body)),)
    except orjson.JSONDecodeError:
        return None


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _brief(text: str) -> str:
    return text if len(text) <= _SHOWN_REASON else f"{text[: _SHOWN_REASON - 1]}…"
