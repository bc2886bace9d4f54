"""What came of a verb, saga by saga, as lines or rows; and the sagas that it would be done to.

Owns that form. Acts on nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from saga_engine.cli.acting import Act, Result, Verdict
from saga_engine.cli.output import Format, Styled, rfc3339, write, write_json, write_rows, write_table
from saga_engine.cli.views.saga import head_json, status_part
from saga_engine.definition.model import Json
from saga_engine.envelope import StreamHead

_COLOURS: Final = {Result.DONE: "green", Result.NOTHING: None, Result.REFUSED: "red"}


def print_verdicts(act: Act, verdicts: Sequence[Verdict], output: Format, *, single: bool = False) -> None:
    """A line or row for each; with `single` one JSON object, not an array."""
    if output is Format.TEXT:
        details = "".join(f" ({name.replace('_', ' ')} {value})" for name, value in act.details.items())
        for one in verdicts:
            result = Styled(f"{act.verb} {one.result}", _COLOURS[one.result])
            write([result, f"  {one.head.saga} {one.head.key} {one.head.stream_id}: {one.message}{details}"])
    elif single:
        write_json(_row(act, verdicts[0]), output)
    else:
        write_rows([_row(act, one) for one in verdicts], output)


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


def _row(act: Act, verdict: Verdict) -> Mapping[str, Json]:
    return {
        "id": str(verdict.head.stream_id),
        "saga": verdict.head.saga,
        "key": verdict.head.key,
        "status": verdict.status,
        "verb": act.verb,
        "result": str(verdict.result),
        "message": verdict.message,
        **act.details,
    }
