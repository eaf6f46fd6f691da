"""Eight processes that open the same new collection at once: one makes it, all use it."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from tests.qdrant_server import LoopbackQdrant, fine

PROCESSES = 8

PROGRAM = """
import asyncio, sys
from qdrant_client import AsyncQdrantClient, QdrantClient
from trivec import AsyncHybridIndex, Chunk, HybridIndex, IndexConfig
from trivec.testing import FakeEncoder

number, port, tenant = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] or None
place = {"host": "127.0.0.1", "port": port, "https": False, "timeout": 120}
place["check_compatibility"] = False
options = {
    "collection": "kb",
    "config": IndexConfig(payload_indexes={"year": "integer"}),
    "tenant": tenant,
}
chunk = Chunk(f"passage {number}", id=str(number))

async def awaited():
    client = AsyncQdrantClient(**place)
    async with await AsyncHybridIndex.open(client, FakeEncoder(), **options) as index:
        report = await index.add([chunk])
    await client.close()
    return report

if number % 2:
    client = QdrantClient(**place)
    with HybridIndex.open(client, FakeEncoder(), **options) as index:
        report = index.add([chunk])
    client.close()
else:
    report = asyncio.run(awaited())
assert report.added == 1, report
"""


@pytest.mark.parametrize("tenant", ["", "acme"])
def test_all_use_what_one_has_made(tenant):
    qdrant = LoopbackQdrant()
    together = threading.Barrier(PROCESSES, timeout=120)
    asked = iter(range(2 * PROCESSES))  # each looks twice before it makes one

    def ask_together(_method, path, _body):
        if path.endswith("/kb/exists") and next(asked, None) is not None:
            together.wait()
            return fine({"exists": False})
        return None

    qdrant.rules.append(ask_together)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(number), str(qdrant.port), tenant],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    said = [process.communicate(timeout=180)[1] for process in started]
    qdrant.close()
    assert [process.returncode for process in started] == [0] * PROCESSES, said
    collection = qdrant.collections["kb"]
    assert len(collection["points"]) == PROCESSES
    assert collection["indexes"]["metadata.year"] == "integer"
    created = qdrant.sent("PUT", "/collections/kb")
    assert len(created) == PROCESSES  # all but the first were answered 409
    tenants = collection["metadata"]["trivec"]["tenant_key"]
    assert tenants == ("trivec.tenant" if tenant else None)
