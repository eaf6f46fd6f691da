"""What the LlamaIndex tests share: an index in each kind of place, and a few nodes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("llama_index.core")

from qdrant_client import QdrantClient
from tests.integration.llama_index.corpus import TEXTS, make_node

from llama_index_trivec import TrivecVectorStore
from trivec import HybridIndex, IndexConfig
from trivec.testing import FakeEncoder


@pytest.fixture
def nodes():
    return [make_node(name) for name in TEXTS]


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def open_index(tmp_path, encoder) -> Iterator[Callable[..., HybridIndex]]:
    """Open an index: ``open_index("edge")``, ``open_index("memory", codec="llama_index")``."""
    with contextlib.ExitStack() as stack:

        def opened(kind: str, **config) -> HybridIndex:
            config = IndexConfig(**config)
            if kind == "edge":
                index = HybridIndex.open(tmp_path / "kb", encoder, config=config)
            else:
                client = stack.enter_context(contextlib.closing(QdrantClient(":memory:")))
                index = HybridIndex.open(client, encoder, collection="kb", config=config)
            return stack.enter_context(index)

        yield opened


@pytest.fixture(params=["edge", "memory"])
def index(request, open_index) -> HybridIndex:
    return open_index(request.param)


@pytest.fixture
def store(index) -> TrivecVectorStore:
    return TrivecVectorStore(index)


@pytest.fixture
def filled(store, nodes) -> TrivecVectorStore:
    store.add(nodes)
    return store
