"""A server that sends a byte from time to time outlasts no deadline, whichever client asks."""

from __future__ import annotations

import asyncio
import contextlib
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from trivec.chat import OpenAIChat
from trivec.encoders import RemoteEncoder, RemoteOptions
from trivec.errors import ModelUnavailableError
from trivec.types import EncoderInfo

ALLOWED = 0.6
SLOW = 0.1
LONG = 120.0  # seconds that an answer drips, where nobody ends it
SOON = 30.0
HEADS = {
    "head": "HTTP/1.1 200 OK\r\nX-Filler: ",
    "body": "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n",
    "line": "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
}
MESSAGES = [{"role": "user", "content": "Hello?"}]
T = TypeVar("T", OpenAIChat, RemoteEncoder)


class _Dripping(socketserver.BaseRequestHandler):
    head = ""
    is_over: threading.Event

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self.request.recv(65_536)
            self.request.sendall(self.head.encode())
            for _ in range(round(LONG / SLOW)):
                if self.is_over.wait(SLOW):
                    return
                self.request.sendall(b"a")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture
def dripping(request) -> Iterator[str]:
    """The address of a server that drips in the head, the body or the line of its answers."""
    is_over = threading.Event()
    handler = type("Bound", (_Dripping,), {"head": HEADS[request.param], "is_over": is_over})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        is_over.set()
        server.shutdown()
        thread.join()


def chat(url: str) -> OpenAIChat:
    return OpenAIChat.connect("m", base_url=url, api_key="none", timeout=ALLOWED, max_retries=0)


def remote(url: str) -> RemoteEncoder:
    info = EncoderInfo("m", "0" * 64, 8, heads=("dense",))
    return RemoteEncoder(url, info, options=RemoteOptions(deadline=ALLOWED))


def asked(model: T, ask: Callable[[T], object]) -> None:
    with contextlib.closing(model):
        ask(model)


async def awaited(url: str, *, streamed: bool) -> None:
    model = chat(url)
    try:
        if streamed:
            async for _ in model.astream(MESSAGES):
                pass
        else:
            await model.achat(MESSAGES)
    finally:
        await model.aclose()


ASKING = {
    "chat": lambda url: asked(chat(url), lambda model: model.chat(MESSAGES)),
    "stream": lambda url: asked(chat(url), lambda model: list(model.stream(MESSAGES))),
    "achat": lambda url: asyncio.run(awaited(url, streamed=False)),
    "astream": lambda url: asyncio.run(awaited(url, streamed=True)),
    "encoder": lambda url: asked(
        remote(url), lambda encoder: encoder.encode_queries(["a"], heads=("dense",))
    ),
}


@pytest.mark.parametrize(
    ("asking", "dripping"),
    [
        *((asking, "head") for asking in ASKING),
        *((asking, "body") for asking in ("chat", "achat", "encoder")),
        *((asking, "line") for asking in ("stream", "astream")),
    ],
    indirect=["dripping"],
)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_deadline_bounds_the_whole_answer(dripping, asking):
    begun = time.monotonic()
    with pytest.raises(ModelUnavailableError, match="in time"):
        ASKING[asking](dripping)
    assert ALLOWED * 0.5 < time.monotonic() - begun < SOON
