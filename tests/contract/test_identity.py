"""Which chunks are one passage: ids belong to their source, and what collides is refused."""

from __future__ import annotations

import enum
import logging
import tracemalloc
import uuid
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient

from trivec import AddReport, Chunk, HybridIndex, IndexConfig
from trivec.errors import InputError
from trivec.index.hybrid import binding_of
from trivec.index.point_set import PointSet
from trivec.payloads.trivec import point_id
from trivec.questions import QuestionIndex
from trivec.testing import FakeEncoder, MemoryStore

BATCH = IndexConfig(batch_size=4)
PEOPLE = [Chunk("Ada wrote programs", "1", "people.csv"), Chunk("Alan broke", "2", "people.csv")]
PRODUCTS = [Chunk("a red bicycle", "1", "products.csv"), Chunk("a tent", "2", "products.csv")]
UUID = "0b1e9f5c-7a0e-4a7c-9d53-0d4a5d5b6a11"


class Counting(FakeEncoder):
    encoded = 0

    def encode_documents(self, texts, **options):
        self.encoded += len(texts)
        return super().encode_documents(texts, **options)


@pytest.fixture
def encoder():
    return Counting()


@pytest.fixture
def index(location, encoder):
    with HybridIndex.open(**location, encoder=encoder, config=BATCH) as opened:
        yield opened


def texts(chunks):
    return [chunk.text for chunk in chunks]


class TestIdsBelongToTheirSource:
    @pytest.mark.parametrize("at_once", [True, False])
    def test_two_files_with_the_same_ids_are_both_kept(self, index, encoder, at_once):
        files = [PEOPLE + PRODUCTS] if at_once else [PEOPLE, PRODUCTS]
        reports = [index.add(file, replace_sources=True) for file in files]
        assert sum(report.added for report in reports) == 4
        assert index.count() == 4
        encoded = encoder.encoded
        assert [index.add(file, replace_sources=True).skipped for file in files] == [
            len(file) for file in files
        ]
        assert encoder.encoded == encoded

    def test_an_id_is_found_in_every_source_or_in_one(self, index):
        index.add(PEOPLE + PRODUCTS)
        assert texts(index.get(["2", "1"])) == [
            "Alan broke",
            "a tent",
            "Ada wrote programs",
            "a red bicycle",
        ]
        assert texts(index.get(["1", "9"], source="products.csv")) == ["a red bicycle"]
        assert index.count(index.id_filter(["1"])) == 2

    def test_deleting_by_id_and_source(self, index):
        index.add(PEOPLE + PRODUCTS)
        assert index.delete(ids=["1"], source="people.csv") == 1
        assert texts(index.get(["1"])) == ["a red bicycle"]
        assert index.delete(ids=["2"]) == 2
        assert index.count() == 1

    def test_many_ids_come_in_their_order(self, index):
        names = [f"n{at}" for at in range(600)]
        index.add(Chunk(f"text {name}", id=name, source=f"s{len(name)}") for name in names)
        asked = names[::-2]
        assert [chunk.id for chunk in index.get(asked)] == asked

    def test_a_uuid_is_itself_in_every_source(self, index):
        index.add([Chunk("one", id=UUID, source="a")])
        assert index.point_id(UUID, "a") == index.point_id(UUID) == UUID
        assert index.add([Chunk("one", id=UUID, source="b")]).updated == 1
        assert [chunk.source for chunk in index.get([UUID, UUID.upper()])] == ["b", "b"]

    def test_an_id_without_source_stays_what_it_was(self, index):
        assert index.point_id("1") == point_id("1")
        assert index.point_id("1", "a") not in {index.point_id("1"), index.point_id("1", "b")}

    def test_no_id_looks_like_another_with_its_source(self, index):
        texts = ["1", '[null, "a", "1"]', '["a", "1"]', "a\\x001"]
        keys = {index.point_id(text) for text in texts} | {index.point_id("1", "a")}
        assert len(keys) == len(texts) + 1

    def test_tenants_stay_apart(self, location, encoder):
        red = HybridIndex.open(**location, encoder=encoder, tenant="red")
        blue = HybridIndex(replace(binding_of(red), tenant="blue"), BATCH)
        for tenant in (red, blue):
            assert tenant.add(PEOPLE + PRODUCTS).added == 4
        assert (red.count(), blue.count()) == (4, 4)
        assert len(blue.get(["1"])) == 2
        assert blue.delete(ids=["1"]) == 2
        assert red.count() == 4

    def test_a_collection_may_have_one_id_for_all_sources(self, location, encoder, caplog):
        config = IndexConfig(scoped_ids=False)
        index = HybridIndex.open(**location, encoder=encoder, config=config)
        index.add(PEOPLE)
        with caplog.at_level(logging.WARNING, "trivec"):
            assert index.add(PRODUCTS).updated == 2
        assert "2 passages took the place of another source's" in caplog.text
        assert index.count() == 2

    @pytest.mark.parametrize("codec", ["trivec", "langchain", "llama_index"])
    def test_in_every_layout(self, location, encoder, codec):
        index = HybridIndex.open(**location, encoder=encoder, config=IndexConfig(codec=codec))
        assert index.add(PEOPLE + PRODUCTS).added == 4
        assert len(index.get(["1"])) == 2
        assert index.add(PEOPLE + PRODUCTS).skipped == 4

    def test_haystacks_documents_keep_haystacks_ids(self, location, encoder):
        config = IndexConfig(codec="haystack")
        index = HybridIndex.open(**location, encoder=encoder, config=config)
        assert not index.schema.scoped_ids
        assert index.point_id("1", "a") == index.codec.point_id("1")


