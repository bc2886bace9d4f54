"""`saga plan`: what would be sent, in which waves, if a saga were cancelled or a step of it failed. Writes nothing."""

from __future__ import annotations

import click

from saga_engine.cli.files import definition_meant
from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, Styled, output_option, write, write_json
from saga_engine.cli.viewing import view_of
from saga_engine.core.plan import Plan
from saga_engine.definition.problems import nearest
from saga_engine.errors import NotFoundError, SagaEngineError, UsageError

_FAIL = "fail@"
_EXPECTED = "expected cancel, or fail@ and the name of a step"


class Supposed(click.ParamType[str]):
    """`cancel`, or `fail@` and the name of a step."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value != "cancel" and not value.startswith(_FAIL):
            self.fail(f"{value!r}: {_EXPECTED}", param, ctx)
        return value

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:  # noqa: ARG002 - click's
        return _EXPECTED


@click.command("plan")
@click.argument("id_or_key", metavar="ID|KEY")
@click.option(
    "--if", "supposed", metavar="cancel|fail@STEP", required=True, type=Supposed(), help="What is supposed to happen."
)
@click.option("--saga", metavar="NAME", help="The saga's name, when several have that key.")
@output_option
@pass_frame
def plan(frame: Frame, id_or_key: str, supposed: str, saga: str | None, output: Format) -> None:
    """Show what would be sent if a saga were cancelled or a step failed.

    Every command that is sent is supposed to succeed. Nothing is written and nothing is sent. A value that depends on
    a result to come is shown as the definition writes it.
    """
    from saga_engine.bootstrap.stores import is_there
    from saga_engine.cli.views.foresight import foresight_json, foresight_lines
    from saga_engine.core.decider import Refused
    from saga_engine.core.foresight import foresee_cancel, foresee_failure

    defined = definition_meant(frame, id_or_key)
    settings = frame.settings()
    if defined and not is_there(settings):
        raise NotFoundError(f"no saga was ever started here; {defined}")
    with frame.client(settings) as client:
        try:
            view = view_of(client, id_or_key, saga)
        except NotFoundError as error:
            raise NotFoundError("; ".join(filter(None, (str(error), defined)))) from error
        if supposed == "cancel":
            foreseen = foresee_cancel(view.plan, view.state, client.now)
        else:
            step = _step(view.plan, supposed.removeprefix(_FAIL))
            foreseen = foresee_failure(view.plan, view.state, step, client.now)
    state = view.state
    if isinstance(foreseen, Refused):
        raise SagaEngineError(f"{state.saga} {state.key}: {foreseen.reason}")
    if output is not Format.TEXT:
        named = {"id": str(state.saga_id), "saga": state.saga, "key": state.key, "if": supposed}
        write_json({**named, **foresight_json(foreseen)}, output)
        return
    write([Styled(state.saga, bold=True), f"  {state.key}  if {supposed}"])
    for line in foresight_lines(foreseen, view.plan):
        write(line)


def _step(plan: Plan, name: str) -> str:
    if name in plan.nodes:
        return name
    hint = nearest(name, plan.nodes) or f"it has {', '.join(plan.nodes)}"
    raise UsageError(f"--if {_FAIL}{name}: saga {plan.definition.saga} has no such step; {hint}")
