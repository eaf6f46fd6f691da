"""The explorer in a real browser: nothing is complained of, nothing asked for elsewhere."""

from __future__ import annotations

import os
import queue
import threading
from pathlib import Path

import httpx
import pytest
from tests.browser.chromium import chromium

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.serving.explorer import ExplorerOptions, serve_explorer
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import ChatReply

PICTURES = os.environ.get("TRIVEC_PICTURES")
"""A folder for pictures, to be looked at."""

TEXTS = {
    "tea": (
        "drinks.md",
        "Green tea is a warm drink from China. It is made of leaves.",
    ),
    "coffee": ("drinks.md", "Coffee is made of roasted beans, and it is drunk warm or cold."),
    "cat": ("pets.md", "The cat sleeps on the sofa all day, and drinks water at night."),
    "绿茶": ("饮料.md", "绿茶是一种来自中国的饮料，用茶叶制成，可以热饮也可以冷饮。"),
    "咖啡": ("饮料.md", "咖啡由烘焙的咖啡豆制成，很多人早上喝咖啡。"),
    "bad": (
        "<b>notes</b>.md",
        "<script>document.title='owned'</script> tea \u202edesrever\u202c here",
    ),
}
HIT = ".list-fused .hit"


class Chat:
    def chat(self, _messages, *, schema=None):
        text = '{"keywords": ["leaves"]}' if schema else "Tea is a warm drink [1]."
        return ChatReply(text, 40, 7)

    def stream(self, messages):
        yield self.chat(messages)


