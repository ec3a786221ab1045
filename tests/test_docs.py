"""The reference says what the code does."""

import importlib.util
import re
from html import unescape
from pathlib import Path

import picture
import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


@pytest.fixture(scope="module")
def generate():
    """`docs/generate.py`, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_the_pages_are_up_to_date(generate, page):
    """Every generated part is as the code has it now; else run `python docs/generate.py`."""
    text = page.read_text(encoding="utf-8")
    assert text == generate.filled(text)


def test_every_part_stands_somewhere(generate):
    """No part is written that no page has, and no page asks for one that is not written."""
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert all(f"<!-- generated: {name} -->" in text for name in generate.PARTS)


def test_every_page_is_in_the_navigation():
    """The site shows all there is: each page has its line in `mkdocs.yml`, once."""
    named = re.findall(r"\S+\.md$", (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(page.relative_to(DOCS).as_posix() for page in PAGES)


def test_the_picture_shows_what_the_demo_prints():
    """Words and order are those of a demo that is run now; else run `python docs/picture.py`."""
    shown = _words(picture.PICTURE.read_text(encoding="utf-8"))
    # On a busy machine a run of the demo may miss a state; not each time.
    assert any(_words(picture.drawn(picture.shown(picture.demo()))) == shown for _ in range(3))


def _words(svg):
    """What is written in a picture, without numbers and bars, which differ each time."""
    return re.findall(r"[A-Za-z]{2,}", unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)", svg))))


@pytest.mark.parametrize("svg", sorted(DOCS.rglob("*.svg")), ids=lambda path: path.name)
def test_a_picture_needs_nothing_from_elsewhere(svg):
    """No font, style or image is fetched when it is looked at."""
    assert not re.findall(r"url\(\W?http|@import|href=", svg.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["flowrunner.schema.json", "output.schema.json", "states.svg"])
def test_the_files_are_up_to_date(generate, name):
    """They are as the code has them now; else run `python docs/generate.py`."""
    assert (DOCS / "reference" / name).read_text(encoding="utf-8") == generate.FILES[name]()
