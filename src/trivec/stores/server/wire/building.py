"""Requests of a client's own HTTP client, built without merging what is the same each time."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from trivec._runtime.unpacking import library_of

__all__ = ["built_request"]

_JSON = (b"Content-Type", b"application/json")


def built_request(api: Any, method: str, path: str, body: bytes, seconds: int | None) -> Any:
    """Return a request with a client's headers, cookies and timeout.

    Args:
        api: qdrant-client's own, synchronous or asynchronous.
        method: of HTTP.
        path: after the host's; quoted.
        body: JSON.
        seconds: that the server has for it; None: as the client was built.
    """
    http = vars(api).get("_client") or vars(api)["_async_client"]  # there is no public way
    address = f"{api.host.rstrip('/')}/{path}"
    if len(http.cookies) or len(http.params) or "content-type" in http.headers:
        timeout = {} if seconds is None else {"timeout": seconds}
        headers = {"Content-Type": "application/json"}
        return http.build_request(method, address, content=body, headers=headers, **timeout)
    httpx = library_of(http)
    timeout = http.timeout if seconds is None else httpx.Timeout(seconds)
    return httpx.Request(
        method,
        _address(httpx, address),
        headers=httpx.Headers([*http.headers.raw, _JSON]),
        content=body,
        extensions={"timeout": timeout.as_dict()},
    )


@lru_cache(maxsize=256)
def _address(httpx: Any, address: str) -> Any:
    return httpx.URL(address)
