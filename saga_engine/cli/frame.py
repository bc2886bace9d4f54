"""What every command stands on: the project, its configuration, the client. Each is made when it is asked for.

Owns the way from the root command's options to those. Imports nothing heavy until then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click

from saga_engine.errors import UsageError
from saga_engine.project import CONFIG_FILE, MARKER, enter, find_root

if TYPE_CHECKING:
    from uuid import UUID

    from saga_engine.configuration import Configuration
    from saga_engine.orchestrator.client import Client
    from saga_engine.settings.settled import Settings

P = ParamSpec("P")
R = TypeVar("R")
_LEVEL = "warning"


@dataclass(frozen=True, slots=True)
class Frame:
    """The options of the root command."""

    project: Path | None
    sets: tuple[str, ...]
    log_level: str | None

    def root(self) -> Path:
        """The project's root. Raises `UsageError` when there is none."""
        if self.project is None:
            return find_root(Path.cwd())
        if not self.project.is_dir():
            raise UsageError(f"--project {self.project}: there is no such folder")
        root = find_root(self.project)
        if root != self.project.resolve():
            raise UsageError(f"--project {self.project}: has no {CONFIG_FILE} with `{MARKER}: 1`; did you mean {root}?")
        return root

    def configuration(self) -> Configuration:
        """The configuration of the project, whose root is on the import path from here on."""
        from saga_engine.configuration import load

        root = self.root()
        enter(root)
        return load(root, self.sets)

    def settings(self) -> Settings:
        """The settings, with the logs of libraries set up. Who runs modules of ours that log calls `log` as well.

        Raises `UsageError` when they let a connection beyond loopback be in plain text.
        """
        from saga_engine.cli.logs import configure_libraries

        configure_libraries(self.log_level or _LEVEL)
        return self.configuration().settings

    def log(self, default: str = _LEVEL) -> None:
        """Send logs to stderr, at the level asked for."""
        from saga_engine.cli.logs import configure

        configure(self.log_level or default)

    @contextmanager
    def client(self, settings: Settings | None = None, *, new: bool = False) -> Iterator[Client]:
        """A client of the project's store, closed at the end. `settings`: those of the project, when they are known.

        `new`: a store that is not there is made, if it is a file.
        """
        from saga_engine.bootstrap.clients import client as project_client

        with closing(project_client(settings or self.settings(), new=new)) as client:
            yield client

    def ring(self, settings: Settings, saga_ids: Sequence[UUID]) -> None:
        """Wake those who look after these sagas. Best when the result is printed: NATS takes long to import."""
        import asyncio

        from saga_engine.bootstrap.clients import broker_url, ring

        url = broker_url(settings)
        if url is not None:
            self.log()
            asyncio.run(ring(settings, url, *saga_ids))


def pass_frame(function: Callable[Concatenate[Frame, P], R]) -> Callable[P, R]:
    """Gives a command the frame as its first argument."""
    return click.make_pass_decorator(Frame)(function)
