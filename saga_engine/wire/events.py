"""Published events as messages: CloudEvents in binary mode. Knows no command or reply."""

from __future__ import annotations

from urllib.parse import quote

import orjson

from saga_engine.envelope import DomainEvent, Message
from saga_engine.moments import rfc3339
from saga_engine.wire.headers import EVENT_TRACEPARENT, MESSAGE_ID, TRACEPARENT
from saga_engine.wire.sizes import MAX_BYTES
from saga_engine.wire.subjects import event_subject


def event_to_message(event: DomainEvent) -> Message:
    """A published event as a CloudEvent in binary mode. Its id, stream and version, is the same at every repetition.

    Data beyond 900 KiB is replaced by a note: no broker would take it, and what the saga publishes next would wait.
    """
    event_id = f"{event.saga_id}/{event.version}"
    headers = {
        MESSAGE_ID: event_id,
        "ce-specversion": "1.0",
        "ce-id": event_id,
        "ce-source": f"saga/{event.saga}",
        "ce-type": event.name,
        "ce-subject": quote(event.key, safe=" -._~"),
        "ce-time": rfc3339(event.at),
        "ce-datacontenttype": "application/json",
    }
    if event.traceparent is not None:
        headers[TRACEPARENT] = headers[EVENT_TRACEPARENT] = event.traceparent
    body = orjson.dumps(event.data)
    if len(body) > MAX_BYTES:
        body = orjson.dumps({"error": f"the data has {len(body)} bytes; at most {MAX_BYTES} are published"})
    return Message(event.subject or event_subject(event.saga, event.name), headers, body, event_id)
