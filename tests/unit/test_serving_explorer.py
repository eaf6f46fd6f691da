"""The explorer's page: what it shows, what its address says, whom it refuses."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlencode

import httpx
import pytest

from trivec import Chunk, HybridIndex, IndexConfig, SearchOptions
from trivec.errors import InputError, ModelUnavailableError
from trivec.evaluation import ExplainOptions, explain_passage
from trivec.serving.explorer import ExplorerOptions, explorer_app
from trivec.serving.explorer.guard import HEADERS
from trivec.serving.explorer.marking import Marker, visible
from trivec.serving.explorer.state import initial_state, read_state
from trivec.serving.explorer.words import WORDS, said
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import ChatReply

HOSTILE = "<script>alert('tea')</script> tea \u202eevil\u202c \x07 <img src=x onerror=alert(1)>"
CHUNKS = [
    Chunk("Green tea is a warm drink from China.", id="tea", source="drinks.md", metadata={"n": 1}),
    Chunk("The cat sleeps on the sofa all day.", id="cat"),
    Chunk("绿茶是一种来自中国的饮料。", id="zh", metadata={"lang": "zh"}),
    Chunk(HOSTILE, id="<b>x</b>", source="a\u202eb<i>.md", metadata={"<u>": "\u2066</pre>"}),
]
ARMS = ("dense", "sparse", "bm25", "colbert")


class Chat:
    def __init__(self, reply="Green tea is a warm drink [1]. <script>no</script>", error=None):
        self.reply, self.error, self.asked = reply, error, 0

    def chat(self, _messages, *, schema=None):
        self.asked += 1
        if self.error is not None:
            raise self.error
        text = '{"keywords": ["sofa"]}' if schema else self.reply
        return ChatReply(text, 4, 5)

    def stream(self, messages):
        yield self.chat(messages)


class Backwards:
    def score(self, _query, passages):
        return [float(at) for at in range(len(passages))]


@pytest.fixture(scope="module")
def index():
    config = IndexConfig(arms=ARMS)
    with HybridIndex.open(MemoryStore(), FakeEncoder(), config=config) as opened:
        opened.add(CHUNKS)
        yield opened


def client(index, **options):
    app = explorer_app(index, ExplorerOptions(**options))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:7007"
    )


async def page(index, parameters="", headers=None, **options):
    async with client(index, **options) as browser:
        query = parameters if isinstance(parameters, str) else urlencode(parameters, doseq=True)
        answer = await browser.get(f"/?{query}", headers=headers)
        assert answer.status_code == 200
        return answer.text


def lists(html):
    """Return the keys of the passages of each list, by its name."""
    found = {}
    for name, body in re.findall(
        r'<article class="list list-(\w+)">(.*?)</article>', html, re.DOTALL
    ):
        found[name] = [unescape(key) for key in re.findall(r'data-key="([^"]*)"', body)]
    return found


class Reader(HTMLParser):
    """Collects the tags, and the text that is not in attributes."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.said = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.said.append(data)


# What it shows


async def test_every_arm_stands_beside_the_fused_list(index):
    html = await page(index, {"q": "green tea"})
    found = lists(html)
    assert list(found) == ["fused", "dense", "sparse", "bm25"]
    assert found["fused"][0] == "tea|drinks.md"
    hits = index.search("green tea", 10)
    assert found["fused"] == [f"{hit.id}|{hit.source or ''}" for hit in hits]
    for arm in ("dense", "sparse", "bm25"):
        alone = index.search("green tea", 10, arms=[arm])
        assert found[arm] == [f"{hit.id}|{hit.source or ''}" for hit in alone]
    assert "<mark>Green</mark> <mark>tea</mark>" in html
    assert f"{hits[0].score:.4f}" in html


async def test_switches_and_weights_change_what_is_found(index):
    html = await page(index, {"q": "green tea", "set": "1", "arm": ["bm25", "dense"]})
    assert list(lists(html)) == ["fused", "dense", "bm25"]
    assert "no arm" not in html.lower()
    html = await page(index, {"q": "green tea", "arm": "bm25"})
    assert list(lists(html)) == ["fused"]
    assert lists(html)["fused"][0] == "tea|drinks.md"
    heavy = await page(index, {"q": "sofa tea", "w.bm25": "5", "w.dense": "0.1", "fusion": "rrf"})
    arms = {"dense": 0.1, "sparse": 1.0, "bm25": 5.0}
    hits = index.search("sofa tea", 10, arms=arms, fusion="rrf")
    assert lists(heavy)["fused"] == [f"{hit.id}|{hit.source or ''}" for hit in hits]
    assert f"{hits[0].score:.4f}" in heavy
    nothing = await page(index, {"q": "green tea", "set": "1"})
    assert WORDS["no_arm"]["en"] in nothing


