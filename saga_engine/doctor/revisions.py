"""The project's revisions: whether each has a database that gets it, and each database revisions of its own.

Opens no database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from saga_engine.bootstrap.revisions import VERSIONS, belonging
from saga_engine.databases import Database
from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.doctor.project import Project
from saga_engine.errors import UsageError
from saga_engine.handlers import load_projections

CHECK: Final = "revisions"


def labels(project: Project, databases: Sequence[Database]) -> Iterator[Finding]:
    """What the labels of revisions say. `databases`: all of the project.

    Nothing where the handlers, projections or revisions cannot be read, which are findings of their own.
    """
    if project.participants is None:
        return
    try:
        load_projections(project.settings.root)
        found = belonging(project.settings, databases)
    except UsageError:
        return
    for what in found.nobodys:
        why = "No database gets its tables: a handler that wants one fails, and its sagas are compensated."
        yield Finding(CHECK, Severity.WARNING, str(VERSIONS), what, why, "correct branch_labels, then saga db upgrade")
    for branch in sorted(found.without):
        yield fine(CHECK, branch, f"no revisions of its own: a table of its own wants one labelled {branch}")
