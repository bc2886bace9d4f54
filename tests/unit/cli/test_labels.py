"""`saga db` on a project whose revisions and databases do not belong together: it says which, and what was meant."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from saga_engine.bootstrap.services import Roles, run
from saga_engine.settings.sections import Config
from saga_engine.settings.settled import settle
from tests.unit.cli.conftest import Saga

HANDLERS = """
from saga_engine.participant import Context, Participant

hall = Participant("hall")
mail = Participant("mail")


@hall.command
def reserve(ctx: Context, command: dict[str, object]) -> None:
    pass


@mail.command
async def send(ctx: Context, command: dict[str, object]) -> None:
    pass
"""
REVISION = """
revision = "{revision}"
down_revision = {down!r}
branch_labels = {labels!r}
depends_on = None


def upgrade() -> None:
    pass
"""


@pytest.fixture
def theatre(project: Path, forgotten: None) -> Path:
    """A project with a participant that has a database, `hall`, one that has none, `mail`, and no revisions."""
    (project / "participants").mkdir()
    (project / "participants" / "__init__.py").write_text("", encoding="utf-8")
    (project / "participants" / "hall.py").write_text(HANDLERS, encoding="utf-8")
    return project


def write(theatre: Path, revision: str, *labels: str, down: str | None = None) -> None:
    versions = theatre / "store" / "migrations" / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    (theatre / "store" / "__init__.py").touch()
    text = REVISION.format(revision=revision, down=down, labels=labels or None)
    (versions / f"{revision}.py").write_text(text, encoding="utf-8")


def test_revisions_with_the_label_of_a_database_are_its_own_and_nothing_is_warned_of(theatre: Path, saga: Saga) -> None:
    write(theatre, "0001_seats", "hall")
    write(theatre, "0002_rows", down="0001_seats")
    done = saga("db", "upgrade")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1:] == ["hall: applied 0001_inbox, 0001_seats, 0002_rows"]
    told = saga("db", "status", "-o", "json")
    assert (told.code, told.err) == (0, "")
    assert [row["own_revisions"] for row in json.loads(told.out)] == [True, True]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (
            ("hal",),
            'label "hal" is of no participant or projection with a database, so that nobody gets it; '
            'expected one of engine, hall; did you mean "hall"?',
        ),
        (("mail",), 'label "mail" is of no participant or projection with a database'),
        (
            (),
            "no branch_labels, so that no database gets it; expected branch_labels = (NAME,) with one of engine, hall",
        ),
    ],
    ids=["misspelt", "of a participant without a database", "none"],
)
def test_revisions_that_no_database_gets_are_named_and_the_database_without_any_too(
    theatre: Path, saga: Saga, labels: tuple[str, ...], expected: str
) -> None:
    write(theatre, "0001_seats", *labels)
    write(theatre, "0002_rows", down="0001_seats")
    for output in ("text", "json"):
        for command in ("upgrade", "status"):
            done = saga("db", command, "-o", output)
            assert done.code == 0
            assert done.err.startswith("Warning: 0001_seats, 0002_rows: ")
            assert expected in done.err
            assert done.err.count("\n") == 1
    assert saga("db", "upgrade").out.splitlines()[1] == "hall: is up to date; no revisions of its own"
    hall = saga("db", "status").out.splitlines()[2]
    assert hall.startswith("hall ")
    assert "none; no revisions of its own" in hall
    rows = json.loads(saga("db", "status", "-o", "json").out)
    assert [(row["database"], row["own_revisions"]) for row in rows] == [("engine", True), ("hall", False)]


def test_a_database_for_which_there_are_no_revisions_at_all_is_named(theatre: Path, saga: Saga) -> None:
    done = saga("db", "upgrade")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1] == "hall: applied 0001_inbox; no revisions of its own"


def test_a_revision_that_another_one_depends_on_is_somebodys(theatre: Path, saga: Saga) -> None:
    write(theatre, "0001_seats", "hall")
    write(theatre, "0002_more", down="0001_inbox")
    done = saga("db", "upgrade")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1] == "hall: applied 0001_inbox, 0002_more, 0001_seats"


def test_a_branch_with_two_ends_is_one_plain_error(theatre: Path, saga: Saga) -> None:
    write(theatre, "0001_seats", "hall")
    write(theatre, "0002_rows", down="0001_seats")
    write(theatre, "0002_prices", down="0001_seats")
    done = saga("db", "status")
    assert (done.code, done.out) == (2, "")
    assert "hall@head" in done.err
    assert done.err.count("\n") == 1


async def test_the_services_warn_of_them_at_their_start_in_the_same_words(theatre: Path, saga: Saga) -> None:
    write(theatre, "0001_seats", "hal")
    said = saga("db", "upgrade").err.removeprefix("Warning: ").rstrip()
    stop, ready = asyncio.Event(), asyncio.Event()
    with capture_logs() as logs:
        services = asyncio.create_task(run(settle(Config(), theatre), Roles(), stop, lambda _: ready.set()))
        starting = asyncio.create_task(ready.wait())
        await asyncio.wait((services, starting), return_when=asyncio.FIRST_COMPLETED, timeout=60)
        stop.set()
        await services
    assert ready.is_set()
    assert [entry["log_level"] for entry in logs if entry["event"] == said] == ["warning"]
