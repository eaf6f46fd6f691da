"""The contract suites against a running Qdrant: ``make test-server URL=... [GRPC_PORT=...]``.

The suites open ``QdrantClient(":memory:")``. With this plugin that is a client of the server: each
has a world of its own, whose collections bear a prefix that the tests do not see. All of a run are
removed after the test that made them, whether it failed or not, and once more in the end.
"""

from __future__ import annotations

import os
import re
import uuid
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from qdrant_client import AsyncQdrantClient, QdrantClient

from trivec.stores.server.versions import FEATURES, Version, parse_version, shown

URL, GRPC_PORT, API_KEY = "TRIVEC_TEST_SERVER", "TRIVEC_TEST_GRPC_PORT", "TRIVEC_TEST_API_KEY"
RUN = f"trivec-test-{uuid.uuid4().hex[:8]}"
ELSEWHERE = {"edge", "fake", "server-path"}
"""Parameters of tests that need no server."""

NEEDS = {
    "test_add_arm": "add_vector",
    "test_unfinished": "has_vector",
    "update_vectors": "update_filter",
}
"""What tests need of a server, by a part of their names."""


class World:
    """What one client in memory would hold: the collections with a prefix."""

    def __init__(self) -> None:
        self.prefix = f"{RUN}-{uuid.uuid4().hex[:8]}-"

    def named(self, collection: str) -> str:
        """Return the name that the server knows a collection by."""
        return collection if collection.startswith(RUN) else self.prefix + collection


def rewritten(path: str, world: World) -> str:
    """Return the path of a request in a world."""
    return re.sub(
        r"/collections/([^/?]+)", lambda match: f"/collections/{world.named(match[1])}", path
    )


def options() -> dict[str, Any]:
    """Return the arguments of a client of the server."""
    given = urlsplit(os.environ[URL])
    port = os.environ.get(GRPC_PORT)
    return {
        "url": os.environ[URL],
        "port": given.port or 6333,
        "prefer_grpc": bool(port),
        "grpc_port": int(port or 6334),
        "api_key": os.environ.get(API_KEY) or None,
        "timeout": 60,
        "check_compatibility": False,
    }


def in_a_world(initialise: Callable[..., None], *, asynchronous: bool) -> Callable[..., None]:
    """Return what makes a client in memory one of the server."""

    def opened(client: Any, location: str | None = None, **given: Any) -> None:
        if location != ":memory:":
            initialise(client, location, **given)
            return
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Api key is used with an insecure", UserWarning)
            initialise(client, **options())
        remote = client._client
        remote.collections = World()  # tests give a client what another one holds
        for upload in ("upload_points", "upload_collection"):  # they have clients of their own
            setattr(remote, upload, in_world(getattr(remote, upload), remote))
        add = remote.openapi_client.client.add_middleware
        add(awaited_path(remote) if asynchronous else path_of(remote))

    return opened


def in_world(upload: Callable[..., Any], remote: Any) -> Callable[..., Any]:
    def named(collection_name: str, *arguments: Any, **more: Any) -> Any:
        return upload(remote.collections.named(collection_name), *arguments, **more)

    return named


def path_of(remote: Any) -> Callable[..., Any]:
    def send(request: httpx.Request, following: Callable[..., Any]) -> Any:
        raw = rewritten(request.url.raw_path.decode(), remote.collections)
        request.url = request.url.copy_with(raw_path=raw.encode())
        return following(request)

    return send


def awaited_path(remote: Any) -> Callable[..., Any]:
    async def send(request: httpx.Request, following: Callable[..., Any]) -> Any:
        raw = rewritten(request.url.raw_path.decode(), remote.collections)
        request.url = request.url.copy_with(raw_path=raw.encode())
        return await following(request)

    return send


class Stub:
    """A stub of gRPC whose requests name the collections of a world."""

    def __init__(self, stub: Any, world: World) -> None:
        self._stub, self._world = stub, world

    def __getattr__(self, method: str) -> Callable[..., Any]:
        call = getattr(self._stub, method)

        def named(request: Any, **more: Any) -> Any:
            for part in (request, *getattr(request, "query_points", ())):
                part.collection_name = self._world.named(part.collection_name)
            return call(request, **more)

        return named


def stub_in_world(stub: property) -> property:
    def get(remote: Any) -> Any:
        world = getattr(remote, "collections", None)
        return stub.fget(remote) if world is None else Stub(stub.fget(remote), world)

    return property(get)


def server_version(asking: Callable[..., Any] = httpx.get) -> Version | None:
    """Read the version of the server."""
    headers = {"api-key": os.environ[API_KEY]} if os.environ.get(API_KEY) else {}
    return parse_version(asking(os.environ[URL], headers=headers, timeout=10).json()["version"])


def needed(name: str) -> str | None:
    """Return the feature that a test needs, by its name."""
    return next((feature for part, feature in NEEDS.items() if part in name), None)


def remove(prefix: str) -> list[str]:
    """Remove the collections of a prefix; return their names."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Api key is used with an insecure", UserWarning)
        client = QdrantClient(**{**options(), "prefer_grpc": False})
    try:
        names = [one.name for one in client.get_collections().collections]
        doomed = [name for name in names if name.startswith(prefix)]
        for name in doomed:
            client.delete_collection(name)
    finally:
        client.close()
    return doomed


def pytest_report_header() -> str:
    """Say what is tested."""
    version = server_version()
    kind = "gRPC" if os.environ.get(GRPC_PORT) else "REST"
    return f"Qdrant {shown(version) if version else '?'} at {os.environ[URL]}, by {kind}"


def pytest_configure() -> None:
    """Make clients in memory clients of the server."""
    from qdrant_client.async_qdrant_remote import AsyncQdrantRemote
    from qdrant_client.qdrant_remote import QdrantRemote

    for client, remote, asynchronous in (
        (QdrantClient, QdrantRemote, False),
        (AsyncQdrantClient, AsyncQdrantRemote, True),
    ):
        client.__init__ = in_a_world(client.__init__, asynchronous=asynchronous)
        for stub in ("grpc_points", "grpc_collections"):
            setattr(remote, stub, stub_in_world(getattr(remote, stub)))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs no server; skip what it is too old for, with the reason."""
    version = server_version()
    elsewhere = [item for item in items if is_elsewhere(item)]
    config.hook.pytest_deselected(items=elsewhere)
    items[:] = [item for item in items if not is_elsewhere(item)]
    host = urlsplit(os.environ[URL]).hostname or ""
    for item in items:
        item.add_marker(pytest.mark.allow_hosts([host, "127.0.0.1", "::1"]))
        feature = needed(item.nodeid)
        if feature and version is not None and version < FEATURES[feature].since:
            since = shown(FEATURES[feature].since)
            reason = f"Qdrant {shown(version)}; {FEATURES[feature].what} came with {since}"
            item.add_marker(pytest.mark.skip(reason=reason))


def is_elsewhere(item: pytest.Item) -> bool:
    """Say whether a test is about another kind of store."""
    spec = getattr(item, "callspec", None)
    return spec is not None and bool(
        ELSEWHERE & set(map(str, spec.id.split("-"))) or "server-path" in spec.id
    )


@pytest.fixture(autouse=True)
def _removed() -> Iterator[None]:
    """Remove what a test has made."""
    yield
    remove(RUN)


def pytest_sessionfinish() -> None:
    """Remove what an interrupted test has left."""
    remove(RUN)
