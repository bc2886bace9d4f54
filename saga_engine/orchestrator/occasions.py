"""Which domain events of others start a saga or end one of its waits, and what such an event says.

Owns the durable name of each occasion and the meaning of a message as an event. Takes and starts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from saga_engine.definition.inputs import InputRejected, parse_json
from saga_engine.definition.model import Child, Definition, ExpressionFailed, Json, StartOn, Wait, WaitOn
from saga_engine.definition.values import sha256_hex
from saga_engine.envelope import Message
from saga_engine.immutable import dataclass
from saga_engine.orchestrator.starting import MOST_KEY
from saga_engine.ports.events import Listening
from saga_engine.wire.headers import MESSAGE_ID, TRACEPARENT
from saga_engine.wire.reading import Unreadable

_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Occasion:
    """An event that concerns a saga of that name. `event`: the signal that it counts as; None: it starts one."""

    saga: str
    on: StartOn | WaitOn
    definition: Definition
    event: str | None

    @property
    def name(self) -> str:
        """The durable name: a process that does not know of this occasion takes none of its events."""
        place = f"{self.event or ''}/{self.on.subject}"
        return f"on-{self.saga}-{sha256_hex(place.encode())[:16]}"

    @property
    def key_source(self) -> Json:
        """The key as it is written."""
        return None if self.on.key is None else self.on.key.source

    @property
    def listening(self) -> Listening:
        return Listening(self.name, self.on.subject)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A domain event, read. `id` and `source` tell it from all others; one without an id is known by its content."""

    subject: str
    id: str
    type: str | None
    source: str | None
    data: Json
    traceparent: str | None

    @property
    def root(self) -> Mapping[str, Json]:
        """What expressions see."""
        event = {
            "subject": self.subject,
            "id": self.id,
            "type": self.type,
            "source": self.source,
            "data": self.data,
        }
        return {"event": event}

    def signal_id(self, signal: str) -> str:
        """The id of the signal that it counts as: the same for each repetition, another for each name."""
        told = "\0".join((signal, self.source or self.subject, self.id))
        return f"event-{sha256_hex(told.encode())[:_DIGITS]}"


@dataclass(frozen=True, slots=True)
class NoValue:
    """An expression of `on` has no usable value for an event."""

    reason: str


Versions: TypeAlias = Mapping[str, Mapping[int, Definition]]
Expand: TypeAlias = Callable[[Definition], Definition | None]


def occasions(project: Versions, registered: Iterable[Definition], expand: Expand) -> Mapping[str, Sequence[Occasion]]:
    """All occasions by their names; of one name several when versions of a definition make the key differently.

    Sagas are started by the highest version of the `project`; those that run may have been started by any version
    that was `registered`. `expand` puts children into a definition; None where they are not known any more.
    """
    found: dict[str, list[Occasion]] = {}
    for versions in project.values():
        newest = versions[max(versions)]
        if newest.on is not None:
            starting = Occasion(newest.saga, newest.on, newest, None)
            found[starting.name] = [starting]
    for definition in registered:
        whole = expand(definition)
        for wait in () if whole is None else _waits(whole):
            if wait.on is not None:
                waiting = Occasion(definition.saga, wait.on, definition, wait.event)
                known = found.setdefault(waiting.name, [])
                if all(one.key_source != waiting.key_source for one in known):
                    known.append(waiting)
    return found


def read_occurrence(message: Message) -> Occurrence | Unreadable:
    """A message as a CloudEvent in binary mode, or as bare JSON; an empty body is null."""
    headers = {name.lower(): value for name, value in message.headers.items()}
    data = parse_json(message.body) if message.body else None
    if isinstance(data, InputRejected):
        return Unreadable(f"the event's data is not usable: {data}")
    own = headers.get("ce-id") or headers.get(MESSAGE_ID.lower())
    return Occurrence(
        message.subject,
        own or sha256_hex(message.subject.encode() + b"\0" + message.body)[:_DIGITS],
        headers.get("ce-type"),
        headers.get("ce-source"),
        data,
        headers.get(TRACEPARENT),
    )


def is_own(occasion: Occasion, event: Occurrence) -> bool:
    """Whether a saga of that name has published it itself."""
    return event.source == f"saga/{occasion.saga}"


def input_of(on: StartOn, event: Occurrence) -> Json | NoValue:
    """The input of the saga that an event starts."""
    if on.input is None:
        return event.data
    value = on.input.evaluate(event.root)
    return NoValue(f"on.input has no value: {value.message}") if isinstance(value, ExpressionFailed) else value


def key_of(occasion: Occasion, event: Occurrence, input: Json) -> str | NoValue:
    """The business key that an event means: by `on`, or as the definition makes it from the input."""
    written, roots = occasion.on.key, event.root
    if written is None:
        written, roots = occasion.definition.key, {"input": input}
    if written is None:
        return NoValue("neither on nor the definition has a key")
    value = written.evaluate(roots)
    if isinstance(value, ExpressionFailed):
        return NoValue(f"the key has no value: {value.message}")
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return NoValue(f"the business key {written.source} must be an integer or text that is not empty")
    key = str(value)
    if "\x00" in key:
        # A header may hold anything, and PostgreSQL's driver takes this for a mistake of the program.
        return NoValue("the business key holds the character NUL")
    if len(key) > MOST_KEY:
        return NoValue(f"the business key has {len(key):,} characters, at most {MOST_KEY:,}")
    return key


def _waits(definition: Definition) -> Iterator[Wait]:
    for step in definition.steps:
        if isinstance(step.action, Wait):
            yield step.action
        elif isinstance(step.action, Child) and step.action.definition is not None:
            yield from _waits(step.action.definition)
