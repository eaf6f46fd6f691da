"""The explorer behind a socket, and the command that serves it."""

from __future__ import annotations

import socket
import threading
from queue import Queue

import httpx
import pytest

from trivec import Chunk, HybridIndex
from trivec.errors import InputError
from trivec.serving.explorer import serve_explorer
from trivec.testing import FakeEncoder, MemoryStore


@pytest.fixture
def index():
    with HybridIndex.open(MemoryStore(), FakeEncoder()) as opened:
        opened.add([Chunk("green tea", id="tea")])
        yield opened


def test_it_is_served_on_the_loopback_address_alone(index):
    told = Queue()
    serving = {"port": 0, "ready": told.put}
    threading.Thread(target=serve_explorer, args=(index,), kwargs=serving, daemon=True).start()
    url = told.get(timeout=120)
    assert url.startswith("http://127.0.0.1:")
    answer = httpx.get(url, params={"q": "green tea"}, timeout=120)
    assert answer.status_code == 200
    assert "server" not in answer.headers
    assert httpx.get(url, headers={"host": "evil.example"}, timeout=120).status_code == 403
    assert httpx.post(url, timeout=120).status_code == 405


def test_a_port_that_is_taken(index):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=rf"port={port} cannot be used"):
            serve_explorer(index, port=port)
    with pytest.raises(InputError, match="port=70000"):
        serve_explorer(index, port=70000)


@pytest.mark.model
def test_the_command_serves_what_it_was_told(command_line, tmp_path, monkeypatch):
    served = []

    def serve(index, options, *, port, ready):
        served.append((index.count(), options, port))
        ready("http://127.0.0.1:7117/")

    monkeypatch.setattr("trivec.serving.explorer.serve_explorer", serve)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("Lemons are sour.", encoding="utf-8")
    assert command_line("sync", "kb", "notes", "--model", "mini").code == 0
    outcome = command_line(
        "explore", "kb", "--port", "0", "-k", "5", "--arms", "dense=1,bm25=0.5",
        "--filter", '{"lang": "en"}', "--rerank", "mini",
        "--chat-model", "small", "--base-url", "http://127.0.0.1:9/v1",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "http://127.0.0.1:7117/" in outcome.out
    ((count, options, port),) = served
    assert (count, port, options.k) == (1, 0, 5)
    assert options.search.arms == {"dense": 1.0, "bm25": 0.5}
    assert options.filter == {"lang": "en"}
    assert options.reranker is not None
    assert options.chat is not None
    refused = command_line("explore", "kb", "--questions")
    assert refused.code == 2
    assert "--questions" in refused.err
