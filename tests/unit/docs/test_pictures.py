"""The pictures: what a terminal has shown becomes one that fetches nothing, and each is shown on a page."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs.generator.pictures import PICTURES, TAKEN
from docs.generator.terminal import frames, svg
from tests.unit.docs.markdown import images, pages

COMMITTED = sorted(PICTURES.glob("*.svg"))


def test_every_frame_of_a_picture_that_is_drawn_again_is_found() -> None:
    written = "\x1b[?25lone\r\n1\r\x1b[2K\x1b[1A\x1b[2Ktwo\r\n2\r\x1b[2K\x1b[1A\x1b[2K\x1b[?25h"
    assert frames(written.encode()) == ["one\n1", "two\n2"]
    assert frames(b"shown once\r\n") == ["shown once"]


def test_a_picture_has_the_text_and_its_colours() -> None:
    picture = svg("\x1b[31mdeclined\x1b[0m o-1", "saga show o-1", "show")
    texts = "".join(ElementTree.fromstring(picture).itertext())
    assert "declined" in texts
    assert "saga\u00a0show\u00a0o-1" in texts or "saga show o-1" in texts
    assert len(set(re.findall(r"fill: (#\w+)", picture))) >= 2


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: file.stem)
def test_a_picture_is_sound_and_fetches_nothing(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert re.findall(r'(?:href|src)=|url\((?!#|"?#)|@import|<script', text) == []


def test_every_picture_that_is_taken_is_shown_on_a_page_and_no_other_is_kept() -> None:
    shown = {(page.parent / target).resolve() for page in pages() for _, target in images(page) if "://" not in target}
    assert {file.stem for file in COMMITTED} == set(TAKEN)
    assert set(COMMITTED) - shown == set()
