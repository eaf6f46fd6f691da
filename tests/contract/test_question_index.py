"""What the question index does, beside every kind of store."""

import asyncio
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from trivec import (
    Chunk,
    HybridIndex,
    IndexConfig,
    QueryText,
    RagOptions,
    RagPipeline,
    SearchOptions,
)
from trivec.errors import (
    CollectionError,
    CollectionNotFoundError,
    InputError,
    ModelError,
)
from trivec.exporting import Agreement
from trivec.questions import QuestionIndex, QuestionOptions, QuestionPrompts
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import ChatReply

CHUNKS = [
    Chunk("Lactase splits milk sugar.", id="lactase", metadata={"lang": "en"}),
    Chunk("Bees turn nectar into honey.", id="bees", metadata={"lang": "en"}),
    Chunk("企鹅不会飞。", id="企鹅", metadata={"lang": "zh"}),
    Chunk("Rivers flow to the sea.", id="rivers", metadata={"lang": "en"}),
]
WITHOUT_JIEBA = IndexConfig(arms=("dense", "sparse"))  # which takes a second to load
ONE_PASS = QuestionPrompts(refine=False)
LENIENT = QuestionOptions(
    use_passages=False, question_threshold=0.6, feedback_threshold=0.6
)  # random vectors are rarely alike


class Chat:
    """Writes two questions about a passage, or fails as told; counts its calls by passage."""

    def __init__(self, identity="writer", fail=()):
        self.identity = identity
        self.fail = set(fail)
        self.calls = Counter()
        self.running = self.most_running = 0
        self.lock = threading.Lock()

    def chat(self, messages, *, schema):
        passage = messages[1]["content"].split("\n")[1]
        with self.lock:
            self.calls[passage] += 1
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        assert schema["required"] == ["questions"]
        try:
            return self._reply(passage)
        finally:
            with self.lock:
                self.running -= 1

    def _reply(self, passage):
        word = passage.split()[0].strip(".。").lower()
        if word in self.fail:
            raise ConnectionError("key sk-123")
        questions = [] if word == "rivers" else [f"why {word} one?", f"how {word} two?"]
        return ChatReply(json.dumps({"questions": questions}), 10, 4)

    def stream(self, messages):
        raise NotImplementedError


@pytest.fixture
def encoder():
    return FakeEncoder()


@pytest.fixture
def index(location, encoder):
    with HybridIndex.open(**location, encoder=encoder, config=WITHOUT_JIEBA) as opened:
        opened.add(CHUNKS)
        yield opened


@pytest.fixture
def questions(index):
    with QuestionIndex.open(index) as opened:
        yield opened


def ids(hits):
    return [hit.id for hit in hits]


def test_every_chunk_gets_questions_once(questions, index):
    chat, steps = Chat(), []
    report = questions.generate(chat, prompts=ONE_PASS, progress=steps.append)
    assert (report.written, report.questions, report.empty, report.skipped) == (3, 6, 1, 0)
    assert (report.failed, report.input_tokens, report.output_tokens) == ((), 40, 16)
    assert sum(steps) == 4
    assert sorted(questions.questions("bees")) == ["how bees two?", "why bees one?"]
    assert questions.questions("rivers") == []
    assert questions.count() == 6
    assert index.count() == 4  # the passages' own collection holds passages alone

    again = questions.generate(chat, prompts=ONE_PASS)
    assert (again.written, again.questions, again.skipped) == (0, 0, 4)
    assert set(chat.calls.values()) == {1}


def test_a_chunk_that_changed_is_asked_for_again(questions, index):
    chat = Chat()
    questions.generate(chat, prompts=ONE_PASS)
    index.add([Chunk("Wasps make no honey.", id="bees"), Chunk("Rivers rise.", id="rivers")])
    assert questions.questions("bees") == []
    report = questions.generate(chat, prompts=ONE_PASS)
    assert (report.written, report.empty, report.skipped, report.deleted) == (1, 1, 2, 2)
    assert sorted(questions.questions("bees")) == ["how wasps two?", "why wasps one?"]


