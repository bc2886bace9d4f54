"""`saga cancel`, `suspend`, `resume`, `retry`, `skip` and `resolve`: what an operator does, as events with who and why.

Owns their words and options; how they are done, to one saga or to many, is `acting`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from saga_engine.cli.acting import operator, perform
from saga_engine.cli.arguments import Words
from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, output_option
from saga_engine.cli.targets import Targets, target_options
from saga_engine.core.events import Verb
from saga_engine.core.inputs import Cancel, Input, Operate, Resume, Suspend
from saga_engine.core.state import split
from saga_engine.operating import Act

F = TypeVar("F", bound=Callable[..., object])

_MANY = (
    "\n\nWithout ID|KEY the verb is meant for all sagas that --saga, --status and --older-than find: they are shown, "
    "and with --yes, or once their number is typed at a terminal, it is done to them."
)


def _verb_options(function: F) -> F:
    function = click.option("--who", type=Words(), help="Who does it. Default: user@host.")(function)
    function = click.option("--why", type=Words(), help="The reason; it stands in the saga's history.")(function)
    return click.argument("id_or_key", metavar="[ID|KEY]", required=False)(target_options(output_option(function)))


def _reason(why: str | None, targets: Targets) -> str:
    """The reason, without which nothing is done; a look at those of a filter needs none."""
    if why is None and (targets.id_or_key is not None or targets.yes):
        raise click.UsageError("say why, with --why TEXT: the reason stands in the saga's history")
    return why or ""


def _whole(verb: str, make: Callable[[int, str, str], Input], text: str) -> click.Command:
    """A verb on the saga as a whole."""

    @click.command(verb, help=text + _MANY)
    @_verb_options
    @pass_frame
    def command(
        frame: Frame,
        id_or_key: str | None,
        saga: str | None,
        statuses: tuple[str, ...],
        older_than: int | None,
        yes: bool,
        who: str | None,
        why: str | None,
        output: Format,
    ) -> None:
        person = who or operator()
        targets = Targets(id_or_key, saga, statuses, older_than, yes)
        reason = _reason(why, targets)
        perform(frame, Act(verb, lambda at: make(at, person, reason), ready=why is not None), targets, output)

    return command


def _on_blocked(verb: Verb, text: str, *, reason: bool) -> click.Command:
    """A verb on blocked steps. `reason`: it has to be given."""

    @click.command(verb.value, help=text + _MANY)
    @_verb_options
    @click.option("--step", metavar="NAME[/ITEM]", help="Only this blocked step, or item of it. Default: all.")
    @click.option(
        "--item",
        type=click.IntRange(min=0),
        help="With --step NAME: the same as --step NAME/ITEM.",
    )
    @pass_frame
    def command(
        frame: Frame,
        id_or_key: str | None,
        saga: str | None,
        statuses: tuple[str, ...],
        older_than: int | None,
        yes: bool,
        who: str | None,
        why: str | None,
        step: str | None,
        item: int | None,
        output: Format,
    ) -> None:
        if item is not None and step is None:
            raise click.UsageError("--item goes with --step")
        # `show` names an item as it is addressed, step/item: that is taken too.
        name, index = (step, item) if step is None or item is not None else split(step)
        person = who or operator()
        targets = Targets(id_or_key, saga, statuses, older_than, yes)
        because = _reason(why, targets) if reason else why or ""
        ready = why is not None or not reason
        act = Act(verb.value, lambda at: Operate(at, verb, person, because, name, index), ready=ready)
        perform(frame, act, targets, output)

    return command


cancel = _whole(
    "cancel",
    Cancel,
    "End a saga early: what it did is compensated.\n\nPast the point of no return a cancel is recorded and refused "
    "(exit code 1); while the pivot is open it waits for its outcome.",
)
suspend = _whole(
    "suspend", Suspend, "Send nothing for a saga until it is resumed.\n\nReplies and signals are recorded."
)
resume = _whole("resume", Resume, "Let a suspended saga go on; what fell due meanwhile is done now.")
retry = _on_blocked(Verb.RETRY, "Try a blocked step again, with all its attempts anew.", reason=False)
skip = _on_blocked(
    Verb.SKIP,
    "Give up a blocked compensation: its effect stands.\n\nThe saga ends closed, never compensated. A blocked forward "
    "step is closed as skipped.",
    reason=True,
)
resolve = _on_blocked(
    Verb.RESOLVE,
    "Say that a person has undone a blocked step by hand: it counts as compensated.\n\nA blocked forward step counts "
    "as done.",
    reason=True,
)
