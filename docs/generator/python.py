"""The Python API: which names users import, and how each is told on the page.

Owns that list: what stands in it is public, and changes with a line in the changelog; all else is the engine's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from docs.generator.blocks import code, fence
from docs.generator.signatures import Described, describe

SURFACE: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "handlers": {"saga_engine.participant": ("Participant", "Context", "Rejected")},
    "client": {
        "saga_engine.configuration": ("load", "Configuration"),
        "saga_engine.settings.settled": ("Settings",),
        "saga_engine.bootstrap.clients": ("client", "broker_url", "ring"),
        "saga_engine.orchestrator.client": ("Client", "SagaView", "NotTaken"),
    },
    "outcomes": {
        "saga_engine.refusals": ("refusal",),
        "saga_engine.orchestrator.starting": (
            "Started",
            "AlreadyStarted",
            "KeyConflict",
            "StartRefused",
            "DefinitionChanged",
            "StartOutcome",
        ),
        "saga_engine.definition.inputs": ("InputRejected", "InputProblem"),
        "saga_engine.core.inputs": ("Signal", "Cancel", "Suspend", "Resume", "Operate"),
        "saga_engine.core.events": ("Verb",),
        "saga_engine.core.decider": ("Decision", "Decided", "Ignored", "Refused"),
    },
    "looking": {
        "saga_engine.core.state": ("SagaState", "Status", "Failure"),
        "saga_engine.envelope": ("StreamHead",),
        "saga_engine.core.outgoing": ("PublishEvent",),
        "saga_engine.core.events": ("Direction", "Effect"),
        "saga_engine.ports.store": ("StreamFilter",),
        "saga_engine.definition.model": ("Json",),
        "saga_engine.moments": ("rfc3339",),
    },
    "projections": {"saga_engine.projections": ("Projection", "on", "Context")},
    "scenarios": {
        "saga_engine.testing.given": ("given", "Scenario"),
        "saga_engine.testing.sources": ("Source",),
        "saga_engine.testing.moves": (
            "reply",
            "compensation",
            "Answer",
            "signal",
            "cancel",
            "suspend",
            "resume",
            "retry",
            "skip",
            "resolve",
            "due",
            "Move",
        ),
        "saga_engine.testing.expectations": ("event", "command", "published", "SentCommand"),
    },
    "system": {
        "saga_engine.testing.pytest_plugin": ("saga_system", "saga_system_with_handlers", "saga_project"),
        "saga_engine.testing.system": ("SagaSystem",),
        "saga_engine.testing.handle": ("SagaHandle",),
        "saga_engine.testing.scripted": ("ScriptedParticipant", "Done"),
        "saga_engine.testing.script": ("Script",),
    },
    "migrations": {
        "saga_engine.sql.migrate": ("run_environment",),
        "saga_engine.sql.migrations.event_streams": ("upgrade",),
    },
    "http": {
        "saga_engine.api": ("Operation", "Request", "Answer", "body", "Problem", "ProblemDocument"),
        "saga_engine.api.sse": ("Sent", "follow", "last_event_id"),
        "saga_engine.api.sagas": ("LAST_EVENT_ID", "TRACEPARENT", "UNREADABLE"),
        "saga_engine.words": ("words_problem",),
    },
    "cli": {"saga_engine.cli": ("main",)},
    "errors": {
        "saga_engine.errors": (
            "SagaEngineError",
            "UsageError",
            "NotFoundError",
            "UnavailableError",
            "StoreUnavailableError",
            "SchemaMissingError",
            "TransportUnavailableError",
            "LoginRefusedError",
        )
    },
}
"""By block of the page, the names that are imported from each module, in the order in which they are told."""

EVENTS: Final = "saga_engine.core.events"
"""Its types are public too; they have a page of their own."""

_HIDDEN: Final[Mapping[str, frozenset[str]]] = {
    "Participant": frozenset({"handlers"}),
    "Projection": frozenset({"stored_handlers", "published_handlers", "defined_at", "handled_events"}),
    "ProblemDocument": frozenset({"model_config"}),
    "ScriptedParticipant": frozenset({"__init__", "silence", "handlers"}),
    "Script": frozenset({"__init__", "silence", "outcome"}),
    "SagaHandle": frozenset({"__init__"}),
    "Client": frozenset({"__init__"}),
}
"""What of a public class is the engine's own: users neither call nor make it."""


def described() -> Iterator[tuple[str, str, Described]]:
    """Every public name with its module and what is told of it."""
    for modules in SURFACE.values():
        for module, names in modules.items():
            for name in names:
                yield module, name, describe(module, name, _HIDDEN.get(name, frozenset()))


def heading(module: str, name: str) -> str:
    """How a name is headed: with the last part of its module, since some names are in several."""
    return f"{module.rpartition('.')[2]}.{name}"


def names(group: str) -> str:
    """The names of one block: the import, then each with its form and what it says."""
    return "\n\n".join(_section(module, name) for module, imported in SURFACE[group].items() for name in imported)


def _section(module: str, name: str) -> str:
    one = describe(module, name, _HIDDEN.get(name, frozenset()))
    parts = [f"### {code(heading(module, name))}", f"From {code(module)}.", fence("python", one.form), _prose(one.text)]
    members = [f"- {code(member)}: {_prose(text, ' ')}" for member, text in one.members]
    return "\n\n".join(part for part in [*parts, "\n".join(members)] if part)


def _prose(docstring: str, between: str = "\n\n") -> str:
    """A docstring as Markdown, its paragraphs joined by `between`: a list of what is raised becomes a sentence."""
    return between.join(_paragraph(paragraph) for paragraph in docstring.split("\n\n") if paragraph)


def _paragraph(paragraph: str) -> str:
    head, _, listed = paragraph.partition("\n")
    if head != "Raises:":
        return " ".join(paragraph.split())
    raised = re.split(r"\n(?=    \S)", listed)
    told = [" ".join(one.split()).partition(": ") for one in raised]
    return "Raises " + ", ".join(f"{_classes(kind)} ({why.removesuffix('.')})" for kind, _, why in told) + "."


def _classes(kinds: str) -> str:
    return ", ".join(code(kind) for kind in kinds.split(", "))