@pytest.mark.parametrize(
    ("chat", "prompts"),
    [(Chat("another"), ONE_PASS), (Chat(), QuestionPrompts(refine=False, per_chunk=2))],
)
def test_another_model_or_prompt_replaces_the_questions(questions, chat, prompts):
    questions.generate(Chat(), prompts=ONE_PASS)
    report = questions.generate(chat, prompts=prompts)
    assert (report.written, report.empty, report.skipped) == (3, 1, 0)
    assert questions.count() == 6


def test_the_name_of_the_model_can_be_given(questions):
    questions.generate(Chat("a"), model="same", prompts=ONE_PASS)
    assert questions.generate(Chat("b"), model="same", prompts=ONE_PASS).skipped == 4


def test_a_failure_leaves_its_chunk_for_the_next_run(questions):
    report = questions.generate(Chat(fail=["bees"]), prompts=ONE_PASS)
    assert (report.written, report.empty) == (2, 1)
    assert [(refusal.id, refusal.reason) for refusal in report.failed] == [
        ("bees", "ConnectionError")  # its text may hold a key
    ]
    chat = Chat()
    assert questions.generate(chat, prompts=ONE_PASS).written == 1
    assert list(chat.calls) == ["Bees turn nectar into honey."]


def test_a_model_that_always_fails_ends_the_run(questions, index):
    index.add([Chunk(f"Fact{n} stands.", id=f"f{n}") for n in range(30)])
    chat = Chat(fail=[f"fact{n}" for n in range(30)])
    with pytest.raises(ModelError, match="3 times in a row, last with: ConnectionError"):
        questions.generate(
            chat, prompts=ONE_PASS, filter={"lang": None}, max_failures=3, concurrency=2
        )
    assert sum(chat.calls.values()) <= 6


def test_no_more_calls_at_a_time_than_asked(questions, index):
    index.add([Chunk(f"Fact{n} stands.", id=f"f{n}") for n in range(20)])
    chat = Chat()
    questions.generate(chat, prompts=ONE_PASS, concurrency=2)
    assert chat.most_running <= 2


def test_a_filter_chooses_the_chunks(questions):
    report = questions.generate(Chat(), prompts=ONE_PASS, filter={"lang": "zh"})
    assert (report.written, report.skipped) == (1, 0)


def test_a_run_that_was_killed_goes_on(questions):
    class Killed(Chat):
        def _reply(self, passage):
            if len(self.calls) > 2:
                raise KeyboardInterrupt
            return super()._reply(passage)

    with pytest.raises(KeyboardInterrupt):
        questions.generate(Killed(), prompts=ONE_PASS, concurrency=1)
    chat = Chat()
    report = questions.generate(chat, prompts=ONE_PASS)
    assert report.skipped == 2
    assert sum(chat.calls.values()) == 2


def test_a_question_finds_the_chunk_that_answers_it(questions):
    questions.add({"lactase": ["why does my tummy hurt after dairy?"]})
    asked = "why does my tummy hurt after dairy"
    assert ids(questions.search(asked, 1)) == ["lactase"]
    assert ids(questions.index.search(asked, 1)) != ["lactase"]
    (hit,) = questions.search("tummy hurt dairy", 1, questions=LENIENT)
    assert hit.chunk == CHUNKS[0]
    assert [(match.arm, match.term) for match in hit.matches] == [
        ("question", "why does my tummy hurt after dairy?")
    ]
    assert hit.arms["question"] == hit.score > 0


def test_without_questions_it_is_the_ordinary_search(questions, index):
    questions.add({"lactase": ["honey nectar bees?"]})
    left_out = QuestionOptions(use_questions=False, use_feedback=False)
    query = "honey nectar"
    assert ids(questions.search(query, 4, questions=left_out)) == ids(index.search(query, 4))


