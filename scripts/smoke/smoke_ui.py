"""The explorer answers over a socket: its page with the hits, and its style sheet."""

import threading
from pathlib import Path
from queue import Queue

import httpx

from trivec import Chunk, HybridIndex
from trivec.serving.explorer import serve_explorer
from trivec.testing import FakeEncoder

index = HybridIndex.open(Path("explored"), FakeEncoder())
index.add([Chunk("green tea", id="tea"), Chunk("a cat", id="cat")])
told: Queue[str] = Queue()
serving = {"port": 0, "ready": told.put}
threading.Thread(target=serve_explorer, args=(index,), kwargs=serving, daemon=True).start()
url = told.get(timeout=60)
page = httpx.get(url, params={"q": "green tea"}, timeout=60)
assert page.status_code == 200, page.text
assert "green" in page.text
assert httpx.get(f"{url}static/explorer.css", timeout=60).status_code == 200
