"""The site has every page, and reads our Markdown as it is meant. Building it is `make docs`, which is strict."""

from __future__ import annotations

import re
from collections import Counter

from docs.generator.site import for_site
from tests.unit.docs.markdown import ROOT, links, pages

DOCS = ROOT / "docs"
OWN = {str(page.relative_to(DOCS)) for page in pages() if page.is_relative_to(DOCS)}


def test_the_navigation_of_the_site_names_every_page_once() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    named = Counter(re.findall(r": (\S+\.md)$", nav, flags=re.MULTILINE))
    assert named == Counter(OWN)


def test_the_index_lists_every_page() -> None:
    listed = [target.partition("#")[0] for target in links(DOCS / "index.md")]
    assert OWN - {"index.md"} - set(listed) == set()


def test_no_page_links_to_a_folder_since_a_site_has_no_page_of_one() -> None:
    found = [
        (page.name, target)
        for page in pages()
        if page.is_relative_to(DOCS)
        for target in links(page)
        if "://" not in target and (page.parent / target.partition("#")[0]).is_dir() and not target.startswith("#")
    ]
    assert found == []


def test_code_in_a_list_is_indented_by_four_as_the_generator_of_the_site_wants_it() -> None:
    fences = [
        (page.name, fence)
        for page in pages()
        for fence in re.findall(r"^( +)```", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]
    assert [(page, len(indent)) for page, indent in fences if len(indent) % 4] == []
    assert fences


def test_a_link_out_of_the_documentation_becomes_its_text_on_the_site_and_others_stay() -> None:
    page = "[`a.yaml`](../../examples/a.yaml), [b](../reference/cli.md#b), [c](sleep.md), [d](https://example.org/)"
    assert for_site(page, "how-to/x.md") == page.replace("[`a.yaml`](../../examples/a.yaml)", "`a.yaml`")
    assert for_site("[readme](../README.md)", "index.md") == "readme"


def test_words_for_our_tests_are_not_shown_to_the_generator_of_the_site_and_titles_are() -> None:
    assert for_site('```sh illustration="it has no end"\nx\n```\n', "a.md") == "```sh\nx\n```\n"
    assert for_site("  ```sh after-stop\n  x\n  ```\n", "a.md") == "  ```sh\n  x\n  ```\n"
    assert for_site('```yaml title="a.yaml"\nx\n```\n', "a.md") == '```yaml title="a.yaml"\nx\n```\n'
