"""What a notebook shows: tables in which text from outside does nothing."""

from __future__ import annotations

import copy
import json
import pickle
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from trivec._showing.passages import SHOWN
from trivec._showing.tables import bar
from trivec._showing.texts import EXCERPT, excerpt, visible
from trivec.answers import Answer, Passage
from trivec.answers.types import Evidence, Found
from trivec.index import AsyncHybridIndex, HybridIndex
from trivec.ingest import LeftOut, SyncReport
from trivec.questions import QuestionReport
from trivec.testing import FakeEncoder
from trivec.types import AddReport, Chunk, Hit, Hits, MatchedTerm, Refusal, ScorePart

HOSTILE = (
    "<script>alert(1)</script> \"'><img src=x onerror=y> \u202egnp.exe\u2066 \x1b[2J \u200b&amp;"
)
TAGS = {"table", "caption", "thead", "tbody", "tr", "th", "td", "div", "span", "mark", "br"}
ATTRIBUTES = {"style", "title", "scope", "aria-hidden"}


class Page(HTMLParser):
    """What a browser makes of it: tags, attributes, text; and that what opens is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def hit(text: str = "Descale the machines.", score: float = 0.8, **fields) -> Hit:
    chunk = Chunk(text, id=fields.pop("id", "a"), source=fields.pop("source", "manual.md"))
    return Hit(chunk, score, **fields)


def explained(text: str, *terms: str, arm: str = "bm25") -> Hit:
    parts = (ScorePart("dense", "q", 0.6, 0.5), ScorePart("bm25", "q", 0.4, 0.3))
    matches = tuple(MatchedTerm(arm, term, 1.0) for term in terms)
    return hit(text, arms={"dense": 0.9, "bm25": 4.2}, matches=matches, parts=parts)


def marked(html: str) -> list[str]:
    return re.findall(r"<mark[^>]*>(.*?)</mark>", html)


def answer(text: str) -> Answer:
    return Answer(
        question=text,
        text=text,
        passages=(Passage(1, explained(text, text), text, cut=True, rerank_score=0.5),),
        citations=(1,),
        unknown=(7,),
        evidence=Evidence(0.4, 0.5),
        notes=(text,),
    )


@pytest.fixture
def index(tmp_path):
    with HybridIndex.open(tmp_path / "kb", FakeEncoder()) as index:
        index.add([Chunk("Descale the machines.", id="a"), Chunk(HOSTILE, id=HOSTILE)])
        yield index


SHOWING = {
    "hit": lambda text: hit(text, id=text, source=text),
    "hits": lambda text: Hits([explained(text, text), hit(text)]),
    "questions": lambda text: Hits([explained(text, text, arm="question")]),
    "found": lambda text: Found((hit(text),), Evidence(), notes=(text,)),
    "answer": answer,
    "report": lambda text: AddReport(truncated=(text,), refused=(Refusal(text, text),)),
    "sync": lambda text: SyncReport(
        AddReport(), 3, text, left_out=(LeftOut(Path(f"a{text}"), text, text),)
    ),
    "generated": lambda text: QuestionReport(failed=(Refusal(text, text),)),
    "arm": lambda text: Hits([hit(arms={text: 1.0}, parts=(ScorePart(text, text, 1, 1),))]),
}


@pytest.mark.parametrize("kind", SHOWING)
def test_text_from_outside_does_nothing(kind):
    html = SHOWING[kind](HOSTILE)._repr_html_()
    page = Page(html)
    assert set(page.tags) <= TAGS
    assert {name for name, _ in page.attributes} <= ATTRIBUTES
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b\u200b]", html)
    assert "url(" not in html
    assert "http" not in html
    assert r"\u202e" in page.text
    if kind != "arm":
        assert "<script>alert(1)</script>" in page.text


@pytest.mark.parametrize("kind", SHOWING)
def test_a_table_takes_the_notebooks_own_colours(kind):
    for _, value in Page(SHOWING[kind]("text")._repr_html_()).attributes:
        assert not re.search(r"background:(#fff|white|#000|black)", value or "")
        assert not re.search(r"(?<!-)color:(#0|#1|#e|#f|black|white)", value or "")


def test_hits_are_a_list_in_everything_else():
    plain = [hit(), hit("other")]
    hits = Hits(plain)
    assert hits == plain
    assert repr(hits) == repr(plain)
    assert isinstance(hits, list)
    assert isinstance(hits[:1], Hits)
    assert hits[1] is plain[1]
    assert type(hits[1]) is Hit
    assert pickle.loads(pickle.dumps(hits)) == plain  # noqa: S301
    assert copy.deepcopy(hits) == plain
    assert json.dumps(Hits()) == "[]"


def test_searches_give_them(index):
    assert isinstance(index.search("machine"), Hits)
    assert isinstance(index.search("machine", 0), Hits)
    assert isinstance(index.search("machine", fusion="rrf", explain=True), Hits)


def test_a_search_that_explains_shows_each_arm(index):
    hits = index.search("descale machine", k=2, explain=True)
    page = Page(hits._repr_html_())
    assert page.tags.count("tr") == 3
    for arm, score in hits[0].arms.items():
        assert f"{arm} {score:.3f}" in page.text
    assert "Descale" in marked(hits._repr_html_())


@pytest.mark.parametrize(
    ("text", "terms", "expected"),
    [
        ("Descale the machines", ["descale", "machine"], ["Descale", "machines"]),
        ("a contract, no contrast", ["contract"], ["contract"]),
        ("the cat and the category", ["cat"], ["cat"]),
        ("the cars they then stopped", ["the", "car", "stop"], ["the", "cars"]),
        ("studied allergies of allied", ["study", "allergy", "ally"], ["studied", "allergies"]),
        ("三个阶段：关键词匹配", ["个阶", "阶段", "匹配"], ["个阶", "匹配"]),
        ("ERR_CONN_42 in C++", ["42", "c++", "_"], ["42", "C++"]),
        ("a<b> & c", ["b", "&"], ["b"]),
        ("nothing", [], []),
        ("İstanbul machine", ["machine"], []),  # its small form is longer, places would be wrong
    ],
)
def test_matched_words_are_marked(text, terms, expected):
    html = excerpt(text, terms)
    assert marked(html) == expected
    assert Page(html).text == text


def test_an_excerpt_begins_shortly_before_the_first_match():
    html = excerpt("word " * 400 + "needle" + " word" * 400, ["needle"])
    assert marked(html) == ["needle"]
    assert html.startswith("…")
    assert html.endswith("…")
    assert len(Page(html).text) == EXCERPT + 2


def test_a_question_that_found_a_passage_is_named():
    html = Hits([explained("Cheese.", "why?", arm="question")])._repr_html_()
    assert "question: why?" in Page(html).text
    assert marked(html) == []


@pytest.mark.parametrize("length", [float("nan"), float("inf"), -1.0, 0.0])
def test_no_bar_for_what_has_no_length(length):
    assert "width" not in bar([("dense", length)], 1.0)


def test_bars_are_as_long_as_what_they_stand_for():
    assert re.findall(r"width:([\d.]+)px", bar([("dense", 1.0), ("bm25", 0.5)], 2.0)) == [
        "60.0",
        "30.0",
    ]


def test_negative_scores_are_shown_without_a_bar():
    html = Hits([hit(score=-2.5), hit(score=-7.0)])._repr_html_()
    assert "-2.500" in html
    assert "width:" not in html


def test_long_lists_are_counted():
    html = Hits([hit()] * (SHOWN + 5))._repr_html_()
    page = Page(html)
    assert page.tags.count("tr") == SHOWN + 1
    assert f"The first {SHOWN} of {SHOWN + 5} passages" in page.text
    report = AddReport(refused=tuple(Refusal(str(at), "blank") for at in range(25)))
    assert "Refused, the first 20 of 25" in Page(report._repr_html_()).text
    assert "No passage." in Page(Hits()._repr_html_()).text


def test_an_answer_shows_what_it_cites():
    text = Page(answer("Every three months.")._repr_html_()).text
    for part in ("[1]", "cited", "reranker 0.500", "a part of it", "7", "0.400, at least 0.500"):
        assert part in text
    refused = Answer(question="?", text="I do not know.", refused=True, reason="no_hits")
    assert "refused: no_hits" in Page(refused._repr_html_()).text


def test_a_report_shows_its_counts():
    report = AddReport(added=3, skipped=1200, refused=(Refusal("b", "is blank"),))
    text = Page(report._repr_html_()).text
    assert "1,204" in text
    assert "is blank" in text


def test_an_index_shows_itself_open_or_closed(tmp_path):
    index = HybridIndex.open(tmp_path / "kb", FakeEncoder())
    index.add([Chunk("one"), Chunk("two")])
    text = Page(index._repr_html_()).text
    assert "dense, sparse, bm25" in text
    assert re.search(r"passages\s*2", text)
    assert "AsyncHybridIndex" in Page(AsyncHybridIndex(index)._repr_html_()).text
    index.close()
    assert "not known" in Page(index._repr_html_()).text


def test_visible_text_is_the_text():
    assert Page(visible("a <b> & 'c' 中文")).text == "a <b> & 'c' 中文"
