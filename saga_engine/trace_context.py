"""The W3C trace context that a saga carries: what a valid `traceparent` is, and what is in it.

Pure and cheap to import. Knows no spans; those are `tracing`'s. `tracestate` is not carried.
"""

from __future__ import annotations

import re
from typing import Final

_FORM: Final = re.compile(r"(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(-.*)?")
_VERSION: Final = "00"

EXPECTED: Final = "00-<32 hexadecimal digits>-<16>-<2>, lower case and not all zero, as W3C Trace Context says"


def valid_traceparent(text: str | None) -> str | None:
    """The trace context as it is passed on; None for what is none, which the standard tells us to ignore.

    Of a version that came after ours the part that we know is kept (W3C Trace Context, "Versioning of traceparent").
    """
    found = _FORM.fullmatch(text) if text is not None else None
    if found is None or (found[1] == _VERSION and found[3] is not None):
        return None
    return f"{_VERSION}-{found[2]}"


def trace_id(traceparent: str | None) -> str | None:
    """The trace's id, by which logs and traces are matched."""
    valid = valid_traceparent(traceparent)
    return None if valid is None else valid[3:35]
