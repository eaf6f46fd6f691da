"""The lay questions of the rewriting benchmark keep what its page says of them."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from benchmarks import rewriting
from benchmarks._replies import RecordedChat, Recording

from trivec import ModelError
from trivec.bm25 import Bm25Analyzer
from trivec.types import ChatReply

LISTED = """
    a about after again all always am an and any are as at be because been before being between
    both but by can cannot could did do does doing done down during each either every few for
    from get gets give given gives go goes going got had has have having he her here him his how
    i if in into is it its just let ll m make makes many may me might mine more most much must
    my never no nor not now of off often on one only or other our out over own put puts re s
    said same say says shall she should since so some still such t take taken takes tell than
    that the their them then there these they this those through to too under until up us ve
    very was we were what when where which while who whom whose why will with without would you
    your yours
"""
FUNCTION_WORDS = frozenset(LISTED.split())
MOST_SHARED = 0.05  # of the words that carry a question's content


@pytest.fixture(scope="module")
def data():
    return json.loads(rewriting.GAP.read_text(encoding="utf-8"))


def content_words(analyzer, text, language) -> dict[str, str]:
    """Return the terms that carry content, each with its word; Chinese ones of two characters."""
    return {
        term: word
        for term, word in analyzer.named_terms(text)
        if (len(word) > 1 if language == "zh" else word not in FUNCTION_WORDS)
    }


def test_it_is_as_large_as_it_says(data):
    assert len(data["passages"]) == 128
    assert len(data["questions"]) == 108
    count = Counter((each["lang"], each["split"]) for each in data["questions"])
    assert min(count.values()) >= 25
    topics = Counter((each["lang"], each["topic"]) for each in data["passages"])
    assert min(topics.values()) >= 28


def test_every_question_has_one_passage_in_its_language(data):
    passages = {each["id"]: each for each in data["passages"]}
    assert len(passages) == len(data["passages"])
    assert len({each["text"] for each in data["passages"]}) == len(passages)
    asked = Counter(each["passage"] for each in data["questions"])
    assert set(asked.values()) == {1}
    for each in data["questions"]:
        assert passages[each["passage"]]["lang"] == each["lang"]
    assert len(passages) - len(asked) >= 20, "passages that nobody asks for distract"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_questions_avoid_the_words_of_their_passages(data, language):
    analyzer = Bm25Analyzer()
    passages = {each["id"]: each["text"] for each in data["passages"]}
    shared: dict[str, list[str]] = {}
    total = 0
    for each in data["questions"]:
        if each["lang"] == language:
            asked = content_words(analyzer, each["question"], language)
            told = content_words(analyzer, passages[each["passage"]], language)
            shared[each["id"]] = [asked[term] for term in asked.keys() & told.keys()]
            total += len(asked)
    assert sum(map(len, shared.values())) <= MOST_SHARED * total
    assert max(map(len, shared.values())) <= 1


def test_the_recorded_replies_answer_the_questions(data):
    recording = Recording(rewriting.REPLIES)
    assert "SmolLM2" in recording.model
    for mode in ("model", "corpus"):
        replies = recording.of(f"domain_gap {mode}")
        assert set(replies) == {each["question"] for each in data["questions"]}


def test_a_recording_is_of_todays_prompts(tmp_path):
    path = tmp_path / "replies.json"
    with pytest.raises(SystemExit, match="not there"):
        Recording(path)
    recording = Recording(path, make=True)
    live = Live()
    chat = RecordedChat(recording.of("mode"), live)
    for _ in range(2):
        assert chat.chat([{"role": "user", "content": "q?\n<terms>a, b</terms>"}]).text == "q?!"
    assert live.asked == 1
    recording.save("a model")
    known = Recording(path)
    assert (known.model, known.of("mode")) == ("a model", {"q?": "q?!"})
    with pytest.raises(ModelError, match="no recorded reply"):
        RecordedChat(known.of("mode")).chat([{"role": "user", "content": "another?"}])
    told = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**told, "prompt_version": 0}), encoding="utf-8")
    with pytest.raises(SystemExit, match="other prompts"):
        Recording(path)


class Live:
    asked = 0

    def chat(self, messages, *, schema=None):  # noqa: ARG002  # the protocol's form
        self.asked += 1
        return ChatReply(messages[-1]["content"].partition("\n")[0] + "!")

    def stream(self, messages):
        yield self.chat(messages)
