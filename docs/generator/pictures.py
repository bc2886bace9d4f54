"""`make pictures`: the pictures of README and docs, taken from a real run of this repository's project.

Owns which pictures there are and the run that they are of. How a terminal becomes a picture is `terminal`'s.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from docs.generator.terminal import frames, svg
from tests.acceptance.projects import PATIENCE, REPOSITORY, Project, eventually
from tests.acceptance.terminals import on_terminal

PICTURES: Final = Path(__file__).resolve().parents[1] / "pictures"

_DECLINED: Final = '{"order_id": "o-7", "customer_id": "c-1", "amount": 1500000}'
_SLOW_CARD: Final = {"SAGA_PARTICIPANTS__PAYMENT__SETTINGS__CARD_NETWORK_MS": "150"}
"""So that there is something to see of an order while it is under way."""


def _show(project: Project) -> str:
    """The timeline of an order whose card was declined."""
    with on_terminal(["show", "o-7"], project.folder, project.environment, columns=120) as shown:
        assert shown.wait(PATIENCE) == 0, shown.shown
        return svg(frames(shown.shown)[-1], "saga show o-7", "show")


def _watch(project: Project) -> str:
    """All sagas, while some are under way and others have ended either way."""

    def telling(shown: bytes) -> str | None:
        return next((frame for frame in frames(shown) if all(word in frame for word in _WATCHED)), None)

    with on_terminal(["watch"], project.folder, project.environment, rows=24, columns=120) as watched:
        watched.wait_for("started")
        project.start_orders(60, declined_every=6, prefix="order")
        frame = eventually(lambda: telling(watched.shown), "sagas that run beside sagas that have ended")
        watched.process.send_signal(signal.SIGINT)
        watched.wait(PATIENCE)
        return svg(frame, "saga watch", "watch")


_WATCHED: Final = ("running", "completed", "compensated")


def _graph(project: Project, what: str) -> str:
    """The steps of a definition or of a saga, as `saga graph` draws them."""
    drawn = project.saga("graph", what, "-o", "svg")
    assert drawn.returncode == 0, drawn.stderr
    return drawn.stdout


TAKEN: Final[Mapping[str, Callable[[Project], str]]] = {
    "show": _show,
    "graph": lambda project: _graph(project, "definitions/place_order.yaml"),
    "graph-of-a-saga": lambda project: _graph(project, "o-7"),
    "watch": _watch,
}
"""By name of file, in the order in which they are taken."""


def main() -> None:
    """Run the project in a folder of its own, take every picture, and say which."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder), REPOSITORY, None, **_SLOW_CARD)
        project.environment.pop("NO_COLOR", None)
        try:
            project.run()
            ended = project.saga("start", "place_order", "--input", _DECLINED, "--wait")
            assert ended.returncode == 5, ended.stderr
            PICTURES.mkdir(exist_ok=True)
            for name, take in TAKEN.items():
                file = PICTURES / f"{name}.svg"
                file.write_text(take(project), encoding="utf-8")
                sys.stdout.write(f"{file.relative_to(REPOSITORY)}\n")
        finally:
            project.close()


if __name__ == "__main__":
    main()
