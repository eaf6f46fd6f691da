"""What a run showed, for programs, for people and for a browser that may ask for nothing."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from random import Random

import pytest

from trivec import Chunk
from trivec.errors import InputError
from trivec.evaluation import (
    Costs,
    Dataset,
    Evaluation,
    Question,
    QuestionResult,
    System,
    SystemResult,
    as_html,
    as_json,
    as_markdown,
)
from trivec.evaluation.analysis import Slice
from trivec.evaluation.page import charts, page, words
from trivec.evaluation.statistics import Estimate

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \u202eback"
LINES = (
    *("dense", "sparse", "bm25", "colbert", "hybrid, dbsf", "hybrid, rrf", "hybrid, linear"),
    *("hybrid, dbsf, colbert=rescore", "hybrid, dbsf, colbert=fuse", "dense+bm25, rrf"),
    *("hybrid, dbsf, rewrite=corpus", "hybrid, dbsf, rerank=mini"),
)


def evaluation(questions=30, passages=20, systems=3, text="中文 passage of words ", hostile=False):
    random = Random(0)  # noqa: S311  # no secret
    chunks = tuple(Chunk(text * 30 + str(at), id=f"p{at}") for at in range(passages))
    asked = tuple(
        Question(
            f"q{at}",
            f"{HOSTILE if hostile else '问题 number'} {at}?",
            {f"p{at % passages}": 1},
            f"d{at % 12}",
        )
        for at in range(questions)
    )
    results = []
    for line in LINES[:systems]:
        found = []
        for question in asked:
            ids = [f"p{number}" for number in random.sample(range(passages), 20)]
            scores = tuple(sorted((random.random() for _ in ids), reverse=True))
            times = {"search": random.random()}
            found.append(QuestionResult(question.id, tuple(ids), scores, times))
        results.append(SystemResult(line, System.from_text(line), tuple(found)))
    name = HOSTILE if hostile else "made up"
    dataset = Dataset(name, chunks, asked)
    texts = {str(chunk.id): HOSTILE if hostile else chunk.text for chunk in chunks}
    return Evaluation(dataset, tuple(results), Costs(passages=passages), texts)


class Reader(HTMLParser):
    """Collects elements and where they would ask for something."""

    def __init__(self):
        super().__init__()
        self.tags: list[str] = []
        self.asks: list[str] = []
        self.data: list[str] = []
        self.in_data = False

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        given = dict(attrs)
        self.asks += [given[name] for name in ("src", "href", "action", "data") if name in given]
        self.in_data = given.get("type") == "application/json"

    def handle_data(self, data):
        if self.in_data:
            self.data.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


def test_a_page_asks_for_nothing():
    html = as_html([evaluation(), evaluation(systems=1)])
    reader = read(html)
    assert [place for place in reader.asks if place[0] != "#"] == ["data:,"]
    assert "http:" not in html
    assert "https:" not in html
    assert "url(" not in html
    assert "default-src 'none'" in html
    assert reader.tags.count("svg") > 5


def test_texts_from_outside_are_texts():
    html = as_html([evaluation(hostile=True)])
    reader = read(html)
    assert reader.tags.count("script") == 2  # the data and the page's own
    assert "img" not in reader.tags
    assert "\u202e" not in html
    (data,) = map(json.loads, reader.data)
    assert data["questions"][0][0].startswith("</script><script>alert(1)")


def test_a_notebook_shows_systems_and_how_sure_they_are():
    made = evaluation(hostile=True)
    html = made._repr_html_()
    reader = read(html)
    assert reader.asks == []
    assert not {"script", "img", "style"} & set(reader.tags)
    assert "\u202e" not in html
    assert reader.tags.count("tr") == 1 + len(made.systems)
    for name, estimate in made.estimates().items():
        assert f"{estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]" in html
        assert name in html
    best = max(made.estimates().items(), key=lambda item: item[1].mean)[0]
    assert re.search(r"<td[^>]*>([^<]*)", html)[1] == best


def test_twelve_systems_and_1190_questions_fit():
    html = as_html([evaluation(questions=1190, passages=240, systems=12)])
    assert len(html.encode("utf-8")) <= page.LARGEST
    (data,) = map(json.loads, read(html).data)
    assert len(data["questions"]) == 1190
    assert "are listed" not in html


def test_what_does_not_fit_is_counted(monkeypatch):
    monkeypatch.setattr(page, "LARGEST", 120_000)
    html = as_html([evaluation(questions=900, passages=240, systems=4)])
    assert len(html.encode("utf-8")) <= 120_000
    (data,) = map(json.loads, read(html).data)
    count = len(data["questions"])
    assert 0 < count < 900
    assert f"{count} <span" in html
    assert "The questions on which systems differ most are listed." in html


def test_every_word_of_the_page_is_there_in_chinese():
    html = as_html([evaluation(questions=60, systems=5)])
    english = re.findall(r'<span class="en">([^<]+)</span><span class="zh">([^<]+)</span>', html)
    assert len({pair[0] for pair in english}) > 20
    source = "".join(path.read_text("utf-8") for path in Path(page.__file__).parent.glob("*.py"))
    said = re.findall(r'both\(\s*"([^"]+)"\s*\)', source)
    assert said
    assert [word for word in said if word not in words.CHINESE] == []


def test_several_datasets_have_links_and_none_stands_alone():
    one, two = as_html([evaluation()]), as_html([evaluation(), evaluation(hostile=True)])
    assert "<nav" not in one
    links = re.findall(r'<a href="#(d\d)">', two)
    assert links == ["d0", "d1"] == re.findall(r'<h2 id="(d\d)">', two)
    assert HOSTILE not in two


def test_measures_are_explained_and_no_order_shows_in_kinds(monkeypatch):
    made = evaluation()
    means = dict.fromkeys((one.name for one in made.systems), 0.5)
    parts = (Slice("length of the question", "1 short", 9, means),)
    monkeypatch.setattr(page, "slices", lambda _: parts)
    html = as_html([made])
    assert "R is recall" in html
    assert "R 是召回率" in html
    assert '<span class="en">short</span><span class="zh">短</span> (9)' in html


@pytest.mark.parametrize("count", [2, 4])
def test_numbers_of_near_spots_do_not_overlap(count):
    spots = [
        charts.Spot(f"s{at}", 15.0 + 0.02 * at, Estimate(0.98 - 0.001 * at, 0.9, 1.0))
        for at in range(count)
    ]
    drawn = charts.scatter(spots, "nDCG@10")
    found = re.findall(r'class="number mid" x="([\d.]+)" y="([\d.]+)"', drawn)
    places = [(float(x), float(y)) for x, y in found]
    assert len(places) == count
    assert all(math.dist(one, other) > 9 for one, other in combinations(places, 2))


def test_json_and_markdown_say_the_same():
    made = evaluation()
    (dataset,) = as_json([made])["datasets"]
    json.dumps(dataset)
    markdown = as_markdown([made])
    for system in dataset["systems"]:
        assert f"| {system['name']} | {system['measures']['nDCG@10']['mean']:.4f} [" in markdown
    assert len(dataset["comparisons"]) == 3
    assert dataset["baseline"] == "dense"


def test_there_must_be_something_to_show():
    with pytest.raises(InputError, match="no evaluations"):
        as_html([])
