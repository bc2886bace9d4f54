"""The names of the headers that messages carry: what the engine adds, and what it shares with NATS and CloudEvents.

Knows no message: which kind carries which is told where that is written and read.
"""

from __future__ import annotations

from typing import Final

MESSAGE_ID: Final = "Nats-Msg-Id"
KEY: Final = "saga-key"
SAGA: Final = "saga-name"
ATTEMPT: Final = "saga-attempt"
SEND: Final = "saga-send"
ISSUED_AT: Final = "saga-issued-at"
DEADLINE: Final = "saga-deadline"
PARTITION: Final = "saga-partition"
MUST_SUCCEED: Final = "saga-must-succeed"
UNDOES: Final = "saga-undoes"
UNDOES_COMMAND: Final = "saga-undoes-command"
TOKEN: Final = "saga-token"
OUTCOME: Final = "saga-outcome"
FENCE: Final = "saga-fence"
EFFECT: Final = "saga-effect"
REASON: Final = "saga-reason"
ORIGINAL_SUBJECT: Final = "saga-original-subject"
TRUNCATED: Final = "saga-truncated"
RESENT: Final = "saga-resent"
"""On a dead letter that an operator has put back on its subject: which letter it was."""

TRACEPARENT: Final = "traceparent"
EVENT_TRACEPARENT: Final = "ce-traceparent"
"""The same as an attribute of the event (CloudEvents, Distributed Tracing extension), which outlives its transport."""
