"""What each page of docs/ takes for granted: an index, files, a chat model.

The names of real models and servers are replaced, so that nothing leaves this machine.
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["SCENES", "SKIPPED", "offline", "reply"]

SKIPPED = {
    "serve() {": "starts three vLLM servers on a GPU",
    "trivec --install-completion": "changes the settings of the reader's shell",
    "trivec finetune training --model mini": "minutes; test_training_road.py runs the same",
    "trivec finetune training --model BAAI": "eight processes of torchrun",
    "import mteb": "downloads a task; test_evaluation_mteb.py runs one of its own",
}
"""Blocks that do not run, by how they begin, with the reason; at most five."""

REPLACED = {
    "BAAI/bge-m3": "mini",
    "BAAI/bge-reranker-v2-m3": "mini",
    'url="http://localhost:6333"': 'location=":memory:"',
    "http://localhost:6333": ":memory:",
    "https://qdrant.example:6333 --to-collection kb": "./copied",
    "trivec prune tuned": "trivec prune mini",
    "trivec compare ./tuned mini": "trivec export mini tuned && trivec compare tuned mini",
    "some-id": "tower",
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
    Chunk("Lactose intolerance makes the belly ache after milk.", id="milk.md#3"),
    Chunk("Milk holds lactose.", id="milk-3"),
    Chunk("Bees make honey.", id="bees-1"),
    Chunk("Der Turm ist 324 Meter hoch.", id="tower", source="tower.md"),
])
"""
FILES = """
from pathlib import Path
for name in ("docs", "notes"):
    Path(name).mkdir(exist_ok=True)
Path("docs/device.txt").write_text("Hold the red button for ten seconds to reset the device.")
Path("notes/baobab.txt").write_text("猴面包树的果实富含钙。", encoding="utf-8")
"""
MANY = """
# many documents, so that they can be split
for at in range(12):
    text = f"Machine {at} holds {at + 3} litres. Its lamp is number {at * 7}."
    Path(f"docs/{at}.txt").write_text(text)
"""
THEIRS = """
from qdrant_client import QdrantClient, models
client = QdrantClient(":memory:")
for name in ("theirs", "kb"):
    dense = models.VectorParams(size=384, distance=models.Distance.COSINE)
    client.create_collection(name, vectors_config={"dense": dense})
    vector = {"dense": encoder.encode_documents(["One text."])[0].dense.tolist()}
    payload = {"page_content": "One text.", "metadata": {}}
    client.upsert(name, [models.PointStruct(id=1, vector=vector, payload=payload)])
"""
SAMPLES = """
Path("my-texts.txt").write_text("One text.\\nAnother text.")
from trivec.encoders import OnnxEncoder
"""
CHAT = """
chat = OpenAIChat.connect("qwen3")
"""
ASKED = """
from pathlib import Path
rows = [f"what is number {at}?,This is the number {at}.,book {at}" for at in range(48)]
Path("asked.csv").write_text("\\n".join(["question,passage,document", *rows]))
"""
COMPARED = """
for name in ("./new-index", "./old-index"):
    with HybridIndex.open(name, encoder) as compared:
        compared.add([Chunk(f"This is the number {at}.", source=f"book {at}") for at in range(48)])
"""
LANGCHAIN = """
from langchain_qdrant import QdrantVectorStore, RetrievalMode
from langchain_trivec import *
embedding = BGEM3Embeddings(encoder)
"""
REMOTE = """
from trivec import load_encoder
from trivec.encoders import *
key, urls = "secret", {"dense": "http://localhost:8001"}
local_encoder = load_encoder("mini")
"""
SCENES = {
    "adopting-collections": INDEX + THEIRS,
    "answering": INDEX + CHAT,
    "cli": FILES,
    "evaluation": ASKED + INDEX + COMPARED,
    "explorer": INDEX,
    "files": FILES + INDEX,
    "fusion": INDEX,
    "moving-from-langchain-qdrant": INDEX + THEIRS + LANGCHAIN,
    "moving-from-llama-index-qdrant": INDEX + THEIRS,
    "onnx": FILES + SAMPLES,
    "questions": INDEX + "questions = QuestionIndex.open(index)\n",
    "remote-encoders": REMOTE,
    "rewriting": INDEX,
    "sync": FILES + INDEX,
    "tenants": "from trivec import *\nencoder = load_encoder('mini')\n",
    "fine-tuning": FILES,
    "training-data": FILES + MANY,
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
        machine = re.search(r"Machine \d+", json.dumps(body))
        questions = [f"How much does {machine[0]} hold?" if machine else "Which fruit is it?"]
        return json.dumps({"questions": questions, "keywords": ["baobab"]})
    return "The baobab fruit has three times the vitamin C of an orange [1]."