def test_the_query_is_encoded_once(questions, encoder):
    questions.add({"lactase": ["why milk?"]})
    questions.add_feedback("why dairy?", "bees", "bad")
    before = encoder.calls
    questions.search_batch(["milk", "dairy", "milk"], 3)
    assert encoder.calls == before + 1


def test_a_filter_holds_for_chunks_found_by_questions(questions):
    questions.add({"企鹅": ["which bird dives?"], "bees": ["which animal dives?"]})
    found = questions.search("which dives", 4, filter={"lang": "en"}, questions=LENIENT)
    assert ids(found) == ["bees"]


def test_offset_and_k(questions):
    questions.add({chunk.id: [f"shared words {chunk.id}"] for chunk in CHUNKS})

    def page(k, at=0):
        options = SearchOptions(offset=at)
        merged = QuestionOptions(question_threshold=0.6, feedback_threshold=0.6)
        return ids(questions.search("shared words", k, options=options, questions=merged))

    whole = page(4)
    assert len(whole) == 4
    assert page(2) + page(2, at=2) == whole
    assert page(0) == []


def test_of_several_texts_the_first_is_the_question(questions):
    questions.add({"lactase": ["tummy ache?"], "bees": ["sting?"]})
    texts = [QueryText("tummy"), QueryText("sting", arms=("sparse",))]
    assert ids(questions.search(texts, 4, questions=LENIENT)) == ["lactase"]
    assert ids(questions.search([QueryText("sting"), texts[0]], 4, questions=LENIENT)) == ["bees"]


def test_vectors_that_the_caller_has_are_not_computed(questions, encoder):
    questions.add({"lactase": ["tummy ache?"]})
    (encoding,) = encoder.encode_queries(["tummy"])
    before = encoder.calls
    text = QueryText("", vectors={"dense": encoding.dense})
    assert ids(questions.search(text, 4, questions=LENIENT)) == ["lactase"]
    only_sparse = QueryText("", vectors={"sparse": encoding.sparse})
    assert questions.search(only_sparse, 4, questions=LENIENT) == []
    assert encoder.calls == before


def test_stale_questions_are_never_used_and_pruned(questions, index):
    questions.add({"bees": ["who stings?"], "lactase": ["who digests?"]})
    questions.add_feedback("who buzzes?", "bees", "good")
    questions.add_feedback("who digests?", "lactase", "good")
    index.delete(ids=["lactase"])
    index.add([Chunk("Bees sleep in winter.", id="bees")])
    for query in ("who stings?", "who digests?", "who buzzes?"):
        assert questions.search(query, 4, questions=LENIENT) == []
    assert questions.prune() == 4
    assert questions.prune() == 0
    assert questions.count() == 0


def test_prune_keeps_what_is_current(questions):
    questions.generate(Chat(), prompts=ONE_PASS)
    assert questions.prune() == 0
    assert questions.generate(Chat(), prompts=ONE_PASS).skipped == 4


def test_feedback_lifts_and_lowers(questions):
    query = "honey from bees"
    assert ids(questions.search(query, 4))[0] == "bees"
    questions.add_feedback(query, "bees", "bad")
    questions.add_feedback(query, "rivers", "good")
    found = questions.search(query, 4)
    assert ids(found)[0] == "rivers"
    by_id = {hit.id: hit for hit in found}
    assert by_id["rivers"].arms["feedback"] > 0 > by_id["bees"].arms["feedback"]
    assert ("feedback", query) in {(match.arm, match.term) for match in found[0].matches}
    left_out = questions.search(query, 4, questions=QuestionOptions(use_feedback=False))
    assert ids(left_out)[0] == "bees"


def test_feedback_counts_for_similar_questions_alone(questions):
    questions.add_feedback("honey from bees", "rivers", "good")
    low = QuestionOptions(question_threshold=0.6, feedback_threshold=0.6)
    assert ids(questions.search("honey from the bees", 1, questions=low)) == ["rivers"]
    assert ids(questions.search("milk sugar", 1, questions=low)) == ["lactase"]


