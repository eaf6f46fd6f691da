"""What holds a folder, a connection or a key says so when it is copied or pickled."""

from __future__ import annotations

import copy
import pickle

import pytest
from qdrant_client import AsyncQdrantClient, QdrantClient

from trivec import HybridIndex, OpenAIChat
from trivec.stores import AsyncServerStore, EdgeStore, ServerStore
from trivec.testing import FakeEncoder, MemoryStore

MAKERS = {
    "EdgeStore": EdgeStore,
    "MemoryStore": lambda _: MemoryStore(),
    "ServerStore": lambda _: ServerStore(QdrantClient(":memory:"), "kb"),
    "AsyncServerStore": lambda _: AsyncServerStore(AsyncQdrantClient(":memory:"), "kb"),
    "index": lambda _: HybridIndex.open(MemoryStore(), FakeEncoder(8)),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("act", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_store_is_not_copied(tmp_path, name, act):
    with pytest.raises(TypeError, match=rf"{name} holds .* and cannot be (copied or )?pickled; "):
        act(MAKERS[name](tmp_path / "kb"))


def test_a_chat_is_its_own_copy_and_keeps_its_key():
    pytest.importorskip("openai")
    chat = OpenAIChat.connect("m", base_url="http://127.0.0.1:9/v1", api_key="secret")
    assert copy.copy(chat) is chat
    assert copy.deepcopy([chat])[0] is chat
    with pytest.raises(TypeError, match="cannot be pickled; connect"):
        pickle.dumps(chat)