@pytest.mark.parametrize("fusion", ["adaptive", "rrf", "dbsf", "linear"])
@pytest.mark.parametrize("colbert", ["", "rescore", "fuse"])
async def test_every_fusion_is_shown_as_a_search_finds_it(index, fusion, colbert):
    html = await page(index, {"q": "a warm drink", "fusion": fusion, "colbert": colbert, "k": 3})
    hits = index.search("a warm drink", 3, fusion=fusion, colbert=colbert or None)
    assert lists(html)["fused"] == [f"{hit.id}|{hit.source or ''}" for hit in hits]


async def test_the_rest_of_the_address(index):
    html = await page(index, {"q": "tea", "filter": '{"lang": "zh"}'})
    assert lists(html)["fused"] == ["zh|"]
    html = await page(index, {"q": "green tea", "min.dense": "99", "arm": "dense"})
    assert WORDS["nothing"]["en"] in html
    html = await page(index, {"q": "tea", "filter": "{"})
    assert unescape(WORDS["bad_filter"]["en"]) in unescape(html)
    html = await page(index, {"q": "tea", "filter": '{"n": {"odd": 1}}'})
    assert WORDS["failed"]["en"] in html
    html = await page(index, {"q": "tea", "k": "x", "fusion": "<b>", "depth": "0", "lang": "fr"})
    assert "k=x" in html
    assert "fusion=&lt;b&gt;" in html
    assert lists(html)["fused"]


async def test_a_url_is_a_state(index):
    given = {
        "q": "a warm 饮料",
        "arm": ["dense", "bm25"],
        "w.dense": "0.5",
        "fusion": "rrf",
        "rrf_k": "61",
        "depth": "20",
        "k": "3",
        "filter": '{"n": 1}',
        "min.dense": "-1",
        "open": "tea",
        "lang": "zh",
    }
    initial = initial_state(index.schema, ExplorerOptions(), "en")
    pairs = httpx.QueryParams(urlencode(given, doseq=True)).multi_items()
    state = read_state(pairs, initial, ExplorerOptions())
    address = state.url(initial).removeprefix("/?")
    again = httpx.QueryParams(address).multi_items()
    assert read_state(again, initial, ExplorerOptions()) == state
    assert state.faults == ()
    one, two = [re.sub(r"\d+ ms", "", await page(index, asked)) for asked in (given, address)]
    assert one == two


async def test_it_begins_with_the_settings_that_it_was_given(index):
    search = SearchOptions(arms={"dense": 0.5, "bm25": 2.0}, fusion="rrf", thresholds={"dense": -1})
    html = await page(index, {"q": "tea"}, search=search, k=2)
    hits = index.search("tea", 2, options=search)
    assert lists(html)["fused"] == [f"{hit.id}|{hit.source or ''}" for hit in hits]
    assert list(lists(html)) == ["fused", "dense", "bm25"]
    assert 'data-default="0.5"' in html


async def test_reranking_and_rewriting(index):
    html = await page(index, {"q": "green tea", "rerank": "1"}, reranker=Backwards())
    found = lists(html)
    assert next(iter(found)) == "reranked"
    assert found["reranked"] == found["fused"][::-1]
    html = await page(index, {"q": "green tea", "rerank": "1"})
    assert "reranked" not in lists(html)
    html = await page(index, {"q": "green xylophone", "rewrite": "corpus"})
    assert WORDS["searched"]["en"] in html
    html = await page(index, {"q": "where is it?", "rewrite": "chat"}, chat=Chat())
    assert "where is it? sofa" in html
    html = await page(index, {"q": "where is it?", "rewrite": "chat"})
    assert "rewrite=chat" in html  # without a chat model there is none to do it


async def test_an_explanation_is_opened(index):
    html = await page(index, {"q": "green tea", "open": "cat", "k": "2"})
    told = explain_passage(index, "green tea", "cat", ExplainOptions(k=2))
    body = re.search(r'<section class="explanation".*?</section>', html, re.DOTALL)[0]
    assert told.reason in unescape(body)
    for arm in told.arms:
        assert f"{arm.arm}</td>" in body
        if arm.part is not None:
            assert f"<td>{arm.part:.4f}</td>" in body
    assert len(re.findall(r'class="pair', body)) == len(told.alignment)
    missing = await page(index, {"q": "green tea", "open": "nobody"})
    assert "the index has no such passage" in missing
    chinese = await page(index, {"q": "green tea", "open": "tea", "lang": "zh"})
    assert "它在 10 条中排第 1" in chinese