def test_a_bad_verdict_alone_finds_nothing(questions):
    questions.add_feedback("completely unrelated words", "rivers", "bad")
    found = questions.search("completely unrelated words", 9, questions=LENIENT)
    assert found == []


def test_the_last_verdict_counts_and_can_be_taken_back(questions):
    query = "milk sugar"
    questions.add_feedback(query, "rivers", "bad")
    questions.add_feedback(query, "rivers", "good")
    assert ids(questions.search(query, 4))[:2] in (["rivers", "lactase"], ["lactase", "rivers"])
    by_id = {hit.id: hit for hit in questions.search(query, 4)}
    assert by_id["rivers"].arms["feedback"] > 0
    assert questions.remove_feedback(query, "rivers")
    assert not questions.remove_feedback(query, "rivers")
    assert all("feedback" not in hit.arms for hit in questions.search(query, 4))


def test_generating_leaves_own_questions_and_feedback(questions):
    questions.add({"bees": ["who stings?"]})
    questions.add_feedback("who buzzes?", "bees", "good")
    report = questions.generate(Chat(), prompts=ONE_PASS)
    assert (report.written, report.deleted) == (3, 0)
    assert "who stings?" in questions.questions("bees")
    assert questions.remove_feedback("who buzzes?", "bees")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda q: q.add({"nowhere": ["why?"]}), r"no chunks \['nowhere'\]"),
        (lambda q: q.add({"bees": [" \n"]}), "blank"),
        (lambda q: q.add_feedback("why?", "nowhere", "good"), "nowhere"),
        (lambda q: q.add_feedback(" ", "bees", "good"), "blank"),
        (lambda q: q.add_feedback("why?", "bees", "great"), "verdict='great'"),
        (lambda q: q.search(" "), "blank"),
        (lambda q: q.search("why", -1), "k=-1"),
        (lambda q: q.generate(Chat(), concurrency=0), "concurrency=0"),
        (lambda q: q.generate(Chat(), max_failures=0), "max_failures=0"),
    ],
)
def test_bad_input(questions, call, message):
    with pytest.raises(InputError, match=message):
        call(questions)
    assert questions.count() == 0


def test_adding_the_same_question_twice_changes_nothing(questions):
    assert questions.add({"bees": ["who stings?"]}) == 1
    assert questions.add({"bees": ["who  stings?"], "lactase": ["who stings?"]}) == 1
    assert questions.count() == 2


def test_threads_may_search_at_once(questions):
    questions.generate(Chat(), prompts=ONE_PASS)
    expected = ids(questions.search("why bees one?", 3))
    with ThreadPoolExecutor(4) as pool:
        for hits in pool.map(lambda _: questions.search("why bees one?", 3), range(16)):
            assert ids(hits) == expected


def test_tenants_see_their_own_questions_alone(location, encoder):
    def open_tenant(tenant):
        return HybridIndex.open(**location, encoder=encoder, tenant=tenant, config=WITHOUT_JIEBA)

    with open_tenant("a") as first:
        first.add([Chunk("Bees buzz.", id="bees")])
        with QuestionIndex.open(first) as questions:
            questions.add({"bees": ["who stings?"]})
            if isinstance(location["location"], MemoryStore):
                return  # closing forgets it
            questions.add_feedback("who stings?", "bees", "good")
        if "collection" not in location:
            first.close()
        with open_tenant("b") as second:
            second.add([Chunk("Wasps buzz.", id="bees")])
            with QuestionIndex.open(second) as others:
                assert others.count() == 0
                assert others.search("who stings?", 3, questions=LENIENT) == []
                assert others.prune() == 0


def test_nothing_is_created_when_told_so(index):
    with pytest.raises(CollectionNotFoundError):
        QuestionIndex.open(index, create=False)


