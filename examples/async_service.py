"""Many users at a time: one index, questions that are awaited together.

Needs: pip install 'trivec[mini]'
Run:   python examples/async_service.py
"""

from __future__ import annotations

import asyncio

from trivec import AsyncHybridIndex, Chunk, HybridIndex, load_encoder

PASSAGES = {
    "tank": "The tank holds 1.8 litres of water.",
    "warranty": "The warranty is two years from the day of purchase.",
    "filter": "滤网每周清洗一次。",
}


async def answer(index: AsyncHybridIndex, question: str) -> str:
    """Handle one request, as the function behind a web route would."""
    hits = await index.search(question, k=1)
    return hits[0].id


async def serve(index: AsyncHybridIndex, questions: list[str]) -> list[str]:
    """Add the passages and handle all requests; the event loop stays free meanwhile."""
    await index.add([Chunk(text, id=name) for name, text in PASSAGES.items()])
    async with asyncio.timeout(60):
        return await asyncio.gather(*(answer(index, question) for question in questions))


def main() -> None:
    """Open the index once, at the start of the service, and close it at the end."""
    questions = [
        "How much water does the tank hold?",
        "How long is the warranty?",
        "滤网多久清洗？",
    ]
    # on a server: HybridIndex.open(client, ...) and AsyncServerStore(async_client, ...)
    with HybridIndex.open("./service-kb", load_encoder("mini")) as index:
        print(asyncio.run(serve(AsyncHybridIndex(index), questions)))


if __name__ == "__main__":
    main()
