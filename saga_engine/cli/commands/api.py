"""`saga api`: the HTTP API, until SIGTERM or Ctrl-C."""

from __future__ import annotations

from importlib.util import find_spec

import click

from saga_engine.cli.early import noting_sigterm
from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.errors import UsageError
from saga_engine.extras import Extra, install_extra


@click.command("api")
@pass_frame
def api(frame: Frame) -> None:
    """Serve sagas over HTTP, and what the project's `api` folder adds.

    Where, and who may call, says the section `api` of config.yaml: by default 127.0.0.1:3000, for this machine only.
    `/api/openapi.json` describes it. Needs the extra `api`. SIGTERM and Ctrl-C stop it after what is under way.
    """
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{' and '.join(missing)} not installed; install what it needs with: {install_extra(Extra.API)}"
        )
    with noting_sigterm() as noted:
        from saga_engine.api.serving import serve_api
        from saga_engine.cli.serving import serve_command

        serve_command(frame, noted, serve_api)
