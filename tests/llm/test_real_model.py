"""Rewriting, streamed answers, citations and refusals by a real model over real HTTP.

The model is small: these tests show that the parts work together, not that it is clever.
"""

from __future__ import annotations

import json
import re

import pytest

from trivec import Chunk, HybridIndex, load_encoder
from trivec.answers import Answer, AnswerPiece, RagOptions, RagPipeline
from trivec.rewriting import CorpusVocabulary, KeywordRewriter
from trivec.rewriting.prompts import (
    KEYWORD_EXAMPLES,
    KEYWORD_INSTRUCTIONS,
    KeywordPrompt,
    keyword_messages,
    keyword_schema,
)

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]

PASSAGES = {
    "baobab": "The baobab fruit has three times as much vitamin C as an orange.",
    "danube": "The Danube flows through ten countries to the Black Sea.",
    "penguin": "Penguins cannot fly, but they swim faster than most fish.",
    "rhinosinusitis": "Acute rhinosinusitis presents with cephalalgia, purulent discharge, fever.",
}
DANUBE = "Through how many countries does the Danube flow?"
TEN = re.compile(r"\b(?:ten|10)\b", re.IGNORECASE)
ONE_PASSAGE = RagOptions(max_passages=1)  # with more this model mixes them up
LAY = "My forehead hurts and my nose is stuffed, what do I have?"
WITH_NUMBER = {"type": "string", "pattern": "^[A-Z][A-Za-z ,]{10,80}【[1-9]】$"}
"""A sentence that cites; which passage, the model decides. (It would not cite unasked.)"""


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    with HybridIndex.open(folder / "kb", load_encoder("mini")) as opened:
        opened.add([Chunk(text, id=name) for name, text in PASSAGES.items()])
        yield opened


def test_a_schema_is_kept_to_the_letter(connect):
    prompt = KeywordPrompt(
        instructions=KEYWORD_INSTRUCTIONS,
        examples=KEYWORD_EXAMPLES,
        domain="medicine",
        max_keywords=3,
        max_sub_questions=1,
    )
    reply = connect().chat(keyword_messages(LAY, "en", prompt), schema=keyword_schema(prompt))
    said = json.loads(reply.text)
    assert set(said) == {"keywords", "sub_questions"}
    assert len(said["keywords"]) <= 3
    assert len(said["sub_questions"]) <= 1
    assert reply.input_tokens > 100
    assert 0 < reply.output_tokens <= 64


@pytest.mark.parametrize("question", [LAY, "额头疼、鼻子不通是怎么回事？"])
async def test_questions_become_keywords(connect, question):
    chat = connect()
    rewrite = KeywordRewriter(chat, domain="medicine", max_keywords=4).rewrite(question)
    assert rewrite.source == "model"
    assert 1 <= len(rewrite.keywords) <= 4
    assert all(1 <= len(word) <= 64 for word in rewrite.keywords)
    try:
        again = await KeywordRewriter(chat, domain="medicine", max_keywords=4).arewrite(question)
    finally:
        await chat.aclose()
    assert again == rewrite


def test_the_model_chooses_from_the_corpuss_words(connect, index):
    vocabulary = CorpusVocabulary(index, passages=1, agreement=0)
    rewriter = KeywordRewriter(connect(), vocabulary=vocabulary, max_keywords=3)
    rewrite = rewriter.rewrite(LAY)
    assert "rhinosinusitis" in rewrite.offered
    assert rewrite.keywords
    assert set(rewrite.keywords) <= set(rewrite.offered)
    assert index.search(rewrite.query_texts(), 1)[0].id == "rhinosinusitis"


def test_an_answer_streams(connect, index):
    *pieces, answer = RagPipeline(index, connect(), options=ONE_PASSAGE).stream(DANUBE)
    assert len(pieces) > 3
    assert all(isinstance(piece, AnswerPiece) for piece in pieces)
    assert isinstance(answer, Answer)
    assert "".join(piece.text for piece in pieces) == answer.text
    assert TEN.search(answer.text)
    assert not answer.refused


async def test_an_awaited_answer_is_the_same(connect, index):
    chat = connect()
    rag = RagPipeline(index, chat, options=ONE_PASSAGE)
    try:
        awaited = await rag.aanswer(DANUBE)
    finally:
        await chat.aclose()
    assert TEN.search(awaited.text)
    assert awaited.input_tokens > 100
    assert rag.answer(DANUBE).text == awaited.text


def test_a_citation_is_checked_against_its_passage(connect, index):
    chat = connect(extra_body={"response_format": {"type": "json_object", "schema": WITH_NUMBER}})
    answer = RagPipeline(index, chat).answer("Which fruit has more vitamin C than an orange?")
    (claim,) = answer.claims
    cited = {*claim.citations, *claim.unknown}
    assert len(cited) == 1
    assert answer.citations == claim.citations
    if claim.citations:  # else the model made a number up, and that is said
        assert answer.cited[0].text in PASSAGES.values()
        assert 0 < claim.support <= 1
    else:
        assert answer.reason == "unsupported"


def test_without_evidence_the_model_is_not_asked(connect, index):
    asked = []

    class Counted:
        def __init__(self, chat):
            self.chat_model = chat

        def chat(self, messages, *, schema=None):
            asked.append(messages)
            return self.chat_model.chat(messages, schema=schema)

        def stream(self, messages):
            asked.append(messages)
            return self.chat_model.stream(messages)

    rag = RagPipeline(index, Counted(connect()))
    refused = rag.answer("Who won the chess championship in 1972?")
    assert (refused.refused, refused.reason) == (True, "weak_evidence")
    assert asked == []
    assert not rag.answer("Can penguins fly?").refused
    assert len(asked) == 1
