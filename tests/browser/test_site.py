"""The documentation site in a real browser: complete, quiet, searchable in both languages."""

from __future__ import annotations

import functools
import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.browser.chromium import Chromium, Page, chromium

from trivec import errors

ROOT = Path(__file__).parents[2]
SITE = ROOT / "site"
HOME = "https://trivec.github.io/trivec/"
PICTURES = os.environ.get("TRIVEC_PICTURES")
"""A folder for pictures, to be looked at."""

PAGES = [
    *("index.html", "concepts.html", "comparison.html", "reference/trivec.html"),
    *("zh/index.html", "zh/concepts.html", "zh/comparison.html"),
]
DIALOG = "[...document.querySelectorAll('div')].map(e => e.shadowRoot).find(Boolean)"
FOUND = f"[...{DIALOG}.querySelectorAll('a[role=option]')].map(link => link.href)"
MARKED = f"[...{DIALOG}.querySelectorAll('mark')].map(mark => mark.innerText)"
TREE = [getattr(errors, name) for name in errors.__all__]


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *_args: Any) -> None:
        """Say nothing of each request."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    assert (SITE / "zh" / "index.html").exists(), "build the site first: make docs"
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=SITE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Chromium]:
    with chromium(os.environ["TRIVEC_CHROMIUM"], tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
def page(browser, address) -> Iterator[Page]:
    opened = browser.page()
    yield opened
    assert opened.complaints() == []
    assert elsewhere(opened, address) == []


def elsewhere(page: Page, address: str) -> list[str]:
    asked = page.requests()
    assert asked
    return [url for url in asked if not url.startswith((address, "data:", "blob:", "about:"))]


def scheme(page: Page) -> str:
    return page.run("document.body.getAttribute('data-md-color-scheme')")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_no_other_host_and_fits_its_window(browser, address, name, width):
    page = browser.page(width=width)
    page.go(address + name)
    assert page.run("document.querySelector('h1').innerText")
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("[...document.images].every(image => image.naturalWidth)")
    page.run("new Promise(done => setTimeout(done, 300))")  # what a script asks for later
    assert page.complaints() == []
    assert elsewhere(page, address) == []
    if PICTURES:
        page.picture(Path(PICTURES) / f"{name.replace('/', '-')}-{width}.png")


@pytest.mark.parametrize(
    ("start", "word", "found"),
    [
        ("index.html", "troubleshooting", "troubleshooting.html"),
        ("reference/trivec.html", "tenant", "tenants.html"),
        ("zh/index.html", "检索路", "zh/arms.html"),
        ("zh/index.html", "租户", "zh/tenants.html"),
        ("zh/concepts.html", "重排", "zh/models.html"),
        # these stand in the middle of sentences: nothing but cutting words finds them
        ("zh/arms.html", "阈值", "zh/answering.html"),
        ("zh/index.html", "难负例", "zh/training-data.html"),
        ("zh/index.html", "嵌入式", "zh/service.html"),
    ],
)
def test_search_finds_a_word(page, address, start, word, found):
    page.go(address + start)
    page.click(".md-search__button")
    page.until(f"{DIALOG}?.querySelector('[role=status]')")
    page.type(word)
    page.until(f"{FOUND}.some(link => link.split(/[?#]/)[0] === {json.dumps(address + found)})")
    assert word.casefold() in {mark.casefold() for mark in page.run(MARKED)}
    if PICTURES:
        page.picture(Path(PICTURES) / f"search-{word}.png")


def test_the_search_of_the_chinese_site_speaks_chinese(page, address):
    page.go(address + "zh/index.html")
    page.click(".md-search__button")
    page.until(f"{DIALOG}?.querySelector('[role=status]')")
    page.type("租户")
    page.until(f"/条结果/.test({DIALOG}.querySelector('[role=status]').innerText)")
    assert page.run(f"{DIALOG}.querySelector('input').placeholder") == "搜索"
    labels = f"[...{DIALOG}.querySelectorAll('[aria-label]')].map(e => e.ariaLabel)"
    assert [label for label in page.run(labels) if label.isascii()] == []
    page.type("qqxx")
    page.until(f"/没有结果/.test({DIALOG}.querySelector('[role=status]').innerText)")


@pytest.mark.parametrize("start", ["index.html", "zh/index.html"])
def test_the_button_copies_the_code(page, address, start):
    page.go(address + start)
    page.allow_clipboard()
    page.until("document.querySelector('.md-code__button[data-md-type=copy]')")
    page.point_and_click(".md-code__button[data-md-type=copy]")
    page.until("navigator.clipboard.readText()")
    assert page.run("navigator.clipboard.readText()") == "pip install 'trivec[mini,cli,files]'"


@pytest.mark.parametrize(
    ("start", "language", "end"),
    [
        ("concepts.html", "zh", "zh/concepts.html"),
        ("zh/troubleshooting.html", "en", "troubleshooting.html"),
        ("index.html", "zh", "zh/index.html"),
        ("reference/trivec.html", "zh", "zh/index.html"),
    ],
)
def test_the_switch_leads_to_the_other_language(page, address, start, language, end):
    page.go(address + start)
    page.click(f"a.md-select__link[hreflang={language}]")
    page.until(
        f"location.href === {json.dumps(address + end)} && document.readyState === 'complete'"
    )
    assert page.run("document.documentElement.lang") == language


@pytest.mark.parametrize("dark", [False, True])
def test_colours_are_those_of_the_system_until_one_switches(browser, address, dark):
    page = browser.page(dark=dark)
    page.go(address + "concepts.html")
    schemes = ["slate", "default"] if dark else ["default", "slate"]
    assert scheme(page) == schemes[0]
    page.click("form[data-md-component=palette] label:not([hidden])")
    page.until(f"document.body.getAttribute('data-md-color-scheme') === '{schemes[1]}'")
    page.go(address + "zh/concepts.html")
    assert scheme(page) == schemes[1]  # kept from page to page
    drawn = page.run("getComputedStyle(document.querySelector('img[src$=svg]')).filter")
    assert drawn.startswith("invert") is not dark
    assert page.complaints() == []


@pytest.mark.parametrize("folder", [SITE, SITE / "zh"], ids=["en", "zh"])
@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_the_address_of_an_error_leads_to_its_heading(folder, error):
    name, _, anchor = error.__new__(error).address.removeprefix(HOME).partition("#")
    html = (folder / name).read_text(encoding="utf-8")
    assert re.search(rf'<h2 id="{anchor}">{error.__name__}\b', html)


@pytest.mark.parametrize("folder", ["", "zh/"], ids=["en", "zh"])
def test_llms_txt_lists_every_page_as_markdown(folder):
    listed = re.findall(r"\(<(.+?)>\)", (SITE / folder / "llms.txt").read_text(encoding="utf-8"))
    docs = ROOT / "docs" / folder
    pages = {str(path.relative_to(docs)) for path in docs.rglob("*.md")}
    if not folder:
        pages = {page for page in pages if not page.startswith("zh/")}
    assert {page.removeprefix(HOME + folder) for page in listed} == pages
    assert [page for page in pages if not (SITE / folder / page).read_text(encoding="utf-8")] == []