def test_questions_stay_in_their_folder(tmp_path, encoder):
    with HybridIndex.open(tmp_path / "kb", encoder, config=WITHOUT_JIEBA) as index:
        index.add(CHUNKS)
        with QuestionIndex.open(index) as questions:
            questions.add({"bees": ["who stings?"]})
    with HybridIndex.open(tmp_path / "kb", encoder, create=False) as index:
        assert index.count() == 4
        with QuestionIndex.open(index, create=False) as questions:
            assert questions.questions("bees") == ["who stings?"]
    assert (tmp_path / "kb" / "questions" / "trivec.json").is_file()


def test_questions_move_with_their_index(tmp_path, encoder):
    with (
        HybridIndex.open(tmp_path / "kb", encoder, config=WITHOUT_JIEBA) as here,
        HybridIndex.open(tmp_path / "copy", encoder, config=WITHOUT_JIEBA) as there,
        QuestionIndex.open(here) as mine,
        QuestionIndex.open(there) as theirs,
    ):
        here.add(CHUNKS)
        mine.generate(Chat(), prompts=ONE_PASS)
        here.copy_to(there)
        before = encoder.calls
        assert mine.copy_to(theirs) == 7  # six questions, and that there is none
        assert encoder.calls == before
        assert theirs.generate(Chat(), prompts=ONE_PASS).skipped == 4
        assert sorted(theirs.questions("bees")) == sorted(mine.questions("bees"))


def test_an_index_without_lexical_arms(tmp_path, encoder):
    config = IndexConfig(arms=("dense", "colbert"))
    with (
        HybridIndex.open(tmp_path / "kb", encoder, config=config) as index,
        QuestionIndex.open(index) as questions,
    ):
        index.add(CHUNKS)
        questions.add({"bees": ["who stings?"]})
        options = SearchOptions(arms=("dense",), colbert="rescore")
        assert ids(questions.search("who stings?", 1, options=options)) == ["bees"]


def test_an_encoder_for_queries_alone_writes_no_questions(tmp_path):
    class Int8(FakeEncoder):
        agreement = Agreement(texts=2, dense_cosine_mean=0.999, sparse_top10_shared=1.0)

        @property
        def info(self):
            return replace(super().info, precision="int8")

    path = tmp_path / "kb"
    with HybridIndex.open(path, FakeEncoder(), config=WITHOUT_JIEBA) as index:
        index.add(CHUNKS)
        with QuestionIndex.open(index) as questions:
            questions.add({"bees": ["who stings?"]})
    with (
        HybridIndex.open(path, Int8(), mixed_precision=True) as index,
        QuestionIndex.open(index) as questions,
    ):
        assert ids(questions.search("who stings?", 1, questions=LENIENT)) == ["bees"]
        with pytest.raises(CollectionError, match="open for searching"):
            questions.add({"bees": ["who buzzes?"]})


def test_answers_from_passages_found_by_their_questions(questions):
    class Answering(Chat):
        def chat(self, messages, *, schema=None):
            assert schema is None
            self.asked = messages[1]["content"]
            return ChatReply("Lactase splits it [1].")

    questions.add({"lactase": ["why does my tummy hurt?"]})
    chat = Answering()
    options = RagOptions(max_passages=1, min_evidence=None)
    pipeline = RagPipeline(questions, chat, options=options)
    for answer in (
        pipeline.answer("why does my tummy hurt?"),
        asyncio.run(pipeline.aanswer("why does my tummy hurt?")),
    ):
        assert [passage.hit.id for passage in answer.cited] == ["lactase"]
        assert "Lactase splits milk sugar." in chat.asked


def test_a_store_of_ones_own_needs_a_place_for_questions(encoder):
    class Own(MemoryStore):
        def sibling(self, _name):
            return None

    with HybridIndex.open(Own(), encoder) as index:
        with pytest.raises(InputError, match="store="):
            QuestionIndex.open(index)
        with QuestionIndex.open(index, store=MemoryStore()) as questions:
            assert questions.count() == 0
