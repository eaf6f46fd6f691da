"""How long the explorer's page takes at 10,000 passages, with one browser and with two.

    python -m benchmarks.explorer [--passages 10000] [--rounds 200] [--model mini]

The page is asked over HTTP, as a browser asks. The passages' words are those of the sample's
paragraphs, drawn anew for each passage; their dense and sparse vectors are those of the paragraph
that the words are from, a little moved, so that 60 texts are encoded and not 10,000. Questions are
encoded as they come; none comes twice. On a busy machine read the time of the processor, of server
and browser together, beside the time that passed.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from trivec import Chunk, HybridIndex, load_encoder
from trivec.index import IndexConfig
from trivec.protocols import Encoder
from trivec.serving.explorer import serve_explorer
from trivec.types import Encoding

DATA = Path(__file__).parent / "data" / "xquad.en.json"
WORDS = 60


class Moved:
    """Gives a passage the vectors of the paragraph that its first word numbers, a little moved."""

    def __init__(self, encoder: Encoder, paragraphs: Sequence[str]) -> None:
        self._encoder = encoder
        self.info = encoder.info
        self._known = encoder.encode_documents(list(paragraphs), heads=("dense", "sparse"))
        self._random = np.random.default_rng(7)

    def encode_documents(self, texts: Sequence[str], **_options: Any) -> list[Encoding]:
        """Return the paragraphs' vectors."""
        return [self._near(self._known[int(text.split(maxsplit=1)[0])]) for text in texts]

    def encode_queries(self, texts: Sequence[str], **options: Any) -> list[Encoding]:
        """Encode questions."""
        return self._encoder.encode_queries(texts, **options)

    def decode_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the texts of tokens."""
        return self._encoder.decode_tokens(ids)

    def _near(self, encoding: Encoding) -> Encoding:
        dense = np.asarray(encoding.dense, dtype=np.float32)
        dense = dense + self._random.normal(scale=0.02, size=dense.shape).astype(np.float32)
        return replace(encoding, dense=dense / np.linalg.norm(dense))


Times = list[tuple[float, float]]
"""Seconds that passed, and of the processor, for each page."""


def _times(address: str, questions: Sequence[str], parameters: dict[str, str]) -> Times:
    taken = []
    with httpx.Client(base_url=address) as client:
        for question in questions:
            start, used = time.perf_counter(), time.process_time()
            answer = client.get("/", params={"q": question, **parameters})
            taken.append((time.perf_counter() - start, time.process_time() - used))
            answer.raise_for_status()
            if 'class="list ' not in answer.text:
                raise RuntimeError(answer.text)
    return taken


def _told(name: str, taken: Times) -> None:
    passed, used = 1000 * np.asarray(taken).T
    half, most = np.percentile(passed, [50, 95])
    cpu = np.percentile(used, [50, 95])
    print(
        f"{name:32} p50 {half:6.1f}, p95 {most:6.1f} ms; processor p50 {cpu[0]:6.1f}, "
        f"p95 {cpu[1]:6.1f} ms; {len(taken)} pages",
        flush=True,
    )


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--model", default="mini")
    given = parser.parse_args()
    articles = json.loads(DATA.read_text(encoding="utf-8"))["data"]
    paragraphs = [one for article in articles for one in article["paragraphs"]]
    questions = [asked["question"] for one in paragraphs for asked in one["qas"]]
    texts = [one["context"] for one in paragraphs[::4]]
    chance = random.Random(7)  # noqa: S311  # a sample, not a secret
    chance.shuffle(questions)
    encoder = Moved(load_encoder(given.model), texts)

    def chunk(number: int) -> Chunk:
        source = number % len(texts)
        words = texts[source].split()
        drawn = " ".join(chance.choices(words, k=WORDS))
        return Chunk(f"{source} {drawn}", id=str(number), source=f"{source}.md")

    with (
        tempfile.TemporaryDirectory() as folder,
        HybridIndex.open(Path(folder) / "kb", encoder, config=IndexConfig()) as index,
    ):
        index.add(map(chunk, range(given.passages)))
        index.optimize()
        address: list[str] = []
        serving = {"port": 0, "ready": address.append}
        threading.Thread(target=serve_explorer, args=(index,), kwargs=serving, daemon=True).start()
        while not address:
            time.sleep(0.01)
        _times(address[0], questions[:5], {})
        rest, count = questions[5:], given.rounds
        print(f"{index.count():,} passages, {given.model}")
        _told("a new question", _times(address[0], rest[:count], {}))
        _told("a switch, the same questions", _times(address[0], rest[:count], {"w.bm25": "2"}))
        explained = {"open": "17", "source": f"{17 % len(texts)}.md"}
        _told("with an explanation", _times(address[0], rest[: count // 4], explained))
        both: list[Times] = [[], []]

        def ask(number: int) -> None:
            mine = rest[count + number : 2 * count : 2]
            both[number] += _times(address[0], mine, {})

        browsers = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
        for one in browsers:
            one.start()
        for one in browsers:
            one.join()
        _told("two browsers, new questions", both[0] + both[1])


if __name__ == "__main__":
    main()