class Word(str, enum.Enum):  # noqa: UP042  # as written before StrEnum: str() gives its name
    GREEN = "green"


class Marked(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "marked"


class TestTextsOfACallersOwnClass:
    """They are the texts that they hold, whatever ``str`` says of them."""

    @pytest.mark.parametrize("given", [Word.GREEN, Marked("green"), np.str_("green")], ids=repr)
    def test_on_every_road(self, location, encoder, given):
        index = HybridIndex.open(**location, encoder=encoder, config=BATCH, tenant=given)
        index.add([Chunk(given, id=given, source=given, metadata={given: [given]})])
        [other] = index.add([Chunk(" ", id=given)]).refused
        assert other.id == "green"
        for text in (given, "green"):
            assert [chunk.id for chunk in index.get([text])] == ["green"]
            assert [chunk.id for chunk in index.get([text], source=text)] == ["green"]
            assert [hit.id for hit in index.search(text, filter={text: text})] == ["green"]
            assert index.count({text: {"in": [text]}}) == 1
        again = replace(binding_of(index), tenant="green")
        assert HybridIndex(again, BATCH).count() == 1
        assert index.delete(ids=[given], source=given, filter={given: given}) == 1

    def test_as_an_operator_of_a_filter(self, index):
        index.add(PEOPLE)
        operator = enum.Enum("Operator", {"NOT": "ne"}, type=str).NOT
        assert index.count({"n": {operator: 1}}) == len(PEOPLE)


class TestCollectionsWrittenBefore:
    @pytest.fixture
    def old(self, location, encoder):
        """A collection as it was written before: its description does not speak of ids."""
        index = HybridIndex.open(**location, encoder=encoder, config=IndexConfig(scoped_ids=False))
        schema = index.schema
        data = schema.to_json()
        del data["scoped_ids"], data["root"]
        assert type(schema).from_json(data) == schema
        index.add(PEOPLE)
        return index

    def test_nothing_is_encoded_or_stored_twice(self, old, encoder):
        encoded = encoder.encoded
        assert old.add(PEOPLE) == AddReport(skipped=2)
        assert encoder.encoded == encoded
        assert texts(old.get(["1"])) == ["Ada wrote programs"]
        assert old.delete(ids=["1"]) == 1

    def test_what_collides_within_one_add_is_refused_by_name(self, old):
        report = old.add(PEOPLE + PRODUCTS)
        assert report.skipped == 2
        assert [refusal.id for refusal in report.refused] == ["1", "2"]
        reason = report.refused[0].reason
        assert "of source 'products.csv' is also that of a passage of source 'people.csv'" in reason

    def test_a_copy_has_ids_by_source(self, old, encoder):
        encoded = encoder.encoded
        with HybridIndex.open(MemoryStore(), encoder) as new:
            assert old.copy_to(new) == 2
            assert new.add(PEOPLE).skipped == 2
            assert encoder.encoded == encoded
            assert new.add(PRODUCTS).added == 2


class TestCollisions:
    @pytest.mark.parametrize("apart", [0, 1, 20])
    def test_two_texts_under_one_id_of_a_source(self, index, encoder, apart):
        between = [Chunk(f"between {at}", source="other", position=at) for at in range(apart)]
        second = replace(PEOPLE[0], text="another text")
        report = index.add([PEOPLE[0], *between, second, PEOPLE[0]])
        assert (report.added, report.skipped) == (1 + apart, 1)
        [refusal] = report.refused
        assert refusal.id == "1"
        assert "the id '1' of source 'people.csv' was given twice" in refusal.reason
        assert texts(index.get(["1"])) == ["Ada wrote programs"]
        encoded = encoder.encoded
        again = index.add([PEOPLE[0], *between, second, PEOPLE[0]])
        assert (again.skipped, len(again.refused)) == (2 + apart, 1)
        assert encoder.encoded == encoded

    def test_two_chunks_without_id_at_one_place(self, index):
        report = index.add([Chunk("first", source="s"), Chunk("second", source="s")])
        assert report.added == 1
        [refusal] = report.refused
        assert "position 0 of source 's' was given twice" in refusal.reason
        assert texts(index.chunks()) == ["first"]

    def test_other_metadata_is_another_passage(self, index):
        twin = replace(PEOPLE[0], metadata={"n": 1})
        report = index.add([PEOPLE[0], twin])
        assert (report.added, report.skipped, len(report.refused)) == (1, 0, 1)

    @pytest.mark.parametrize("other", [UUID.upper(), UUID.replace("-", ""), f"{{{UUID}}}"])
    def test_ids_that_are_one_to_the_engine(self, index, other):
        report = index.add([Chunk("one", id=UUID), Chunk("two", id=other)])
        assert (report.added, len(report.refused)) == (1, 1)
        assert "are one to the engine" in report.refused[0].reason

    def test_a_uuid_in_two_files(self, index):
        report = index.add([Chunk("one", UUID, "a"), Chunk("two", UUID, "b")])
        assert (report.added, len(report.refused)) == (1, 1)
        assert "is also that of a passage of source 'a'" in report.refused[0].reason

    def test_what_was_refused_first_takes_nothing(self, index):
        report = index.add([Chunk(" ", id="x", source="s"), Chunk("text", id="x", source="s")])
        assert (report.added, len(report.refused)) == (1, 1)

    def test_a_refused_chunk_keeps_what_its_source_had(self, index):
        index.add(PEOPLE)
        bad = [PEOPLE[0], replace(PEOPLE[1], metadata={"n": float("nan")})]
        report = index.add(bad, replace_sources=True)
        assert (report.skipped, len(report.refused), report.deleted) == (1, 1, 0)
        assert index.count() == 2

    def test_with_late_chunking(self, index):
        report = index.add(PEOPLE + PRODUCTS, late_chunking=True)
        assert report.added == 4
        assert index.add(PEOPLE + PRODUCTS, late_chunking=True).skipped == 4
        again = index.add([*PEOPLE, Chunk("x", "1", "people.csv")], late_chunking=True)
        assert (again.skipped, len(again.refused)) == (2, 1)


chunks = st.builds(
    Chunk,
    st.sampled_from(["one text", "another", "  ", "long " * 9000]),
    id=st.sampled_from([None, "1", "2", UUID, UUID.upper()]),
    source=st.sampled_from([None, "a", "b"]),
    position=st.integers(-1, 2),
    metadata=st.sampled_from([{}, {"n": 1}, {"n": float("nan")}]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.lists(chunks, max_size=14), max_size=3),
    st.booleans(),
    st.booleans(),
    st.integers(1, 5),
)
def test_every_report_adds_up(runs, scoped, replacing, size):
    """added + updated + skipped + refused = given, and the collection holds what was reported."""
    config = IndexConfig(arms=("dense",), scoped_ids=scoped, batch_size=size)
    with HybridIndex.open(MemoryStore(), FakeEncoder(dim=8), config=config) as index:
        held = 0
        for run in runs:
            report = index.add(run, replace_sources=replacing)
            assert report.given == len(run)
            held += report.added - report.deleted
            assert index.count() == held
            again = index.add(run, replace_sources=replacing)
            assert (again.added, again.updated, again.deleted) == (0, 0, 0)
            assert again.refused == report.refused
            assert again.skipped == report.added + report.updated + report.skipped


class TestTruncation:
    def test_passages_that_were_cut_are_counted_in_one_warning(self, index, caplog):
        with caplog.at_level(logging.WARNING, "trivec"):
            report = index.add(Chunk("long " * 20_000, id=str(at)) for at in range(9))
        assert len(report.truncated) == 9
        [record] = [record for record in caplog.records if "longer than the model" in record.msg]
        assert record.getMessage().startswith("9 passages are longer than the model reads")

    def test_questions_that_were_cut_are_counted_and_their_hits_say_so(self, index, caplog):
        index.add(PEOPLE)
        long = "Ada " * 20_000
        with caplog.at_level(logging.WARNING, "trivec"):
            short, one, two = index.search_batch(["Ada", long, long + "x"], k=1)
        assert [hits[0].query_cut for hits in (short, one, two)] == [False, True, True]
        [record] = caplog.records
        assert record.getMessage().startswith("2 of 3 queries are longer than the 8192 tokens")

    def test_questions_over_the_question_index_too(self, index, caplog):
        index.add(PEOPLE)
        with QuestionIndex.open(index) as questions, caplog.at_level(logging.WARNING, "trivec"):
            [hit] = questions.search("Ada " * 20_000, k=1)
        assert hit.query_cut
        assert len(caplog.records) == 1


class TestQuestionsOfChunksWithOneId:
    @pytest.fixture
    def questions(self, index):
        index.add(PEOPLE + PRODUCTS)
        with QuestionIndex.open(index) as opened:
            yield opened

    def test_they_say_which(self, questions):
        with pytest.raises(InputError, match=r"of 2 chunks.*'people.csv', 'products.csv'"):
            questions.add_feedback("who wrote?", "1", "good")
        questions.add({"1": ["who wrote?"]}, source="people.csv")
        questions.add({"1": ["who wrote?", "what rolls?"]}, source="products.csv")
        assert questions.questions("1", source="people.csv") == ["who wrote?"]
        assert sorted(questions.questions("1", source="products.csv")) == [
            "what rolls?",
            "who wrote?",
        ]
        found = questions.search("what rolls?", k=1)
        assert found[0].source == "products.csv"
        assert questions.count() == 3
        assert questions.prune() == 0

    def test_a_verdict_is_on_one_of_them(self, questions):
        questions.add_feedback("who wrote?", "1", "bad", source="products.csv")
        assert not questions.remove_feedback("who wrote?", "1", source="people.csv")
        assert questions.remove_feedback("who wrote?", "1", source="products.csv")
        assert not questions.remove_feedback("who wrote?", "1", source="products.csv")


def test_what_an_add_remembers_is_a_few_bytes_a_chunk():
    held = PointSet()
    ids = [str(uuid.UUID(int=at)) for at in range(20_000)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for at in range(0, len(ids), 128):
        held.add(ids[at : at + 128])
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(held) == len(ids)
    assert grown < 16 * len(ids)
    assert held.among([*ids[:3], *ids[-3:], "other"]) == {*ids[:3], *ids[-3:]}
    assert PointSet().among(ids[:1]) == set()


def test_a_server_gets_an_index_of_the_ids():
    with HybridIndex.open(QdrantClient(":memory:"), FakeEncoder(), collection="kb") as index:
        assert index.schema.payload_indexes["trivec.id"] == "keyword"
