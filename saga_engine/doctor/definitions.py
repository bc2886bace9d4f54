"""Definitions of the project against those that the store knows: what was edited without raising its version.

Writes nothing, unlike a registration.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga_engine.bootstrap.definitions import difference
from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.doctor.project import Project
from saga_engine.orchestrator.starting import changed_definitions
from saga_engine.plural import several
from saga_engine.ports.store import EventStore


def changes(store: EventStore, project: Project) -> Iterator[Finding]:
    """Definitions whose version was registered with other content."""
    files = {(file.definition.saga, file.definition.version): file for file in project.definitions}
    changed = changed_definitions(store, [file.definition for file in project.definitions])
    for one in changed:
        yield Finding(
            "definitions",
            Severity.ERROR,
            str(files[one.saga, one.version].path),
            " ".join(difference(one).splitlines()[:1]).removesuffix(":"),
            "`saga run` does not start: running sagas keep the old content, and nobody could tell which one is meant.",
            f"saga definitions diff {one.saga}",
        )
    if not changed and files:
        yield fine("definitions", "definitions/", f"{several(len(files), 'definition')} as registered, or new")
