"""Both engines, one running browser each for a module, and the small atlas of small_atlas.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bidi import Browser, missing_programs
from small_atlas import write_atlas

MISSING = "\u2013"  # what the page shows where a value is missing
READY = "document.body.dataset.shown !== undefined && document.body.dataset.shown === location.hash"


class Page:
    """One atlas in one browser."""

    def __init__(self, browser: Browser, index: Path) -> None:
        self.browser, self.index = browser, index
        self.js, self.click, self.press = browser.js, browser.click, browser.press
        self.wait, self.type, self.back = browser.wait, browser.type, browser.back

    def open(self, route: str = "") -> Page:
        """Load the page afresh (a change of what follows # alone would not) with an empty localStorage."""
        self.browser.open("about:blank")
        self.browser.forget()
        self.browser.open(self.index.as_uri() + route)
        self.wait(READY)
        return self

    def go(self, route: str) -> Page:
        """Follow a link inside the page."""
        self.js(f"(location.hash = {route!r}, 0)")
        self.wait(f"location.hash === {route!r} && {READY}")
        return self

    def texts(self, selector: str) -> list[str]:
        """Text of each element that fits."""
        return self.js(f"[...document.querySelectorAll({selector!r})].map(e => e.textContent)")

    def text(self, selector: str) -> str:
        return self.js(f"document.querySelector({selector!r}).textContent")

    def count(self, selector: str) -> int:
        return self.js(f"document.querySelectorAll({selector!r}).length")

    def each(self, selector: str, of: str) -> list:
        """`of`, an expression of e, of each element that fits."""
        return self.js(f"[...document.querySelectorAll({selector!r})].map(e => {of})")

    def saved(self, act: str) -> str:
        """Text of the file that an action of the page saves."""
        self.js("(window.kept = save, save = (_, text) => { window.text = text; }, 0)")
        self.js(f"({act}, 0)")
        self.js("(save = window.kept, 0)")
        return self.js("window.text")

    def values(self) -> dict[str, str]:
        """The table of all columns on a node's page: text by column."""
        return dict(self.each("[data-column]", "[e.dataset.column, e.textContent]"))

    def alerts(self) -> str:
        return self.text("#alerts")

    def column(self, name: str) -> list[str]:
        """Cells of a column of the table that are in the document, top to bottom."""
        place = self.js("table.shown()").index(name)
        return self.each(".nodes tbody tr[aria-rowindex]", f"e.cells[{place}].textContent")


@pytest.fixture(scope="module", params=["chromium", "firefox"])
def engine(request: pytest.FixtureRequest) -> str:
    lacking = missing_programs(request.param)
    if lacking:
        pytest.skip(
            f"this machine has no {', '.join(lacking)} (Debian: chromium chromium-driver firefox-esr)"
        )
    return request.param


@pytest.fixture(scope="module")
def browser(engine: str) -> Iterator[Browser]:
    with Browser(engine) as running:
        yield running


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """index.html of the small atlas. Not to be changed."""
    return write_atlas(tmp_path_factory.mktemp("atlas") / "small atlas ü")


@pytest.fixture
def page(browser: Browser, small: Path) -> Iterator[Page]:
    """The small atlas; what the page complained of, asked for or moved wide fails the test."""
    opened = Page(browser, small)
    yield opened
    opened.js("localStorage.clear()")
    assert browser.complaints() == []
    assert browser.requests() == []