async def test_an_answer_has_its_citations(index):
    chat = Chat()
    html = await page(index, {"q": "green tea", "answer": "1"}, chat=chat, min_evidence=0.0)
    body = re.search(r'<section class="answer.*?</section>', html, re.DOTALL)[0]
    assert '<a class="cite" href="#passage-1">[1]</a>' in body
    assert 'id="passage-1"' in body
    assert "drinks.md" in body
    assert "<script>" not in body
    assert "&lt;script&gt;no" in body
    await page(index, {"q": "green tea"}, chat=chat)
    assert chat.asked == 1
    html = await page(index, {"q": "green tea", "answer": "1"})
    assert 'name="answer"' not in html
    assert 'class="answer' not in html
    failing = Chat(error=ModelUnavailableError("it sleeps"))
    html = await page(index, {"q": "green tea", "answer": "1"}, chat=failing, min_evidence=0.0)
    assert "it sleeps" in html
    assert lists(html)["fused"]


async def test_both_languages(index):
    english = await page(index, {"q": "tea"}, {"accept-language": "de,en"})
    chinese = await page(index, {"q": "tea"}, {"accept-language": "zh-CN,zh;q=0.9"})
    for name in ("search", "settings", "arms", "fused", "explain", "hints"):
        assert WORDS[name]["en"] in english
        assert WORDS[name]["zh"] in chinese
    assert '<html lang="zh-CN">' in chinese
    assert WORDS["search"]["zh"] in await page(index, "lang=zh")
    assert all(set(each) == {"en", "zh"} and all(each.values()) for each in WORDS.values())


@pytest.mark.parametrize(
    "reason",
    [
        "it is number 12 of the fused list, and 10 were asked for",
        "it is number 3 of 10",
        "the filter leaves it out",
        "it is a candidate, but not among the first 100 of the fused list",
        "dense scores it 0.1, below the threshold of 2; bm25 scores it 1, below the threshold of 2",
        "no arm has it among its first 5: bm25 does not match it; raise prefetch_k to reach it",
        "no arm has it among its first 5: bm25 does not match it",
        "the reranker puts it from 1 to 8, and scores it 0, below the threshold of 1",
        "the reranker puts it from 1 to 8, and 3 are kept",
        "the reranker reads the first 3, and it is number 8",
    ],
)
def test_reasons_are_said_in_chinese(reason):
    told = said(reason, "zh")
    assert not re.search(r"\b(the|it|of|and|is|not)\b", told), told
    assert sorted(re.findall(r"\d+", told)) == sorted(re.findall(r"\d+", reason))
    assert said(reason, "en") == reason


@pytest.mark.parametrize("arm", ["dense", "sparse", "bm25"])
async def test_an_index_of_a_single_arm(arm):
    with HybridIndex.open(MemoryStore(), FakeEncoder(), config=IndexConfig(arms=(arm,))) as index:
        index.add([Chunk("green tea", id="tea"), Chunk("black coffee", id="coffee")])
        html = await page(index, {"q": "green tea", "open": "tea"})
        assert lists(html)["fused"][0] == "tea|"
        assert "it is number 1 of" in html
        assert ('value="corpus"' in html) is (arm == "dense")  # its words are found by meaning
        html = await page(index, {"q": "green tea", "rewrite": "corpus"})
        assert ("<code>rewrite=corpus</code>" in html) is (arm != "dense")
        assert lists(html)["fused"][0] == "tea|"


async def test_an_explanation_that_fails_leaves_the_lists():
    with HybridIndex.open(MemoryStore(), FakeEncoder()) as index:
        index.add([Chunk("green tea", id="tea", source=source) for source in ("a.md", "b.md")])
        html = await page(index, {"q": "green tea", "open": "tea"})
        assert "that of 2 passages" in html
        assert set(lists(html)["fused"]) == {"tea|a.md", "tea|b.md"}
        html = await page(index, {"q": "green tea", "open": "tea", "arm": "colbert"})
        assert not lists(html)


# Text from outside


async def test_text_from_outside_is_text(index):
    for parameters in (
        {"q": HOSTILE, "open": "<b>x</b>", "filter": "<i>", "lang": "en"},
        {"q": HOSTILE, "open": "<b>x</b>"},
        {"q": "tea", "open": HOSTILE, "fusion": HOSTILE, "source": HOSTILE},
    ):
        html = await page(index, parameters)
        read = Reader(html)
        assert [one["src"] for tag, one in read.tags if tag == "script"] == ["/static/explorer.js"]
        assert not {tag for tag, _ in read.tags} & {"img", "b", "i", "u", "iframe", "object"}
        assert not [name for _, one in read.tags for name in one if name.startswith("on")]
        assert not [one for _, one in read.tags if "style" in one]
        text = "".join(read.said)
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x07]", text)
    assert r"\u202e" in text