@pytest.fixture(scope="module")
def address():
    """The page of an index, served for as long as the tests run."""
    config = IndexConfig(arms=("dense", "sparse", "bm25", "colbert"))
    told = queue.Queue()
    with HybridIndex.open(MemoryStore(), FakeEncoder(), config=config) as index:
        index.add(Chunk(text, id=key, source=source) for key, (source, text) in TEXTS.items())
        options = ExplorerOptions(chat=Chat(), min_evidence=0.0)
        threading.Thread(
            target=serve_explorer,
            args=(index, options),
            kwargs={"port": 0, "ready": told.put},
            daemon=True,
        ).start()
        url = told.get(timeout=120)
        httpx.get(url, params={"q": "warm 绿茶"}, timeout=120)  # dictionaries are loaded here
        yield url


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(os.environ["TRIVEC_CHROMIUM"], tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
def page(browser, address):
    opened = browser.page()
    yield opened
    assert opened.complaints() == []
    asked = opened.requests()
    assert asked
    assert [url for url in asked if not url.startswith((address, "about:"))] == []


def keys(page, name="fused"):
    return page.run(
        f"[...document.querySelectorAll('.list-{name} .hit')].map((hit) => hit.dataset.key)"
    )


def names(page):
    return page.run("[...document.querySelectorAll('.list')].map((one) => one.classList[1])")


def keep(page, name):
    if PICTURES:
        page.picture(Path(PICTURES) / f"{name}.png")


def test_an_english_question_typed_by_keys(page, address):
    page.go(address)
    page.run("document.activeElement.blur()")
    page.press("/")
    page.type("a warm drink of leaves")
    page.settled()
    page.until(f"document.querySelector({HIT!r})")
    assert keys(page)[0] == "tea|drinks.md"
    assert names(page) == ["list-fused", "list-dense", "list-sparse", "list-bm25"]
    assert "q=a+warm+drink+of+leaves" in page.run("location.search")
    assert page.run("document.querySelectorAll('mark').length") > 0


def test_a_chinese_question_on_the_chinese_page(page, address):
    page.go(f"{address}?lang=zh&q=绿茶来自哪里")
    assert keys(page)[0] == "绿茶|饮料.md"
    assert page.run("document.documentElement.lang") == "zh-CN"
    assert "融合结果" in page.run("document.body.innerText")
    keep(page, "chinese")


def test_arms_are_switched_and_weighed_at_once(page, address):
    page.go(f"{address}?q=warm+tea&lang=en")
    before = page.run(f"document.querySelector('{HIT} .score').textContent")
    page.click("input[name=arm][value=sparse]")
    page.settled()
    assert names(page) == ["list-fused", "list-dense", "list-bm25"]
    assert page.run("new URLSearchParams(location.search).getAll('arm')") == ["dense", "bm25"]
    page.run(
        "(() => { const one = document.querySelector('[name=\"w.bm25\"]'); one.value = 3;"
        " one.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    page.settled()
    assert page.run("new URLSearchParams(location.search).get('w.bm25')") == "3"
    assert page.run("document.querySelector('[name=\"w.bm25\"]').nextElementSibling.value") == "3"
    after = page.run(f"document.querySelector('{HIT} .score').textContent")
    assert after != before
    url = page.run("location.href")
    page.go(url)  # the address is the state
    assert page.run(f"document.querySelector('{HIT} .score').textContent") == after
    page.click("input[name=arm][value=sparse]")
    page.settled()
    assert names(page)[2] == "list-sparse"


def test_an_explanation_is_opened_and_closed_by_keys(page, address):
    page.go(f"{address}?q=warm+tea&lang=en")
    page.press("j")
    page.press("j")
    assert page.run("document.activeElement.matches('.hit')")
    page.press("Enter")
    page.until("document.querySelector('#explanation')")
    page.settled()
    told = page.run("document.querySelector('#explanation').innerText")
    assert "it is number 2 of 10" in told
    assert page.run("document.querySelectorAll('#explanation .pair').length") == 3
    keep(page, "explanation")
    page.press("Escape")
    page.until("!document.querySelector('#explanation')")
    page.run("history.back()")
    page.until("document.querySelector('#explanation')")


def test_a_passage_that_is_missing(page, address):
    page.go(f"{address}?q=warm+tea&k=1&open=cat&lang=en")
    assert "1 were asked for" in page.run("document.querySelector('.reason').textContent")


def test_text_from_outside_is_text(page, address):
    page.go(f"{address}?q=%3Cscript%3Ealert(1)%3C/script%3E+tea&open=bad&lang=en")
    assert page.run("document.title").startswith("<script>alert(1)</script> tea")
    assert "<script>document.title='owned'</script>" in page.run("document.body.innerText")
    assert page.run("document.querySelectorAll('script').length") == 1
    assert page.run("document.querySelectorAll('b').length") == 0
    shown = "[...document.querySelectorAll('.hidden-character')].map((one) => one.textContent)"
    assert "\\u202e" in page.run(shown)
    keep(page, "hostile")


def test_an_answer_with_its_citations(page, address):
    page.go(f"{address}?q=what+is+tea&lang=en")
    page.click("button[name=answer]")
    page.until("document.querySelector('#answer')")
    assert "Tea is a warm drink [1]." in page.run("document.querySelector('.said').textContent")
    page.click("a.cite")
    assert page.run("document.querySelector('#passage-1').matches(':target')")
    keep(page, "answer")


def test_two_browsers_at_once(tmp_path, browser, address):
    other_browser = chromium(os.environ["TRIVEC_CHROMIUM"], tmp_path / "second")
    with other_browser as second:
        one, two = browser.page(), second.page()
        one.go(f"{address}?q=warm+tea&lang=en")
        two.go(f"{address}?q=咖啡豆&lang=zh")
        one.click("input[name=arm][value=dense]")
        two.click("input[name=arm][value=bm25]")
        one.settled()
        two.settled()
        assert names(one) == ["list-fused", "list-sparse", "list-bm25"]
        assert names(two) == ["list-fused", "list-dense", "list-sparse"]
        assert keys(two)[0].endswith("饮料.md")
        assert one.complaints() == two.complaints() == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_the_window(browser, address, width, dark):
    page = browser.page(width=width, dark=dark)
    page.go(f"{address}?q=warm+tea&lang=en&open=tea&rewrite=chat")
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("getComputedStyle(document.body).backgroundColor") == (
        "rgb(17, 21, 27)" if dark else "rgb(251, 252, 254)"
    )
    keep(page, f"explorer-{width}-{'dark' if dark else 'light'}")
    assert page.complaints() == []
