"""``make test-server`` on a small server: what is run, skipped and removed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.served_grpc import over_grpc
from tests.served_qdrant import ServedQdrant

ROOT = Path(__file__).parents[2]

CASES = """
import pytest
from qdrant_client import AsyncQdrantClient, QdrantClient
from trivec import Chunk, HybridIndex
from trivec.testing import FakeEncoder

def filled():
    client = QdrantClient(":memory:")
    index = HybridIndex.open(client, FakeEncoder(), collection="kb")
    index.add([Chunk("one"), Chunk("two")])
    return index, client

def test_passes():
    index, client = filled()
    assert len(index.search("one")) == 2
    client.close()

def test_sees_nothing_of_others():
    client = QdrantClient(":memory:")
    assert not client.collection_exists("kb")
    client.close()

def test_fails():
    index, client = filled()
    client.close()
    assert index is None

@pytest.mark.parametrize("kind", ["edge", "server-memory"])
def test_place(kind):
    assert kind == "server-memory"

def test_add_arm():
    filled()[1].close()
"""


def run(
    served: ServedQdrant, *arguments: str, grpc_port: int | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "tests.server_plugin"),
            *("-p", "no:cacheprovider", "-rs", "--color=no", "-c", "pyproject.toml", *arguments),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "TRIVEC_TEST_SERVER": f"http://127.0.0.1:{served.port}",
            "TRIVEC_TEST_GRPC_PORT": str(grpc_port or ""),
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("version", "skipped"), [("1.20.0", 0), ("1.17.2", 1)])
def test_collections_are_removed_and_old_servers_excused(tmp_path, version, skipped):
    cases = tmp_path / "test_cases.py"
    cases.write_text(CASES, encoding="utf-8")
    with ServedQdrant(version=version) as served:
        served.local.create_collection("theirs", vectors_config={})
        ended = run(served, str(cases))
        left = [one.name for one in served.local.get_collections().collections]
    counts = f"1 failed, {4 - skipped} passed" + (f", {skipped} skipped" if skipped else "")
    assert f"{counts}, 1 deselected" in ended.stdout, ended.stdout + ended.stderr
    assert f"Qdrant {version} at http://127.0.0.1:" in ended.stdout
    assert left == ["theirs"]
    if skipped:
        assert "Qdrant 1.17.2; adding a vector to a collection came with 1.18" in ended.stdout


@pytest.mark.parametrize("protocol", ["REST", "gRPC"])
def test_a_contract_suite_passes(protocol):
    """The whole of them takes minutes; here are those that read and write by every road."""
    some = ("-k", "server and (fus or rescor or sparse or delete or vectors or payload)", "-q")
    with ServedQdrant() as served, over_grpc(served) as port:
        grpc_port = port if protocol == "gRPC" else None
        ended = run(served, "tests/contract/test_store.py", *some, grpc_port=grpc_port)
        left = served.local.get_collections().collections
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert left == []
