"""Which sagas a verb is meant for: the one that is named by id or key, or all that a filter finds.

Owns the options for that and how a filter is worked off. Does nothing to any saga.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import click

from saga_engine.cli.arguments import Duration
from saga_engine.core.state import Status
from saga_engine.core.verbs import ALLOWED
from saga_engine.envelope import StreamHead
from saga_engine.errors import UsageError
from saga_engine.listing import started_before
from saga_engine.ports.store import StreamFilter

if TYPE_CHECKING:
    from saga_engine.orchestrator.client import Client

F = TypeVar("F", bound=Callable[..., object])

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Targets:
    """The sagas that a verb is meant for.

    One, by id or key (`saga` says whose key), or with `id_or_key` None those of the filter: by name, status and age
    (started longer ago than `older_than` microseconds). `yes`: act on them, do not only show them.
    """

    id_or_key: str | None
    saga: str | None
    statuses: Sequence[str]
    older_than: int | None
    yes: bool

    def check(self) -> None:
        """Raises click's UsageError when it is not clear who is meant."""
        filtered = bool(self.statuses) or self.older_than is not None
        if self.id_or_key is not None and (filtered or self.yes):
            raise click.UsageError("--status, --older-than and --yes go with a filter, not with ID|KEY")
        if self.id_or_key is None and not filtered and self.saga is None:
            raise click.UsageError("name a saga by ID|KEY, or many by --saga, --status and --older-than")


def target_options(function: F) -> F:
    """The options by which many sagas are meant; the parameters are saga, statuses, older_than and yes."""
    acting = click.option(
        "--yes", is_flag=True, help="Do it for all that the filter finds; without it they are only shown."
    )
    named = click.option("--saga", metavar="NAME", help="The saga's name, when several have that key; or as a filter.")
    return named(filter_options(acting(function)))


def filter_options(function: F) -> F:
    """The words of a filter beside the saga's name; the parameters are statuses and older_than (microseconds)."""
    for option in (
        click.option(
            "--older-than", type=Duration(), help="Filter: only sagas started longer ago than this, as in 2h."
        ),
        click.option(
            "--status",
            "statuses",
            multiple=True,
            type=click.Choice([str(status) for status in Status]),
            help="Filter: only sagas of this status; may be given several times.",
        ),
    ):
        function = option(function)
    return function


def find_targets(client: Client, verb: str, targets: Targets) -> list[StreamHead]:
    """The sagas that are meant, oldest first. A filter without a status finds those whose status allows the verb.

    Raises:
        NotFoundError: none of that id or key.
        UsageError: a key of several sagas, or a status that does not allow the verb.
    """
    if targets.id_or_key is not None:
        return [client.status(client.find(targets.id_or_key, targets.saga))]
    hopeless = [status for status in targets.statuses if status not in ALLOWED[verb]]
    if hopeless:
        allowing = ", ".join(status for status in Status if status in ALLOWED[verb])
        raise UsageError(f"--status {hopeless[0]}: {verb} is for sagas that are {allowing}")
    statuses = targets.statuses or sorted(ALLOWED[verb])
    before = started_before(client, targets.older_than)
    found: list[StreamHead] = []
    while True:
        page = client.list(StreamFilter(targets.saga, statuses, before, _PAGE))
        found += page
        if len(page) < _PAGE:
            return found[::-1]
        before = page[-1].stream_id
