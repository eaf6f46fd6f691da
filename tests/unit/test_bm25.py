"""BM25: what becomes a term, what it weighs, and that the settings can be kept."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec import bm25
from trivec.bm25 import AnalyzerConfig, Bm25Analyzer
from trivec.errors import InputError
from trivec.types import SparseVector

ANALYZER = Bm25Analyzer()
UNSTEMMED = Bm25Analyzer(AnalyzerConfig(stemmer=None))


def test_words_are_folded_and_stemmed():
    assert ANALYZER.terms("Wings, ＷＩＮＧ and winging") == ["wing", "wing", "and", "wing"]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("pi is 3.14 or 1,000", ["pi", "is", "3.14", "or", "1000"]),
        ("in 2020, not 3.x", ["in", "2020", "not", "3", "x"]),
        ("snake_case BGE-M3", ["snake", "case", "bge", "m3", "bgem3"]),
        ("हिन्दी café", ["हिन्दी", "café", "cafe"]),
        ("ﬁne Straße", ["fine", "strasse"]),
        ("コーヒー", ["コー", "ーヒ", "ヒー"]),
        ("한국어 시", ["한국", "국어", "한", "국", "어", "시"]),
        ("!? … —", []),
    ],
)
def test_terms_of_many_scripts(text, terms):
    assert UNSTEMMED.terms(text) == terms


def test_chinese_gives_words_their_parts_and_pairs_across_boundaries():
    terms = UNSTEMMED.terms("中国科学院的计算所")
    assert {"中国", "科学院", "中国科学院", "计算所"} <= set(terms)
    assert {"院的", "的计"} <= set(terms)


def test_a_name_no_dictionary_knows_is_found_by_its_pairs():
    query = UNSTEMMED.query("龘靐的著作")
    by, about_other = UNSTEMMED.document("龘靐写了三本书"), UNSTEMMED.document("张三的著作很多")
    shared = UNSTEMMED.term_index("龘靐")
    assert shared in query.to_mapping()
    assert shared in by.to_mapping()
    assert shared not in about_other.to_mapping()


def test_weights_are_those_of_the_formula():
    config = AnalyzerConfig(k1=1.5, b=0.5, average_length=4, stemmer=None)
    weights = Bm25Analyzer(config).document("cat cat dog").to_mapping()
    norm = 1.5 * (1 - 0.5 + 0.5 * 3 / 4)
    expected = {"cat": 2 * 2.5 / (2 + norm), "dog": 2.5 / (1 + norm)}
    assert weights == pytest.approx(
        {Bm25Analyzer.term_index(term): weight for term, weight in expected.items()}
    )


def test_length_counts_words_not_their_parts():
    config = AnalyzerConfig(k1=1, b=1, average_length=1)
    analyzer = Bm25Analyzer(config)
    weight = analyzer.document("中国科学院").to_mapping()[analyzer.term_index("中国科学院")]
    assert weight == pytest.approx(2 / (1 + 1))


def test_a_query_counts_its_terms():
    weights = ANALYZER.query("dog cat dogs").to_mapping()
    assert weights == {ANALYZER.term_index("dog"): 2.0, ANALYZER.term_index("cat"): 1.0}


def test_an_index_is_the_documented_hash():
    # printf cat | b2sum -l 32 gives 6a8b12bb: four bytes, the lowest first
    assert Bm25Analyzer.term_index("cat") == 0xBB128B6A
    assert 0 <= Bm25Analyzer.term_index("向量") < 2**32


@pytest.mark.parametrize("text", ["", "  \n", "\u200b", "。！？", "\ud800\udfff\ud800"])
def test_a_text_without_words_is_an_empty_vector(text):
    assert len(ANALYZER.document(text)) == 0
    assert ANALYZER.query(text).values.dtype == np.float32


def test_lone_surrogates_do_not_stop_it():
    assert UNSTEMMED.terms("中\ud800文 a\udfffb") == ["中", "文", "a", "b"]


@given(st.text())
def test_any_text_gives_a_valid_sparse_vector(text):
    vector = ANALYZER.document(text)
    assert vector.indices.dtype == np.uint32
    assert vector.values.dtype == np.float32
    assert (np.diff(vector.indices.astype(np.int64)) > 0).all()
    assert np.isfinite(vector.values).all()
    assert (vector.values > 0).all()
    assert set(vector.indices.tolist()) >= set(ANALYZER.query(text).indices.tolist())


@given(st.text())
def test_decode_names_every_index_of_the_query(text):
    names = ANALYZER.decode(text)
    assert set(names) == set(ANALYZER.query(text).indices.tolist())


def test_decode_shows_the_first_word_as_it_was_written_not_its_stem():
    assert ANALYZER.decode("flying flies") == {
        ANALYZER.term_index("fli"): "flying",
    }


@pytest.mark.parametrize(
    ("word", "text", "parts"),
    [
        ("稠密向量", "什么是稠密向量？", {"稠密", "向量"}),
        ("A&B", "A&B是一家公司", {"a", "b"}),
        ("维生素C", "维生素C的作用", {"维生素", "c"}),
        ("machine learning", "about Machine Learning today", {"machine", "learning"}),
    ],
)
def test_a_user_word_stays_whole_and_keeps_its_parts(word, text, parts):
    terms = Bm25Analyzer(AnalyzerConfig(user_words=(word,), stemmer=None)).terms(text)
    assert word.casefold() not in UNSTEMMED.terms(text)
    assert {word.casefold(), *parts} <= set(terms)


def test_a_user_word_does_not_cut_into_longer_words():
    analyzer = Bm25Analyzer(AnalyzerConfig(user_words=("go",), stemmer=None))
    assert analyzer.terms("good gopher Go") == ["good", "gopher", "go"]


def test_user_words_are_the_analysers_own():
    Bm25Analyzer(AnalyzerConfig(user_words=(("龘靐龘", 1000),))).terms("龘靐龘")
    assert "龘靐龘" not in Bm25Analyzer().terms("龘靐龘")


def test_stop_words_are_left_out_of_terms_and_length():
    kept = AnalyzerConfig(stop_words=("The", "的"), k1=1, b=1, average_length=1)
    analyzer = Bm25Analyzer(kept)
    assert analyzer.terms("the cat") == ["cat"]
    assert analyzer.document("the the cat") == analyzer.document("cat")
    assert "的" not in analyzer.terms("你的书")


def test_collisions_are_counted_once_and_the_weights_added(monkeypatch):
    monkeypatch.setattr(Bm25Analyzer, "term_index", staticmethod(len))
    analyzer = Bm25Analyzer()
    assert analyzer.query("cat dog cat").to_mapping() == {3: 3.0}
    assert analyzer.collisions == 1
    analyzer.query("dog cat dog")
    assert analyzer.collisions == 1


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(bm25, "MAX_REMEMBERED", 10)
    analyzer = Bm25Analyzer()
    before = analyzer.document("w0 w1")
    analyzer.document(" ".join(f"w{number}" for number in range(100)))
    assert len(analyzer._index_of_word) <= 10
    assert len(analyzer._term_of_index) <= 10
    assert analyzer.document("w0 w1") == before


def test_a_word_is_stemmed_once(monkeypatch):
    stemmed = []

    def counting(_name):
        return lambda word: stemmed.append(word) or word[:3]

    monkeypatch.setattr(bm25, "_stemmer", counting)
    analyzer = Bm25Analyzer()
    assert analyzer.named_terms("running runner") == [("run", "running"), ("run", "runner")]
    analyzer.terms("runner, running")
    assert sorted(stemmed) == ["runner", "running"]


def test_several_threads_get_what_one_gets():
    texts = [f"中国科学院的第{number}个 vectors were running {number}" for number in range(200)]
    alone = [Bm25Analyzer().document(text) for text in texts[:5]]
    shared = Bm25Analyzer()
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(shared.document, texts))
    assert together[:5] == alone
    assert together == [shared.document(text) for text in texts]


def test_settings_survive_json():
    config = AnalyzerConfig(
        user_words=("稠密向量", ("向量数据库", 500)), stop_words=("的",), k1=0.9, stemmer=None
    )
    data = json.loads(json.dumps(config.to_json()))
    assert data == config.to_json()
    assert AnalyzerConfig.from_json(data) == config


@pytest.mark.parametrize(
    "settings",
    [
        {"k1": -1},
        {"k1": math.nan},
        {"b": 1.1},
        {"average_length": 0},
        {"stemmer": "klingon"},
        {"user_words": "abc"},
        {"user_words": (" ",)},
        {"user_words": (("word", "often"),)},
        {"stop_words": (3,)},
        {"hash": "md5"},
        {"rules": 3},
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings):
    with pytest.raises(InputError, match=next(iter(settings)).replace("hash", "with hash")):
        AnalyzerConfig(**settings)


def test_settings_of_a_later_version_are_refused():
    with pytest.raises(InputError, match="language"):
        AnalyzerConfig.from_json({"language": "zh"})


@pytest.mark.parametrize(
    ("stemmer", "word", "stem"),
    [("german", "katzen", "katz"), ("dutch_porter", "katten", "kat"), ("porter", "ponies", "poni")],
)
def test_other_stemmers(stemmer, word, stem):
    assert Bm25Analyzer(AnalyzerConfig(stemmer=stemmer)).terms(word) == [stem]


def test_the_order_of_passages_follows_the_words_shared():
    query = ANALYZER.query("Which wing profile gives lift?")
    good = ANALYZER.document("The profile of the wing decides how much lift it gives.")
    bad = ANALYZER.document("The engine of the plane gives thrust.")
    assert query.dot(good) > query.dot(bad) > 0


@pytest.mark.parametrize("name", ["stop_words", "user_words"])
@pytest.mark.parametrize("value", [None, 3, "the"])
def test_settings_that_hold_no_list(name, value):
    with pytest.raises(InputError, match=f"{name}=.*a list of words"):
        AnalyzerConfig.from_json({name: value})


@pytest.mark.parametrize("index", [-1, 2**32, 10**400], ids=["-1", "2**32", "huge"])
def test_an_index_of_a_sparse_vector_has_32_bits(index):
    with pytest.raises(InputError, match="unsigned integers of 32 bits"):
        SparseVector.from_mapping({1: 0.5, index: 0.5})
