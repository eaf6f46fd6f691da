"""Sentences, and what of the found passages fits into a prompt."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.answers.packing import Packed, counter_of, estimated_tokens, pack, sentences
from trivec.chat.prompts import passage_block, passages_block
from trivec.encoders.memo import MemoEncoder
from trivec.errors import InputError
from trivec.testing import FakeEncoder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One here. Two there! Three? Four", ["One here.", "Two there!", "Three?", "Four"]),
        ("第一句。第二句！第三句？第四", ["第一句。", "第二句！", "第三句？", "第四"]),
        ("他说：“好。”她走了。", ["他说：“好。”", "她走了。"]),
        (
            "It has three [1]. Four.[2] Five. [3][4] Six",
            ["It has three [1].", "Four.[2]", "Five. [3][4]", "Six"],
        ),
        ("Four.\\[2\\] Five. [ref_3] Six", ["Four.\\[2\\]", "Five. [ref_3]", "Six"]),
        ("三种[1]。四种。【2】五种。", ["三种[1]。", "四种。【2】", "五种。"]),
        (
            "Dr. Smith of the U.S. Army walked 3.5 km, e.g. there. Then he sat.",
            ["Dr. Smith of the U.S. Army walked 3.5 km, e.g. there.", "Then he sat."],
        ),
        ("- item one [1]\n- item two [2]", ["- item one [1]", "- item two [2]"]),
        ("a wrapped\nline goes on.\n\nA new one", ["a wrapped\nline goes on.", "A new one"]),
        ('He said "yes." (She too.) All left.', ['He said "yes."', "(She too.)", "All left."]),
        ("见 example.com 和 3.14。好", ["见 example.com 和 3.14。", "好"]),
        ("Really?! Yes… and no.", ["Really?!", "Yes… and no."]),
        (" \n\t", []),
        ("", []),
    ],
)
def test_sentences(text, expected):
    assert [span.text for span in sentences(text)] == expected


@given(st.text(alphabet="ab A.!?。！？ \n[1]【】”\"'…", max_size=80))
def test_sentences_lose_nothing_but_white_space(text):
    spans = sentences(text)
    assert all(text[span.start : span.end] == span.text for span in spans)
    assert all(span.text == span.text.strip() for span in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert "".join("".join(span.text for span in spans).split()) == "".join(text.split())


TEXTS = ["One two. Three four. Five six.", "Seven eight. Nine ten.", "Eleven."]


def cost(text: str, number: int) -> int:
    return len(passage_block(text, number))


def test_everything_that_fits_is_taken_whole():
    packed = pack(TEXTS, max_tokens=1000, count=len)
    assert [each.text for each in packed] == TEXTS
    assert [each.position for each in packed] == [0, 1, 2]
    assert [each.tokens for each in packed] == [cost(t, n) for n, t in enumerate(TEXTS, 1)]
    assert not any(each.cut for each in packed)
    assert len(pack(TEXTS, max_tokens=1000, count=len, most=2)) == 2


def test_the_last_is_cut_after_a_sentence_and_none_follows():
    budget = cost(TEXTS[0], 1) + cost("Seven eight.", 2) + 5
    packed = pack(TEXTS, max_tokens=budget, count=len)
    assert packed[1] == Packed(1, "Seven eight.", cost("Seven eight.", 2), cut=True)
    assert len(packed) == 2


def test_what_has_no_sentence_that_fits_is_passed_over():
    long = "a " * 200 + "end. Short."
    packed = pack([TEXTS[0], long, TEXTS[2]], max_tokens=200, count=len)
    assert [(each.position, each.cut) for each in packed] == [(0, False), (2, False)]


def test_a_best_text_of_one_endless_sentence_is_cut_at_a_word():
    packed = pack(["", "word " * 100], max_tokens=100, count=len)
    assert packed[0].position == 1
    assert packed[0].cut
    assert packed[0].tokens <= 100
    assert packed[0].text.endswith("word")
    with pytest.raises(InputError, match="less than a passage's delimiters"):
        pack(["word " * 100], max_tokens=10, count=len)


def test_blank_texts_and_twins_are_left_out():
    packed = pack(["", " \n", "Same.", "Same.", "Other."], max_tokens=1000, count=len)
    assert [each.position for each in packed] == [2, 4]
    assert pack([], max_tokens=10, count=len) == ()
    assert pack(["", " "], max_tokens=10, count=len) == ()


@pytest.mark.parametrize("bad", [{"max_tokens": 0}, {"max_tokens": 5, "most": 0}])
def test_a_budget_there_must_be(bad):
    with pytest.raises(InputError, match="at least 1"):
        pack(["a"], count=len, **bad)


@given(
    st.lists(st.text(alphabet="ab. 。！c\n<[1]", max_size=60), max_size=6),
    st.integers(60, 300),
    st.integers(1, 6),
)
def test_the_budget_holds_whatever_comes(texts, budget, most):
    packed = pack(texts, max_tokens=budget, count=len, most=most)
    block = passages_block([each.text for each in packed])
    assert len(block) - max(0, len(packed) - 1) <= budget  # line ends between them are not counted
    assert len(packed) <= most
    for each in packed:
        assert texts[each.position].startswith(each.text)
        assert each.cut == (each.text != texts[each.position])
    assert [each.position for each in packed] == sorted({each.position for each in packed})


def test_tokens_are_counted_by_the_encoders_tokenizer_where_it_has_one():
    class Counting(FakeEncoder):
        @staticmethod
        def tokenizer(text: str) -> int:
            return 7 * len(text)

    assert counter_of(Counting())("ab") == 14
    assert counter_of(MemoEncoder(Counting()))("ab") == 14
    assert counter_of(FakeEncoder()) is estimated_tokens
    assert counter_of(None) is estimated_tokens


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("绿茶", 2), ("tea leaf", 2), ("绿tea", 2)])
def test_estimated_tokens(text, tokens):
    assert estimated_tokens(text) == tokens
