"""qdrant-client's own engine is written, filtered and searched."""

from qdrant_client import QdrantClient

from trivec import Chunk, HybridIndex
from trivec.testing import FakeEncoder

index = HybridIndex.open(QdrantClient(":memory:"), FakeEncoder(), collection="kb")
index.add([Chunk("a river", id="1", metadata={"year": 2020}), Chunk("a hill", id="2")])
assert [hit.id for hit in index.search("river", filter={"year": {"gte": 2020}})] == ["1"]
