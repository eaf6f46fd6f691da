"""Take over a collection that is there already, add BM25 to it, and rerank what it finds.

Needs: pip install 'trivec[mini,server]', and a Qdrant server; without an address it runs in memory
Run:   python examples/qdrant_server.py [http://localhost:6333]
"""

from __future__ import annotations

import sys

from qdrant_client import QdrantClient, models

from trivec import HybridIndex, load_encoder, load_reranker
from trivec.protocols import Encoder
from trivec.rerankers import rank

TEXTS = [
    "Descale the machine every three months.",
    "Clean the filter of the machine every week.",
    "The warranty of the machine is two years.",
]


def write_as_langchain_does(client: QdrantClient, encoder: Encoder, collection: str) -> None:
    """Stand for the program that wrote the collection: dense vectors only."""
    dense = models.VectorParams(size=encoder.info.dense_dim, distance=models.Distance.COSINE)
    client.create_collection(collection, vectors_config=dense)
    points = [
        models.PointStruct(
            id=number,
            vector=encoding.dense.tolist(),
            payload={"page_content": text, "metadata": {}},
        )
        for number, (text, encoding) in enumerate(
            zip(TEXTS, encoder.encode_documents(TEXTS), strict=True)
        )
    ]
    client.upsert(collection, points)


def main(url: str = ":memory:") -> None:
    """Adopt, add an arm, search, rerank."""
    encoder, reranker = load_encoder("mini"), load_reranker("mini")
    client = QdrantClient(url)
    write_as_langchain_does(client, encoder, "manual")
    index = HybridIndex.open(client, encoder, collection="manual", adopt=True)
    index.add_arm("bm25")  # from the stored text, in place
    question = "How often should I clean the filter?"
    hits = index.search(question, k=3)
    for ranked in rank(reranker, question, [hit.text for hit in hits]):
        print(f"{ranked.score:.3f} {hits[ranked.position].text}")
    index.close()
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:2])
