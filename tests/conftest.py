"""What holds for every test: no network beyond this machine, and none at all in unit tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# a first example imports what is lazy, and machines differ: tests measure no time
settings.register_profile("trivec", deadline=None)
settings.load_profile("trivec")

_UNIT = Path(__file__).parent / "unit"
_LOOPBACK = ["127.0.0.1", "::1"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the items for pytest-socket; a test's own mark wins."""
    for item in items:
        if any(item.get_closest_marker(name) for name in ("enable_socket", "allow_hosts")):
            continue
        if _UNIT in item.path.parents:
            item.add_marker(pytest.mark.disable_socket)
        else:
            item.add_marker(pytest.mark.allow_hosts(_LOOPBACK))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).parent.parent


@pytest.fixture(scope="session")
def tiny_m3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model in the BGE-M3 format; not to be changed."""
    pytest.importorskip("FlagEmbedding")
    from trivec.testing import build_tiny_m3

    return build_tiny_m3(tmp_path_factory.mktemp("tiny_m3"))


@pytest.fixture(scope="session")
def tiny_reranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random cross-encoder in bge-reranker's format; not to be changed."""
    pytest.importorskip("FlagEmbedding")
    from trivec.testing import build_tiny_reranker

    return build_tiny_reranker(tmp_path_factory.mktemp("tiny_reranker"))
