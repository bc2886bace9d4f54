"""Rewrites every page that has generated blocks, and says which pages changed."""

from __future__ import annotations

import sys
from pathlib import Path

from docs.generator.api import OPENAPI, openapi
from docs.generator.pages import DOCS, generated_pages, refreshed


def main() -> None:
    for page in generated_pages():
        if (fresh := refreshed(page)) != page.read_text(encoding="utf-8"):
            page.write_text(fresh, encoding="utf-8")
            sys.stdout.write(f"{page.relative_to(Path(DOCS).parent)}: rewritten\n")
    if not OPENAPI.exists() or OPENAPI.read_text(encoding="utf-8") != openapi():
        OPENAPI.write_text(openapi(), encoding="utf-8")
        sys.stdout.write(f"{OPENAPI.relative_to(Path(DOCS).parent)}: rewritten\n")


if __name__ == "__main__":
    main()
