"""Text: what cleaning changes and leaves, and where a text is split."""

from __future__ import annotations

from itertools import pairwise
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from trivec.errors import InputError
from trivec.text import clean, is_blank, split


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a\ud800b", "a\ufffdb"),
        ("\ud83d\ude00", "😀"),
        ("a\x00b\x07c\x1b[0m\x7f\x9f", "abc[0m"),
        ("tab\tand\r\nline\rend\n", "tab\tand\nline\nend\n"),
        ("page\x0cpage\x0bx\x85y", "page\npage\nx\ny"),
        ("ｆｕｌｌ　width, e\u0301, 中文。", "ｆｕｌｌ　width, e\u0301, 中文。"),
        ("", ""),
    ],
)
def test_clean(given, expected):
    assert clean(given) == expected


@given(st.text())
def test_cleaned_text_is_encodable_and_clean(text):
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert clean(cleaned) == cleaned


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_text_without_controls_is_unchanged(text):
    assert clean(text) == text


@pytest.mark.parametrize(
    "text", ["", " \n\t", "\u3000\u200b\ufeff", "\x00", "\u3164\u115f\ufe0f", "\u2800 \U000e0100"]
)
def test_blank(text):
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", "。", " 中 ", "\u200bx"])
def test_not_blank(text):
    assert not is_blank(text)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (
            "今天天气很好。我们去公园吧！你想去吗？好的；那就走。",
            ["今天天气很好。我们去公园吧！你想去吗？", "好的；那就走。"],
        ),
        (
            "他说：“我们走吧。”然后他离开了。她问：“去哪里？”没有人回答。",
            ["他说：“我们走吧。”然后他离开了。", "她问：“去哪里？”没有人回答。"],
        ),
        (
            "「你好嗎？」他問。「我很好！」她說。然後大家都笑了。",
            ["「你好嗎？」他問。「我很好！」她說。", "然後大家都笑了。"],
        ),
        ("It costs 3.14 now. Dr. No left.", ["It costs 3.14 now.", "Dr. No left."]),
        ("one\n\ntwo two two\n\nthree three", ["one\n\ntwo two two", "three three"]),
    ],
)
def test_pieces_end_where_sentences_and_paragraphs_end(text, pieces):
    assert [span.text for span in split(text, len, max_tokens=20)] == pieces


MARKDOWN = "intro words\n\n# First\n\nsome text\n\n# Second\n\nmore text"


def test_markdown_is_split_before_headings():
    spans = split(MARKDOWN, len, max_tokens=26, markdown=True)
    assert [span.text for span in spans] == [
        "intro words",
        "# First\n\nsome text",
        "# Second\n\nmore text",
    ]


def test_a_heading_is_never_parted_from_a_long_paragraph():
    text = "# Title\n\nOne two three. Four five six. Seven eight.\n\n## Empty\n\n## Last\n\nend"
    spans = split(text, len, max_tokens=30, markdown=True)
    assert [span.text for span in spans] == [
        "# Title\n\nOne two three.",
        "Four five six. Seven eight.",
        "## Empty\n\n## Last\n\nend",
    ]


@given(
    st.text(st.sampled_from("ab 中文。！\n#-"), max_size=400),
    st.integers(1, 30),
    st.booleans(),
)
def test_pieces_are_exact_parts_within_the_limit_and_lose_nothing(text, limit, markdown):
    spans = split(text, len, max_tokens=limit, markdown=markdown)
    assert all(span.text == text[span.start : span.end] for span in spans)
    assert all(len(span.text) <= limit for span in spans)
    starts = [span.start for span in spans]
    assert starts == sorted(set(starts))
    kept = "".join(span.text for span in spans)
    assert "".join(kept.split()) == "".join(text.split())


def test_overlap_repeats_the_end_of_the_piece_before():
    text = "One two. Three four. Five six. Seven eight."
    spans = split(text, len, max_tokens=22, overlap=12)
    assert all(later.start < earlier.end for earlier, later in pairwise(spans))
    assert spans[-1].end == len(text)


def test_windows_do_not_show():
    """A long text is split in windows; the pieces are those of the text split at once."""
    sentences = [f"Sentence number {number} is here." for number in range(2000)]
    text = " ".join(sentences)
    spans = split(text, len, max_tokens=100)
    assert len(text) > 4 * 8192
    assert all(span.text.endswith(".") for span in spans)
    assert {len(span.text.split(". ")) for span in spans[:-1]} == {3}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """One token for every character; the model adds none."""
    built = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))  # noqa: S106  # no secret
    built.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return built


def test_a_tokenizers_own_truncation_and_padding_change_nothing(tokenizer):
    text = "一句话。" * 50
    expected = split(text, tokenizer, max_tokens=40)
    other = Tokenizer.from_str(tokenizer.to_str())
    other.enable_truncation(7)
    other.enable_padding(length=100)
    assert split(text, other, max_tokens=40) == expected
    assert max(len(span.text) for span in expected) == 40
    assert other.truncation is not None


@pytest.mark.parametrize(
    "text",
    [
        "中文没有标点" * 100_000,
        "a" * 600_000,
        " ".join(["word"] * 120_000) + ".",
        " " * 600_000,
        "\n" * 600_000,
        "# " * 30,
        "# " * 100_000,
        "#\t\n" * 100_000,
    ],
    ids=[
        *("no punctuation", "one word", "one sentence", "spaces", "line ends"),
        *("a line of hashes", "a long line of hashes", "bare headings"),
    ],
)
@pytest.mark.parametrize("markdown", [False, True])
def test_time_is_linear_in_a_long_line(text, markdown):
    start = process_time()
    spans = split(text, len, max_tokens=200, markdown=markdown)
    assert process_time() - start < 20  # a quadratic splitter takes minutes
    assert sum(len(span.text) for span in spans) >= len(text.replace(" ", "").strip()) * 0.9


@pytest.mark.parametrize("text", ["", "  \n ", "\u200b"])
def test_a_blank_text_has_no_pieces(text):
    assert split(text, len) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_tokens": 0}, "max_tokens=0"),
        ({"overlap": -1}, "overlap=-1"),
        ({"max_tokens": 5, "overlap": 5}, "overlap=5"),
    ],
)
def test_bad_limits(settings, message):
    with pytest.raises(InputError, match=message):
        split("text", len, **settings)


def test_half_of_a_surrogate_pair_is_split_as_any_character():
    text = "one \ud800 two. three \udc00 four."
    pieces = split(text, lambda piece: len(piece.split()), max_tokens=3)
    assert [text[one.start : one.end] for one in pieces] == [one.text for one in pieces]
    assert "".join(one.text for one in pieces).count("\ud800") == 1
