"""Stores in both engines, over fakes that need no model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
from qdrant_client import AsyncQdrantClient, QdrantClient

from langchain_trivec import TrivecVectorStore
from trivec.testing import FakeEncoder


@pytest.fixture(autouse=True)
def _local_mode_is_small_here():
    # its advice about large collections and payload indexes is for those who serve from it
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Payload indexes have no effect", UserWarning)
        yield


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


def async_twin(client: QdrantClient) -> AsyncQdrantClient:
    """Return an asynchronous client in memory that sees what the synchronous one holds."""
    twin = AsyncQdrantClient(":memory:")
    twin._client.collections = client._client.collections
    return twin


@pytest.fixture(params=["edge", "server-memory", "server-async"])
def open_store(request, tmp_path) -> Iterator[Callable[..., TrivecVectorStore]]:
    """Open a new collection in each engine; what is opened is closed in the end."""
    with ExitStack() as stack:
        count = iter(range(100))

        def opened(embedding, **options) -> TrivecVectorStore:
            if request.param == "edge":
                place = {"location": tmp_path / f"kb{next(count)}"}
            else:
                client = stack.enter_context(closing(QdrantClient(":memory:")))
                place = {"location": client, "collection_name": "kb"}
                if request.param == "server-async":
                    place["async_client"] = async_twin(client)
            store = TrivecVectorStore.open(embedding=embedding, **place, **options)
            stack.callback(store.index.close)
            return store

        yield opened


@pytest.fixture
def store(open_store, encoder) -> TrivecVectorStore:
    return open_store(encoder)
