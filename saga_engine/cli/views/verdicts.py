"""What came of a verb, saga by saga, as lines or rows; and the sagas that it would be done to.

Owns that form. Acts on nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from saga_engine.cli.output import Format, Styled, rfc3339, write, write_json, write_rows, write_table
from saga_engine.cli.views.saga import status_part
from saga_engine.documents.saga import head_json
from saga_engine.envelope import StreamHead
from saga_engine.operating import Act, Result, Verdict, verdict_json

_COLOURS: Final = {Result.DONE: "green", Result.NOTHING: None, Result.REFUSED: "red"}


def print_verdicts(act: Act, verdicts: Sequence[Verdict], output: Format, *, single: bool = False) -> None:
    """A line or row for each; with `single` one JSON object, not an array."""
    if output is Format.TEXT:
        details = "".join(f" ({name.replace('_', ' ')} {value})" for name, value in act.details.items())
        for one in verdicts:
            result = Styled(f"{act.verb} {one.result}", _COLOURS[one.result])
            write([result, f"  {one.head.saga} {one.head.key} {one.head.stream_id}: {one.message}{details}"])
    elif single:
        write_json(verdict_json(act, verdicts[0]), output)
    else:
        write_rows([verdict_json(act, one) for one in verdicts], output)


def print_candidates(verb: str, heads: Sequence[StreamHead], output: Format) -> None:
    """The sagas that a verb would be done to."""
    if output is not Format.TEXT:
        write_rows([{**head_json(head), "verb": verb, "result": "not_done"} for head in heads], output)
    elif heads:
        rows = [
            (str(head.stream_id), head.saga, head.key, status_part(head.status), rfc3339(head.started_at))
            for head in heads
        ]
        write_table(("ID", "SAGA", "KEY", "STATUS", "STARTED"), rows)
