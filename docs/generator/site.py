"""What the site's generator needs done to a page before it reads it: a hook of mkdocs, used by `make docs` only.

Owns the two differences between our Markdown and the generator's: info strings of code that are meant for our
tests, and links to files outside of `docs`, which are not part of the site. Imports nothing of mkdocs.
"""

from __future__ import annotations

import posixpath
import re
from typing import Final, Protocol

_FENCE: Final = re.compile(
    r"^(?P<head> *```\w+)(?P<words>(?: (?:illustration=\"[^\"\n]*\"|after-stop))+)", re.MULTILINE
)
_LINK: Final = re.compile(r"\[(?P<text>[^\]\n]*)\]\((?P<target>\.\./[^)\s]*)\)")


class _File(Protocol):
    @property
    def src_uri(self) -> str: ...


class _Page(Protocol):
    @property
    def file(self) -> _File: ...


def for_site(markdown: str, src_uri: str) -> str:
    """The page at `src_uri` (its path below docs) as the site's generator is to read it."""

    def inside(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(src_uri), link["target"]))
        return link["text"] if target.startswith("../") else link[0]

    return _LINK.sub(inside, _FENCE.sub(r"\g<head>", markdown))


def on_page_markdown(markdown: str, page: _Page, **_: object) -> str:
    """Called by mkdocs for every page."""
    return for_site(markdown, page.file.src_uri)