async def test_what_is_hidden_is_shown(index):
    text = "a\u202eb\u200bc\u00add\U000e0041e\x1bf"
    html = str(visible(text))
    for name in (r"\u202e", r"\u200b", r"\xad", r"\U000e0041", r"\x1b"):
        assert name in html
    assert re.sub("<[^>]*>", "", str(visible("plain & <b>"))) == "plain &amp; &lt;b&gt;"
    assert "👩\u200d🔬" in str(visible("👩\u200d🔬"))  # a joiner within a sign is no trick


def test_marks_stand_where_the_words_do():
    marker = Marker(None)
    terms = marker.terms(["running 绿茶"])
    assert str(marker.whole("He runs, Running. 我喝绿茶", terms)) == (
        "He <mark>runs</mark>, <mark>Running</mark>. 我喝<mark>绿茶</mark>"
    )
    assert str(marker.whole("İstanbul running", terms)) == "İstanbul running"
    long = f"{'word ' * 200}running{' word' * 200}"
    excerpt = str(marker.excerpt(long, terms))
    assert "<mark>running</mark>" in excerpt
    assert excerpt.startswith("…")
    assert len(excerpt) < 500


# Whom it answers


REFUSED = {
    "another host": {"host": "evil.example"},
    "a host that begins like ours": {"host": "127.0.0.1.evil.example"},
    "another address": {"host": "192.168.1.7:7007"},
    "no host": {"host": ""},
    "another origin": {"origin": "http://evil.example"},
    "no origin": {"origin": "null"},
    "another port": {"origin": "http://127.0.0.1:9999"},
    "a secure origin": {"origin": "https://127.0.0.1:7007"},
    "an image in another page": {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    "another page of this machine": {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    "a frame": {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "iframe",
    },
}


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
async def test_others_are_refused(index, headers):
    async with client(index) as browser:
        for path in ("/", "/?q=tea", "/static/explorer.js"):
            answer = await browser.get(path, headers=headers)
            assert answer.status_code == 403
            assert "tea" not in answer.text
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "localhost:9000"},
        {"host": "[::1]:7007"},
        {"origin": "http://127.0.0.1:7007", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
        {
            "sec-fetch-site": "cross-site",
            "sec-fetch-mode": "navigate",
            "sec-fetch-dest": "document",
        },
    ],
)
async def test_this_machine_is_answered(index, headers):
    async with client(index) as browser:
        answer = await browser.get("/?q=tea", headers=headers)
        assert answer.status_code == 200
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy


async def test_a_link_on_another_site_asks_no_model(index):
    chat = Chat()
    followed = {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
    }
    html = await page(index, {"q": "tea", "answer": "1"}, followed, chat=chat)
    assert chat.asked == 0
    assert WORDS["not_asked"]["en"] in html


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_it_only_reads(index, method):
    async with client(index) as browser:
        answer = await browser.request(method, "/?q=tea")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


async def test_what_there_is_not(index):
    async with client(index) as browser:
        for path in ("/nothing", "/static/page.html", "/static/..%2Fapp.py", "/static/../app.py"):
            answer = await browser.get(path)
            assert answer.status_code == 404
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS


async def test_the_script_is_small_and_ours(index, repository):
    async with client(index) as browser:
        script = (await browser.get("/static/explorer.js")).text
        assert (
            (await browser.get("/static/explorer.css"))
            .headers["content-type"]
            .startswith("text/css")
        )
    assert len(script.encode()) < 10_000
    assert not re.search(r"innerHTML|eval|https?://", script)


async def test_many_ask_at_once(index):
    async with client(index) as one, client(index) as two:
        questions = ["green tea", "the cat", "绿茶", "sofa"] * 5
        answers = await asyncio.gather(
            *(
                (one, two)[at % 2].get(f"/?{urlencode({'q': text, 'k': 1 + at % 4})}")
                for at, text in enumerate(questions)
            )
        )
    for at, (text, answer) in enumerate(zip(questions, answers, strict=True)):
        hits = index.search(text, 1 + at % 4)
        assert lists(answer.text)["fused"] == [f"{hit.id}|{hit.source or ''}" for hit in hits]


# What it is told


def test_what_cannot_be_explored(index):
    with pytest.raises(InputError, match="k=51"):
        ExplorerOptions(k=51)
    with pytest.raises(InputError, match="offset"):
        ExplorerOptions(search=SearchOptions(offset=3))
    plain = HybridIndex.open(MemoryStore(), FakeEncoder())
    with pytest.raises(InputError, match="colbert"):
        explorer_app(plain, ExplorerOptions(search=SearchOptions(arms=("colbert",))))


def test_what_is_not_installed_is_named(index, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    with pytest.raises(ImportError, match="starlette"):
        explorer_app(index)
