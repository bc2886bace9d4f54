"""The spans of what a process does with a saga: asked for over HTTP, started, command sent, command handled, reply
taken, event published.

Owns their names, attributes and parents. Every span hangs on a trace context that travels in a message or is stored
with the saga, so that any process can go on with a trace at any time. Made only where a trace is exported.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final
from uuid import UUID

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from saga_engine.envelope import Command, DomainEvent, Message
from saga_engine.wire.headers import TRACEPARENT
from saga_engine.wire.reading import Unreadable
from saga_engine.wire.replies import message_to_reply
from saga_engine.wire.subjects import command_subject, event_subject

_W3C: Final = TraceContextTextMapPropagator()
_RESULT: Final = "saga.result"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})


class Tracing:
    """Makes the spans. What carries no trace context gets none: whoever starts a saga decides whether it is traced.

    A span is ended by whoever asked for it, with `end`.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def now(self) -> int:
        """Nanoseconds since 1970, by the clock that spans go by."""
        return time.time_ns()

    def serving(self, method: str, parent: str | None) -> Span:
        """A request over HTTP, until it is answered. `parent` None: its caller has no trace, and one begins here."""
        context = Context() if parent is None else _context(parent)
        return self._tracer.start_span(_method(method)[1], context, SpanKind.SERVER)

    def served(self, span: Span, method: str, path: str | None, status: int | None, saga_id: UUID | None) -> None:
        """End the span of a request, named as OpenTelemetry's semantic conventions for HTTP have it.

        `path` is that of the operation, without what this request has in its places; `status` None: never answered.
        """
        known, name = _method(method)
        span.set_attribute("http.request.method", known)
        if path is not None:
            span.update_name(f"{name} {path}")
            span.set_attribute("http.route", path)
        if status is not None:
            span.set_attribute("http.response.status_code", status)
        if saga_id is not None:
            span.set_attribute("saga.id", str(saga_id))
        # What is wrong with a request is its caller's fault: only ours are errors of a server.
        failed = "no answer" if status is None else str(status) if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None
        if failed is not None:
            span.set_attribute("error.type", failed)
        self.end(span, fault=failed)

    def starting(self, saga: str, parent: str | None) -> Span:
        """The start of a saga, on which all else hangs. `parent` None: the current span of the caller's own, if any."""
        context = None if parent is None else _context(parent)
        return self._tracer.start_span(f"start {saga}", context, SpanKind.PRODUCER, {"saga.name": saga})

    def started(self, span: Span, saga_id: UUID, result: str) -> None:
        """End the span of a start that led to this saga."""
        span.set_attributes({"saga.id": str(saga_id), "messaging.message.conversation_id": str(saga_id)})
        self.end(span, result)

    def sending(self, command: Command) -> Span:
        """One send of a command: a step's attempt, on its way."""
        subject = command_subject(command.participant, command.command)
        messaging = _messaging("send", subject, command.message_id, command.address.saga_id)
        return self._span(
            f"send {command.participant}.{command.command}",
            SpanKind.PRODUCER,
            command.traceparent,
            messaging | _step(command),
        )

    def handling(self, command: Command) -> Span:
        """One delivery of a command, from when it was taken until it is answered or put back."""
        subject = command_subject(command.participant, command.command)
        messaging = _messaging("process", subject, command.message_id, command.address.saga_id)
        return self._span(
            f"process {command.participant}.{command.command}",
            SpanKind.CONSUMER,
            command.traceparent,
            messaging | _step(command),
        )

    def publishing(self, event: DomainEvent) -> Span:
        """A domain event on its way to the world."""
        subject = event.subject or event_subject(event.saga, event.name)
        attributes: dict[str, AttributeValue] = {"saga.name": event.saga, "saga.event": event.name}
        messaging = _messaging("send", subject, f"{event.saga_id}/{event.version}", event.saga_id)
        return self._span(f"publish {event.name}", SpanKind.PRODUCER, event.traceparent, messaging | attributes)

    def took(self, message: Message, began: int) -> None:
        """A reply that was taken by its saga: since `began` (nanoseconds since 1970) it was decided and committed."""
        reply = message_to_reply(message) if TRACEPARENT in message.headers else None
        if reply is None or isinstance(reply, Unreadable):
            return
        address = reply.address
        attributes: dict[str, AttributeValue] = {
            "saga.step": address.step,
            "saga.direction": address.direction.value,
            "saga.attempt": reply.attempt,
            "saga.send": reply.send,
            _RESULT: reply.outcome.value,
        }
        messaging = _messaging("receive", message.subject, reply.message_id, address.saga_id)
        name = f"receive {reply.outcome} from {reply.participant}"
        self.end(self._span(name, SpanKind.CONSUMER, reply.traceparent, messaging | attributes, began))

    def end(self, span: Span, result: str | None = None, fault: str | None = None) -> None:
        """End a span: `result` is what came of it, `fault` what was wrong. Neither holds anything of a payload."""
        if result is not None:
            span.set_attribute(_RESULT, result)
        if fault is not None:
            span.set_status(StatusCode.ERROR, fault)
        span.end()

    def context_of(self, span: Span) -> str | None:
        """The trace context of whoever goes on from this span."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, set_span_in_context(span, Context()))
        return carrier.get(TRACEPARENT)

    @contextmanager
    def within(self, traceparent: str | None) -> Iterator[None]:
        """While this lasts, spans that others make hang on this trace context."""
        if traceparent is None:
            yield
            return
        token = contexts.attach(_context(traceparent))
        try:
            yield
        finally:
            contexts.detach(token)

    def _span(
        self,
        name: str,
        kind: SpanKind,
        parent: str | None,
        attributes: Mapping[str, AttributeValue],
        start_time: int | None = None,
    ) -> Span:
        assert parent is not None, "what carries no trace context gets no span"
        return self._tracer.start_span(name, _context(parent), kind, attributes, start_time=start_time)


def _method(method: str) -> tuple[str, str]:
    """As attribute, and as part of a name: a caller may make up methods, and names are to be few."""
    return (method, method) if method in _METHODS else ("_OTHER", "HTTP")


def _context(traceparent: str) -> Context:
    return _W3C.extract({TRACEPARENT: traceparent}, Context())


def _messaging(operation: str, subject: str, message_id: str, saga_id: UUID) -> dict[str, AttributeValue]:
    """As OpenTelemetry's semantic conventions for messaging name it; the saga is the conversation."""
    return {
        "messaging.system": "nats",
        "messaging.operation.type": operation,
        "messaging.destination.name": subject,
        "messaging.message.id": message_id,
        "messaging.message.conversation_id": str(saga_id),
        "saga.id": str(saga_id),
    }


def _step(command: Command) -> dict[str, AttributeValue]:
    address = command.address
    attributes: dict[str, AttributeValue] = {
        "saga.name": command.saga,
        "saga.step": address.step,
        "saga.direction": address.direction.value,
        "saga.attempt": command.attempt,
        "saga.send": command.send,
    }
    return attributes if address.item is None else {**attributes, "saga.item": address.item}
