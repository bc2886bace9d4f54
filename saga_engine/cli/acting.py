"""Acts on sagas with an operator's verb, in batches, wakes who looks after them, and prints what came of it.

Owns the dry run and the exit code. Which sagas are meant is `targets`', what a verdict says `operating`'s.
"""

from __future__ import annotations

import getpass
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import click

from saga_engine import operating
from saga_engine.cli.frame import Frame
from saga_engine.cli.output import Format
from saga_engine.cli.progress import progress
from saga_engine.cli.targets import Targets, find_targets
from saga_engine.envelope import StreamHead
from saga_engine.errors import SagaEngineError
from saga_engine.operating import Act, Result, Verdict
from saga_engine.plural import several
from saga_engine.words import MOST_WORDS

if TYPE_CHECKING:
    from saga_engine.orchestrator.client import Client
    from saga_engine.settings.settled import Settings

FAILED = 1
BATCH: Final = 100
"""Sagas in one commit: few enough that progress is seen."""


def operator() -> str:
    """Who is at the keyboard: `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    # A name that is no UTF-8 comes in surrogates, which no store takes.
    return f"{user}@{socket.gethostname()}".encode("utf-8", "replace").decode()[:MOST_WORDS]


def perform(frame: Frame, act: Act, targets: Targets, output: Format) -> None:
    """Do it to the one saga that is named, or to those of a filter.

    Those of a filter are shown first; it is done with `--yes`, or once a person has typed how many they are.

    Raises:
        SagaEngineError: the one saga does not allow it.
    """
    from saga_engine.cli.views.verdicts import print_verdicts

    targets.check()
    settings = frame.settings()
    with frame.client(settings) as client:
        heads = find_targets(client, act.verb, targets)
        if targets.id_or_key is not None:
            (verdict,) = next(_each(frame, settings, client, act, heads))
            if verdict.result is Result.REFUSED:
                raise SagaEngineError(f"{verdict.head.saga} {verdict.head.key}: {verdict.message}")
            print_verdicts(act, [verdict], output, single=True)
        elif targets.yes or _confirmed(act, heads, output):
            _perform_all(frame, settings, client, act, heads, output)


def _confirmed(act: Act, heads: Sequence[StreamHead], output: Format) -> bool:
    """Show whom it would be done to; whether a person says that it shall."""
    from saga_engine.cli.confirming import confirmed
    from saga_engine.cli.views.verdicts import print_candidates

    print_candidates(act.verb, heads, output)
    many = several(len(heads), "saga")
    if output is Format.TEXT and act.ready and confirmed(len(heads), f"{act.verb} {many}"):
        return True
    hint = "; nothing was done: add --yes to do it" if heads else ""
    click.echo(f"{act.verb} would be done to {many}{hint}", err=True)
    return False


def _perform_all(
    frame: Frame, settings: Settings, client: Client, act: Act, heads: Sequence[StreamHead], output: Format
) -> None:
    from saga_engine.cli.views.verdicts import print_verdicts

    verdicts: list[Verdict] = []
    with progress(act.verb, beside_data=output is Format.JSONL) as bar:
        for batch in _each(frame, settings, client, act, heads):
            # As lines they are told while it goes on; a document needs them all.
            if output is Format.JSONL:
                print_verdicts(act, batch, output)
            verdicts += batch
            bar.report(f"{act.verb} {len(verdicts):,} of {len(heads):,}", len(verdicts), len(heads))
    if output is not Format.JSONL:
        print_verdicts(act, verdicts, output)
    counts = Counter(verdict.result for verdict in verdicts)
    click.echo(f"{act.verb}: {', '.join(f'{counts[result]} {result}' for result in Result)}", err=True)
    if counts[Result.REFUSED]:
        click.get_current_context().exit(FAILED)


def _each(
    frame: Frame, settings: Settings, client: Client, act: Act, heads: Sequence[StreamHead]
) -> Iterator[Sequence[Verdict]]:
    """Do it, a batch at a time; after each commit the owners of those sagas are woken."""
    for start in range(0, len(heads), BATCH):
        performed = operating.perform(client, act, heads[start : start + BATCH])
        if performed.changed:
            frame.ring(settings, performed.changed)
        yield performed.verdicts
