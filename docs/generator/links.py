"""`make links`: the links that lead out of the repository, each with the pages that have it and what is wrong with it.

Owns where a link may lead: to places that were made to be linked to for good. Asks no server.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_ROOT: Final = Path(__file__).resolve().parents[2]

STABLE: Final[Mapping[str, str]] = {
    "alembic.sqlalchemy.org": "the documentation of the tool that runs migrations",
    "keepachangelog.com": "names its version in the path",
    "semver.org": "the specification",
    "www.w3.org": "a standard under its short name",
}
"""By host, why what is linked there will stay."""

_LINK: Final = re.compile(
    r"\]\((?P<inline>\w+://[^)\s]+)\)|<(?P<bare>https?://[^>\s]+)>|^\[[^\]]+\]: (?P<named>\S+://\S+)", re.M
)
_IN_YAML: Final = re.compile(r"(?P<inline>\bhttps?://[^\s\"'}]+)")


def written() -> Sequence[Path]:
    """Every text of the repository that is written for readers, the issue templates included."""
    folders = (
        (_ROOT, "*.md"),
        (_ROOT / "docs", "**/*.md"),
        (_ROOT / "examples", "*/*.md"),
        (_ROOT / ".github", "**/*.md"),
    )
    templates = sorted((_ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.y*ml"))
    return [
        *(file for folder, names in folders for file in sorted(folder.glob(names)) if "node_modules" not in file.parts),
        *templates,
    ]


def external(text: str, *, yaml: bool = False) -> Iterator[str]:
    """The links of a text that lead out of the repository."""
    for found in (_IN_YAML if yaml else _LINK).finditer(text):
        yield next(link for link in found.groups() if link is not None)


def problem(url: str) -> str | None:
    """Why a link may not stand in a page: its form, or that nobody knows whether it will stay."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return "expected https"
    if parts.username is not None or parts.port is not None or parts.query:
        return "has a user, a port or a query"
    if parts.hostname not in STABLE:
        return f"{parts.hostname} is not among the stable places of docs/generator/links.py"
    return None


def main() -> int:
    """Print every link with its pages; 1 when one of them may not stand there."""
    pages: dict[str, list[str]] = {}
    for file in written():
        for url in external(file.read_text(encoding="utf-8"), yaml=file.suffix != ".md"):
            pages.setdefault(url, []).append(str(file.relative_to(_ROOT)))
    for url, where in sorted(pages.items()):
        sys.stdout.write(f"{url}  {', '.join(where)}  {problem(url) or 'well-formed'}\n")
    return int(any(problem(url) for url in pages))


if __name__ == "__main__":
    raise SystemExit(main())
