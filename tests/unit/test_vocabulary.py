"""Tokenizers of the pieces that a text holds: the whole tokenizer's tokens, and far sooner."""

from __future__ import annotations

import json
from random import Random

import numpy as np
import pytest

from trivec._models.vocabulary import Vocabulary, open_vocabulary
from trivec.encoders import tokens
from trivec.encoders.tokens import EARLY_TEXTS
from trivec.mini import MiniEncoder

pytestmark = pytest.mark.model

TEXTS = [
    "",
    " ",
    "query: which fruit is rich in calcium?",
    "猴面包树的果实富含钙，维生素C是橙子的三倍。",
    "Ｆｕｌｌ ｗｉｄｔｈ～ ﬁne\u200b\ttabs\x07 and\u00a0spaces ",
    "\U0001f600 unknown 𒀀𒀁 signs 𓂀, ▁marks▁",
    "a" * 300,
    "\ufdd0\ufffd é e\u0301 İstanbul ǆ",
]


@pytest.fixture(scope="module")
def whole():
    return MiniEncoder().tokenizer


@pytest.fixture(scope="module")
def vocabulary(whole):
    return Vocabulary.of(json.loads(whole.to_str()))


def random_texts(count):
    random = Random(7)  # noqa: S311  # the same texts each time
    pools = [
        "abcdefgh ijk",
        "的一是在不了有和人这",
        "ąćęłńóśźż Ω",
        "0123456789.,-/",
        "한국어 日本語",
    ]
    anything = [chr(random.randrange(1, 0xD800)) for _ in range(500)]
    for _ in range(count):
        pool = random.choice([*pools, anything])
        yield "".join(random.choice(pool) for _ in range(random.randrange(40)))


def test_a_small_tokenizer_reads_as_the_whole_one(whole, vocabulary):
    for text in [*TEXTS, *random_texts(300)]:
        small, ids = vocabulary.for_texts([text])
        mine, expected = small.encode(text), whole.encode(text)
        assert ids[mine.ids].tolist() == expected.ids, text
        assert mine.offsets == expected.offsets, text


def test_texts_with_special_tokens_are_left_to_the_whole_one(vocabulary):
    assert vocabulary.for_texts(["a <mask> b"]) is None


def test_pieces_are_those_of_the_text_the_special_ones_and_the_least_likely(vocabulary, whole):
    small, ids = vocabulary.for_texts(["ab"])
    pieces = {whole.id_to_token(int(identity)) for identity in ids}
    assert {"a", "b", "ab", "▁a", "▁ab", "<s>", "<unk>", "<mask>"} <= pieces
    assert small.get_vocab_size() == len(ids) < 20


def test_a_file_is_written_once_and_made_again_where_it_is_damaged(tmp_path, monkeypatch, whole):
    monkeypatch.setenv("TRIVEC_CACHE_DIR", str(tmp_path))
    file = tmp_path / "tokenizer.json"
    whole.save(str(file), pretty=False)
    first = open_vocabulary(file, "digest")
    (written,) = (tmp_path / "vocabularies").iterdir()
    time = written.stat().st_mtime_ns
    again = open_vocabulary(file, "digest")
    assert written.stat().st_mtime_ns == time
    assert again.for_texts(["river"])[1].tolist() == first.for_texts(["river"])[1].tolist()
    written.write_bytes(written.read_bytes()[:100_000])
    assert open_vocabulary(file, "digest").for_texts(["river"])[1].tolist()
    assert written.stat().st_size > 1_000_000


def test_a_small_vocabulary_or_another_kind_of_model_has_none(tmp_path):
    for model in ({"type": "WordPiece", "vocab": {}}, {"type": "Unigram", "vocab": [["a", 0.0]]}):
        assert Vocabulary.of({"model": model}) is None


def test_an_encoder_loads_the_whole_tokenizer_after_a_few_texts(monkeypatch):
    loaded = []
    whole = tokens.unlimited
    monkeypatch.setattr(tokens, "unlimited", lambda given: loaded.append(1) or whole(given))
    encoder, other = MiniEncoder(), MiniEncoder()
    queries = [f"river number {number}" for number in range(EARLY_TEXTS)]
    early = [encoder.encode_queries([query])[0] for query in queries]
    assert not loaded
    other.load()
    assert loaded == [1]
    for mine, theirs in zip(early, other.encode_queries(queries), strict=True):
        assert mine.sparse.indices.tolist() == theirs.sparse.indices.tolist()
        np.testing.assert_allclose(mine.dense, theirs.dense, atol=0.02)  # int8, by batch
    encoder.encode_queries(["one more"])
    assert loaded == [1, 1]
