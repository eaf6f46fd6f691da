"""Keywords from whatever a model writes; the question always stays."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec import ChatReply, InputError, ModelError, QueryText
from trivec.rag.rewriting import KeywordRewriter, Rewrite, parse_keywords


class Chat:
    """Answers with a fixed reply and remembers what it was asked."""

    def __init__(self, reply="") -> None:
        self.reply = reply
        self.messages = None

    def chat(self, messages, *, schema=None):
        self.messages = list(messages)
        if isinstance(self.reply, Exception):
            raise self.reply
        return ChatReply(self.reply)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('["lactose intolerance", "dairy"]', ("lactose intolerance", "dairy")),
        ('Sure!\n```json\n["乳糖不耐受", "乳制品"]\n```', ("乳糖不耐受", "乳制品")),
        ('<think>is it ["milk"]?</think>["lactase"]', ("lactase",)),
        ("<think>never ends", ()),
        ("1. lactase\n2) dairy\n- milk\n• gut", ("lactase", "dairy", "milk", "gut")),
        ("Keywords: lactase, dairy; gut", ("lactase", "dairy", "gut")),
        ("关键词：乳糖、乳制品，肠道", ("乳糖", "乳制品", "肠道")),
        ('{"keywords": ["a", "b"]}', ("a", "b")),
        ('["a", 3, null, "b"]', ("a", "b")),
        ("[not json] then x", ("not json] then x",)),
        ("Dairy, dairy, DAIRY", ("Dairy",)),
        ("", ()),
        ("x" * 65, ()),
        ("a\x00b\ud800", ("ab�",)),
    ],
)
def test_every_form_that_models_write(reply, expected):
    assert parse_keywords(reply, limit=8) == expected


@given(st.text(max_size=300), st.integers(1, 5))
def test_any_reply_gives_bounded_clean_keywords(reply, limit):
    keywords = parse_keywords(reply, limit=limit)
    assert len(keywords) <= limit
    assert len({word.casefold() for word in keywords}) == len(keywords)
    assert all(word.strip() == word and 0 < len(word) <= 64 for word in keywords)
    assert "\n" not in "".join(keywords)


WORD = st.from_regex(r"[a-z\u4e00-\u9fff]{1,8}( [a-z]{1,8})?", fullmatch=True)


@given(st.lists(WORD, max_size=8, unique_by=str.casefold))
def test_a_json_array_is_read_as_written(words):
    assert parse_keywords(json.dumps(words), limit=8) == tuple(words)
    assert parse_keywords(json.dumps(words, ensure_ascii=False), limit=8) == tuple(words)


def test_the_question_stays_and_keywords_go_to_the_lexical_arms():
    rewrite = KeywordRewriter(Chat('["lactase", "dairy"]')).rewrite("tummy ache after milk?")
    assert rewrite == Rewrite("tummy ache after milk?", ("lactase", "dairy"), "model")
    assert rewrite.texts == ("tummy ache after milk?", "lactase dairy")
    assert rewrite.query_texts() == (
        QueryText("tummy ache after milk?"),
        QueryText("lactase dairy", arms=("sparse", "bm25")),
    )
    assert Rewrite("q").query_texts() == (QueryText("q"),)


@pytest.mark.parametrize(("question", "word"), [("肚子为什么疼？", "关键词"), ("why?", "keywords")])
def test_instructions_are_in_the_questions_language(question, word):
    chat = Chat("[]")
    rewrite = KeywordRewriter(chat, max_keywords=3).rewrite(question)
    system, user = chat.messages
    assert word in system["content"]
    assert "3" in system["content"]
    assert "{" not in system["content"]
    assert user == {"role": "user", "content": question}
    assert rewrite == Rewrite(question)


def test_a_question_with_braces_is_no_template():
    chat = Chat('["x"]')
    KeywordRewriter(chat).rewrite("what is {count} and {0!r}?")
    assert chat.messages[1]["content"] == "what is {count} and {0!r}?"


def test_a_model_that_fails_is_an_error_unless_told_otherwise():
    chat = Chat(RuntimeError("secret key sk-123"))
    with pytest.raises(ModelError, match="RuntimeError") as caught:
        KeywordRewriter(chat).rewrite("q")
    assert "sk-123" not in str(caught.value)
    rewrite = KeywordRewriter(chat, on_error="question").rewrite("q")
    assert rewrite == Rewrite("q", error="RuntimeError")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_keywords": 0}, "max_keywords=0"),
        ({"on_error": "ignore"}, "on_error='ignore'"),
        ({"instructions": {"en": "x"}}, r"no instructions in \['zh'\]"),
        ({"language": "fr"}, r"no instructions in \['fr'\]"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        KeywordRewriter(Chat(), **options)


def test_a_blank_question():
    with pytest.raises(InputError, match="blank"):
        KeywordRewriter(Chat()).rewrite(" \n")
