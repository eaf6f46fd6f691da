"""What each page of docs/ takes for granted: an index, files, a chat model.

The names of real models and servers are replaced, so that nothing leaves this machine.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["SCENES", "SKIPPED", "offline", "reply"]

SKIPPED = {
    "# before ": "two columns, before and after",
    "serve() {": "starts three vLLM servers on a GPU",
    "trivec --install-completion": "changes the settings of the reader's shell",
}
"""Blocks that cannot run, by how they begin, with the reason."""

REPLACED = {
    "BAAI/bge-m3": "mini",
    "BAAI/bge-reranker-v2-m3": "mini",
}

INDEX = """
from trivec import Chunk, HybridIndex, load_encoder
encoder = load_encoder("mini")
index = HybridIndex.open("./kb", encoder)
index.add([
    Chunk("The baobab fruit has three times the vitamin C of an orange.", id="baobab", source="baobab.md"),
    Chunk("Der Turm ist 324 Meter hoch.", id="tower", source="tower.md"),
])
"""
FILES = """
from pathlib import Path
Path("docs").mkdir()
Path("docs/device.txt").write_text("Hold the red button for ten seconds to reset the device.")
Path("notes").mkdir()
Path("notes/baobab.md").write_text("猴面包树的果实富含钙。", encoding="utf-8")
"""
SCENES = {
    "answering": INDEX + "index.close()\n",
    "cli": FILES + "Path('kb').rename('kb') if Path('kb').exists() else None\n",
    "fusion": INDEX,
    "files": FILES + INDEX,
    "onnx": FILES,
    "rewriting": INDEX,
    "sync": FILES,
    "tenants": "from trivec import HybridIndex, load_encoder\nencoder = load_encoder('mini')\n",
}


def offline(code: str, base_url: str) -> str:
    """Return a block with models and servers of this machine."""
    for name, here in REPLACED.items():
        code = code.replace(name, here)
    return code.replace("http://localhost:8000/v1", base_url)


def reply(body: dict[str, Any]) -> str:
    """Answer as a chat model would: JSON where a schema asks for it, a citation elsewhere."""
    if "response_format" in body:
        return json.dumps(
            {"questions": ["Which fruit has more vitamin C?"], "keywords": ["baobab"]}
        )
    return "The baobab fruit has three times the vitamin C of an orange [1]."
