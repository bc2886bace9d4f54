"""Acts on sagas with an operator's verb, in batches, wakes who looks after them, and prints what came of it.

Owns what a verdict says, the dry run and the exit code. Which sagas are meant is `targets`'.
"""

from __future__ import annotations

import getpass
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from uuid import UUID

import click

from saga_engine.cli.arguments import MOST_WORDS
from saga_engine.cli.frame import Frame
from saga_engine.cli.output import Format
from saga_engine.cli.progress import progress
from saga_engine.cli.targets import Targets, find_targets
from saga_engine.core.decider import Decided, Decision, Ignored, Refused
from saga_engine.core.events import CancelRequested, CompensationBegan
from saga_engine.core.inputs import Input
from saga_engine.core.state import SagaState, Status
from saga_engine.core.verbs import verbs_for
from saga_engine.envelope import StreamHead
from saga_engine.errors import SagaEngineError

if TYPE_CHECKING:
    from saga_engine.orchestrator.client import Client, NotTaken
    from saga_engine.settings import Settings

FAILED = 1
BATCH: Final = 100
"""Sagas in one commit: few enough that progress is seen."""


class Result(StrEnum):
    """What came of a verb on one saga. `nothing`: it was so already."""

    DONE = "done"
    NOTHING = "nothing"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it, in words, and the saga's status after it."""

    head: StreamHead
    result: Result
    status: str
    message: str


@dataclass(frozen=True, slots=True)
class Act:
    """A verb as it is to be done: the input that it is, made for a time; why a saga can never take it (None: it may);

    and what else is told with each verdict. `ready`: all is said that it takes, so that a person may be asked.
    """

    verb: str
    make: Callable[[int], Input]
    hopeless: Callable[[Client, StreamHead], str | None] = lambda _client, _head: None
    details: Mapping[str, str] = field(default_factory=dict)
    ready: bool = True


def operator() -> str:
    """Who is at the keyboard: `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    # A name that is no UTF-8 comes in surrogates, which no store takes.
    return f"{user}@{socket.gethostname()}".encode("utf-8", "replace").decode()[:MOST_WORDS]


def perform(frame: Frame, act: Act, targets: Targets, output: Format) -> None:
    """Do it to the one saga that is named, or show those of the filter and, with `--yes` or once a person has typed how

    many they are, do it to them.

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
    many = f"{len(heads)} saga{'' if len(heads) == 1 else 's'}"
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
        batch = heads[start : start + BATCH]
        answers: dict[UUID, Decision | NotTaken] = {}
        for head in batch:
            reason = act.hopeless(client, head)
            if reason is not None:
                answers[head.stream_id] = Refused(reason)
        asked = [head.stream_id for head in batch if head.stream_id not in answers]
        answers |= dict(zip(asked, client.act_on_many(asked, act.make), strict=True))
        done = [saga_id for saga_id in asked if isinstance(answers[saga_id], Decided)]
        if done:
            frame.ring(settings, done)
        yield [_verdict(client, act.verb, head, answers[head.stream_id]) for head in batch]


def _verdict(client: Client, verb: str, head: StreamHead, answer: Decision | NotTaken) -> Verdict:
    if isinstance(answer, Decided):
        result, message = _done(answer, verb)
        return Verdict(head, result, answer.state.status, message)
    status = Status(client.status(head.stream_id).status)
    if isinstance(answer, Ignored):
        return Verdict(head, Result.NOTHING, status, answer.reason)
    return Verdict(head, Result.REFUSED, status, f"{answer.reason}; {_possible(status)}")


def _possible(status: Status) -> str:
    verbs = verbs_for(status)
    return f"possible: {', '.join(verbs)}" if verbs else "it has ended, and nothing can be done to it any more"


def _done(decided: Decided, verb: str) -> tuple[Result, str]:
    cancel = next((event for event in decided.events if isinstance(event, CancelRequested)), None)
    if cancel is None:
        return Result.DONE, _state_now(decided.state, verb)
    if not cancel.accepted:
        reason = "the cancel is recorded and refused: the saga is past the point of no return"
        return Result.REFUSED, f"{reason}; {_possible(decided.state.status)}"
    if not any(isinstance(event, CompensationBegan) for event in decided.events):
        waits = (
            "the cancel is recorded and waits for the outcome of the pivot: it takes effect only if that is rejected"
        )
        return Result.DONE, waits
    return Result.DONE, _state_now(decided.state, verb)


def _state_now(state: SagaState, verb: str) -> str:
    if state.suspended and verb != "suspend":
        return "recorded; the saga is suspended, and nothing is sent before it is resumed"
    return f"the saga is {state.status}"
