"""Where the peers are installed, and installing them: `python -m benchmarks.peers.place`.

From the package registries that pip and npm are configured for. Restate's server comes from npm; without npm it is not
installed, and said so.
"""

from __future__ import annotations

import shutil
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

RESTATE: Final = "@restatedev/restate-server@1.7.12"


@dataclass(frozen=True, slots=True)
class Place:
    """The folder that holds the peers."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    @property
    def restate_server(self) -> Path | None:
        """Restate's server, None when it is not installed."""
        found = sorted((self.folder / "restate" / "node_modules" / "@restatedev").glob("*/bin/restate-server"))
        return found[0] if found else None


PLACE: Final = Place(Path(__file__).parents[2] / ".bench" / "peers")


def install(place: Place) -> None:
    """Install what is not there yet. CalledProcessError when pip or npm fails."""
    if not place.python.exists():
        venv.create(place.folder / "venv", with_pip=True)
    requirements = Path(__file__).with_name("requirements.txt")
    pip = (str(place.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run([*pip, "--requirement", str(requirements)], check=True)
    npm = shutil.which("npm")
    if place.restate_server is None and npm is not None:
        (folder := place.folder / "restate").mkdir(parents=True, exist_ok=True)
        npm_install = (npm, "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder), RESTATE)
        subprocess.run(npm_install, check=True)
    if place.restate_server is None:
        click.echo("Restate is not installed and will not be measured: its server comes from npm", err=True)


if __name__ == "__main__":
    install(PLACE)
