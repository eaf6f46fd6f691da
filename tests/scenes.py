"""What each page of docs/ takes for granted: an index, files, a chat model.

The names of real models and servers are replaced, so that nothing leaves this machine.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["SCENES", "SKIPPED", "offline", "reply"]

SKIPPED = {
    "serve() {": "starts three vLLM servers on a GPU",
    "trivec --install-completion": "changes the settings of the reader's shell",
    "trivec finetune training --model mini": "minutes; test_readme_training.py runs the same",
    "trivec prune tuned": "needs the model of the block before",
    "trivec finetune training --model BAAI": "eight processes of torchrun",
}
"""Blocks that do not run, by how they begin, with the reason; at most five."""

REPLACED = {
    "BAAI/bge-m3": "mini",
    "BAAI/bge-reranker-v2-m3": "mini",
    'url="http://localhost:6333"': 'location=":memory:"',
    "http://localhost:6333": ":memory:",
    "https://qdrant.example:6333 --to-collection kb": "./copied",
    'mteb.get_task("NFCorpus")': "task",
    # the explorer runs until it is stopped
    "trivec explore ./kb": "timeout --signal INT 20 trivec explore ./kb --port 0 || test $? = 124",
    "trivec eval --index ./kb --sample 100": "trivec eval --index ./kb --sample 2",
}
"""What stands for models, servers and long runs of the reader's."""

INDEX = """
from trivec import *
encoder = load_encoder("mini")
index = HybridIndex.open("./kb", encoder)
index.add([
    Chunk("The baobab fruit has three times the vitamin C of an orange.", source="baobab.md"),
    Chunk("Lactose intolerance makes the belly ache after milk.", id="milk.md#3", source="milk.md"),
    Chunk("Der Turm ist 324 Meter hoch.", id="tower", source="tower.md"),
])
"""
CLOSED = INDEX + "index.close()\n"
FILES = """
from pathlib import Path
for name in ("docs", "notes"):
    Path(name).mkdir()
Path("docs/device.txt").write_text("Hold the red button for ten seconds to reset the device.")
Path("notes/baobab.txt").write_text("猴面包树的果实富含钙。", encoding="utf-8")
"""
THEIRS = """
from qdrant_client import QdrantClient, models
client = QdrantClient(":memory:")
for name in ("theirs", "kb"):
    dense = models.VectorParams(size=384, distance=models.Distance.COSINE)
    client.create_collection(name, vectors_config={"dense": dense})
    vector = {"dense": next(encoder.encode_documents(["One text."])).dense.tolist()}
    payload = {"page_content": "One text.", "metadata": {}}
    client.upsert(name, [models.PointStruct(id=1, vector=vector, payload=payload)])
"""
RAG = """
from trivec.rewriting import *
documents = []
class chat:
    chat = staticmethod(lambda messages, **_: None)
"""
ASKED = """
from pathlib import Path
rows = [f"what is number {at}?,This is the number {at}.,book {at}" for at in range(8)]
Path("asked.csv").write_text("\\n".join(["question,passage,document", *rows]))
"""
SCENES = {
    "adopting-collections": INDEX + THEIRS,
    "answering": CLOSED,
    "cli": FILES,
    "evaluation": ASKED + CLOSED,
    "explorer": CLOSED,
    "files": FILES + INDEX,
    "fusion": INDEX,
    "onnx": FILES + "Path('my-texts.txt').write_text('One text.')\n",
    "questions": CLOSED,
    "rewriting": INDEX,
    "sync": FILES + INDEX + "index.close()\n",
    "tenants": "from trivec import *\nencoder = load_encoder('mini')\n",
    "training-data": FILES,
}
"""By page: Python that runs before its blocks."""


def offline(code: str, base_url: str) -> str:
    """Return a block with models and servers of this machine."""
    for name, here in REPLACED.items():
        code = code.replace(name, here)
    return code.replace("http://localhost:8000/v1", base_url)


def reply(body: dict[str, Any]) -> str:
    """Answer as a chat model would: JSON where a schema asks for it, a citation elsewhere."""
    if "response_format" in body:
        questions = ["Which fruit has more vitamin C?"]
        return json.dumps({"questions": questions, "keywords": ["baobab"]})
    return "The baobab fruit has three times the vitamin C of an orange [1]."
