"""A request that is built without httpx's merging is the one that httpx would have built."""

import httpx
import pytest
from qdrant_client import AsyncQdrantClient, QdrantClient

from trivec.stores.server.wire.building import built_request

BODY = b'{"searches":[]}'
PATH = "collections/a%20b/points/query/batch"


def client(kind, **options):
    given = {
        "url": "https://example.org:7000/under",
        "api_key": "key",
        "check_compatibility": False,
    }
    return kind(**given, **options)


def parts(request):
    return (
        request.method,
        str(request.url),
        sorted((name.lower(), value) for name, value in request.headers.raw),
        request.content,
        request.extensions,
    )


@pytest.mark.parametrize("kind", [QdrantClient, AsyncQdrantClient])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"timeout": 7},
        {"headers": {"x-team": "search"}},
        {"headers": {"Content-Type": "application/json; charset=utf-8"}},
        {"cookies": {"affinity": "3"}},
        {"params": {"tenant": "a"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("seconds", [None, 60])
def test_request_is_the_one_that_httpx_builds(kind, options, seconds):
    api = client(kind, **options).http.client
    http = vars(api).get("_client") or vars(api)["_async_client"]
    timeout = {} if seconds is None else {"timeout": seconds}

    built = built_request(api, "POST", PATH, BODY, seconds)

    expected = http.build_request(
        "POST",
        f"https://example.org:7000/under/{PATH}",
        content=BODY,
        headers={"Content-Type": "application/json"},
        **timeout,
    )
    assert parts(built) == parts(expected)
    assert built.headers["api-key"] == "key"


def test_cookie_that_a_server_sets_goes_with_the_next_request():
    api = client(QdrantClient).http.client
    built_request(api, "POST", PATH, BODY, None)

    vars(api)["_client"].cookies.set("affinity", "5")

    assert built_request(api, "POST", PATH, BODY, None).headers["cookie"] == "affinity=5"


def test_header_that_is_changed_later_counts():
    api = client(QdrantClient).http.client
    built_request(api, "POST", PATH, BODY, None)

    vars(api)["_client"].headers["api-key"] = "other"

    assert built_request(api, "POST", PATH, BODY, None).headers["api-key"] == "other"


def test_addresses_are_kept_apart():
    api = client(QdrantClient).http.client

    first = built_request(api, "POST", PATH, BODY, None)
    second = built_request(api, "PUT", "collections/c/points?wait=true&timeout=3", BODY, 3)

    assert first.url != second.url
    assert second.url == httpx.URL(
        "https://example.org:7000/under/collections/c/points?wait=true&timeout=3"
    )
