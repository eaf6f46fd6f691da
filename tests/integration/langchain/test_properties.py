"""Any text, any id, any JSON metadata: added, found, read, the same."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document

from langchain_trivec import TrivecVectorStore
from trivec.testing import FakeEncoder
from trivec.text import clean, is_blank

words = st.text().map(clean)
texts = words.filter(lambda text: not is_blank(text))
keys = st.text(max_size=8).map(clean)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
some_documents = st.lists(
    st.builds(
        Document,
        id=words.filter(bool),
        page_content=texts,
        metadata=st.dictionaries(keys, values, max_size=4),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda document: document.id,
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("properties") / "kb"
    store = TrivecVectorStore.open(folder, FakeEncoder())
    yield store
    store.index.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(documents=some_documents)
def test_documents_survive_unchanged(kept, documents):
    kept.delete()
    ids = kept.add_documents(documents)
    assert ids == [document.id for document in documents]
    assert kept.get_by_ids(ids) == documents
    question = documents[0].page_content
    found = kept.similarity_search(question, k=len(documents), arms=["dense"])
    assert sorted(found, key=lambda each: each.id) == sorted(documents, key=lambda each: each.id)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(documents=some_documents)
def test_documents_without_ids_are_the_same_the_second_time(kept, documents):
    kept.delete()
    anonymous = [document.model_copy(update={"id": None}) for document in documents]
    ids = kept.add_documents(anonymous)
    assert kept.add_documents(anonymous) == ids
    assert kept.index.count() == len(set(ids))
    read = kept.get_by_ids(ids)
    assert [each.model_copy(update={"id": None}) for each in read] == anonymous
