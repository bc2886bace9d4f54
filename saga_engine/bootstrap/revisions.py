"""Whether a project's revisions and its databases belong together: by the labels, which are names that a person writes.

Owns what is said of those that do not, also by a service at its start. Opens no database.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Final

import structlog

from saga_engine.databases import MIGRATIONS, Database, brings_its_own, project_migrations
from saga_engine.definition.problems import nearest, sentence, shown
from saga_engine.settings.settled import Settings

_log = structlog.get_logger(__name__)

VERSIONS: Final = MIGRATIONS / "versions"


@dataclass(frozen=True, slots=True)
class Belonging:
    """`without`: the databases, by branch, that no revision is for.

    `nobodys`: a sentence for each label, or lack of one, that no database has, with its revisions.
    """

    without: Set[str]
    nobodys: Sequence[str]


def belonging(settings: Settings, databases: Sequence[Database]) -> Belonging:
    """What the labels say. `databases`: all of the project. Raises `UsageError` as `sql.migrate` does."""
    # Imported late: Alembic takes longer to import than most commands to run.
    from saga_engine.sql.migrate import CHECKPOINTS_BRANCH, ENGINE_BRANCH, INBOX_BRANCH, revisions

    branches = {one.branch for one in databases if not brings_its_own(one)}
    claimed = {*branches, ENGINE_BRANCH, INBOX_BRANCH, CHECKPOINTS_BRANCH}
    found = revisions(project_migrations(settings))
    used = frozenset[str]().union(*(one.labels for one in found))
    stray: dict[tuple[str, ...], list[str]] = {}
    for one in found:
        if not one.labels & claimed:
            stray.setdefault(tuple(sorted(one.labels)), []).append(one.id)
    known = sorted(branches)
    return Belonging(branches - used, [_nobodys(labels, ids, known) for labels, ids in sorted(stray.items())])


def tell_strays(settings: Settings, databases: Sequence[Database]) -> None:
    """Log each label that no database has, as `saga db upgrade` warns of it. Raises as `belonging`."""
    for one in belonging(settings, databases).nobodys:
        _log.warning(one)


def _nobodys(labels: Sequence[str], ids: Sequence[str], known: Sequence[str]) -> str:
    who = f"one of {', '.join(known)}"
    if not labels:
        what = "no branch_labels, so that no database gets it"
        return sentence(f"{', '.join(ids)}: {what}", f"branch_labels = (NAME,) with {who}", "")
    names = " and ".join(map(shown, labels))
    hint = next(filter(None, (nearest(label, known) for label in labels)), "")
    what = f"label {names} is of no participant or projection with a database, so that nobody gets it"
    return sentence(f"{', '.join(ids)}: {what}", who, hint)
