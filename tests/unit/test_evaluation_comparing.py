"""A verdict is a word, and the figures behind it; settings come back as they were."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from trivec import Chunk, HybridIndex, SearchOptions
from trivec.errors import InputError
from trivec.evaluation import (
    Costs,
    Dataset,
    Estimate,
    Evaluation,
    Question,
    QuestionResult,
    System,
    SystemResult,
    compare,
    load_options,
    load_settings,
    save_settings,
    verdict,
)
from trivec.evaluation.comparing import judged_by
from trivec.testing import FakeEncoder, MemoryStore


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.001, 0.2, "WIN"), (-0.2, -0.001, "LOSS"), (-0.1, 0.1, "TIE"), (0.0, 0.1, "TIE")],
)
def test_what_touches_nothing_is_a_tie(low, high, word):
    assert judged_by(Estimate((low + high) / 2, low, high)) == word


def evaluated(name: str, gain: float) -> Evaluation:
    """Of 40 questions in 20 documents, the first ``40 * gain`` find their passage at once."""
    questions = tuple(Question(f"q{at}", "?", {"p": 1}, f"d{at // 2}") for at in range(40))
    results = tuple(
        QuestionResult(one.id, ("p",) if at < 40 * gain else ("x",), (1.0,), {"search": 2.0})
        for at, one in enumerate(questions)
    )
    system = SystemResult(name, System(), results)
    costs = Costs(passages=1, index_bytes=2_000_000, encode_alone_ms=3.0)
    return Evaluation(Dataset("made up", (), questions), (system,), costs)


def test_a_verdict_in_words():
    one = verdict(evaluated("a", 0.9), evaluated("b", 0.5))
    assert one.word == "WIN"
    assert (one.comparison.wins, one.comparison.ties, one.comparison.losses) == (16, 24, 0)
    assert re.fullmatch(
        r"WIN: a against b: \+0\.4000 \[\+0\.\d+, \+0\.\d+\] nDCG@10, p 0\.\d+; "
        r"16 won, 24 tied, 0 lost; search 2\.0 ms against 2\.0 ms; "
        r"encoding 3\.0 ms against 3\.0 ms; index 2\.0 MB against 2\.0 MB",
        str(one),
    )
    json.dumps(one.to_json())
    assert verdict(evaluated("b", 0.5), evaluated("a", 0.9)).word == "LOSS"
    assert verdict(evaluated("a", 0.5), evaluated("b", 0.5)).word == "TIE"


def test_what_cannot_be_compared():
    with pytest.raises(InputError, match="names stand twice"):
        verdict(evaluated("a", 0.5), evaluated("a", 0.5))
    two = replace(evaluated("a", 0.5), systems=evaluated("a", 0.5).systems * 2)
    with pytest.raises(InputError, match="2 and 1 systems were run"):
        verdict(two, evaluated("b", 0.5))


def passages(count=24) -> Dataset:
    words = [f"w{at} x{at % 5} y{at % 7}" for at in range(count)]
    chunks = tuple(Chunk(text, id=f"p{at}", source=f"d{at}") for at, text in enumerate(words))
    asked = tuple(
        Question(f"q{at}", text, {f"p{at}": 1}, f"d{at}") for at, text in enumerate(words)
    )
    return Dataset("made up", chunks, asked)


class Blind(FakeEncoder):
    """A model to which all texts are the same but for their length."""

    def encode_documents(self, texts, **settings):
        return super().encode_documents(
            ["same " * (1 + len(text) % 3) for text in texts], **settings
        )


def test_two_models_are_compared(tmp_path):
    dense, names = System.from_text("dense"), ("seeing", "blind")
    models = FakeEncoder(name="seeing"), Blind(name="blind")
    judged = compare(passages(), *models, dense, names=names, folder=tmp_path)
    assert judged.word == "WIN"
    assert (judged.comparison.first, judged.comparison.second) == ("seeing: dense", "blind: dense")
    assert None not in (judged.costs[0].search_ms, judged.costs[1].index_bytes)
    turned = compare(passages(), *models[::-1], dense, names=names[::-1], folder=tmp_path)
    assert turned.word == "LOSS"
    with pytest.raises(InputError, match="give two that differ"):
        compare(passages(), *models, names=("a", "a"))


def test_indexes_are_compared_and_nothing_is_kept():
    with HybridIndex.open(MemoryStore(), FakeEncoder()) as index:
        index.add(passages().passages)
        assert compare(passages(), index, index).word == "TIE"


def test_settings_come_back(tmp_path):
    system = System.from_text("dense:1+bm25:0.5, rrf, rrf_k=61, colbert=fuse, dense>0.4")
    path = tmp_path / "settings.json"
    save_settings(system, path, {"dataset": "made up"})
    assert load_settings(path) == system
    assert load_options(path) == system.search
    save_settings(System(reranker="mini"), path)
    with pytest.raises(InputError, match="more than a search"):
        load_options(path)
    assert load_settings(path).search == SearchOptions()


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2, "system": "dense"}', '{"x": 1}'])
def test_what_is_no_settings_file(tmp_path, text):
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(InputError, match="settings"):
        load_settings(path)
    with pytest.raises(InputError, match="cannot be read"):
        load_settings(tmp_path / "nowhere.json")
