"""Who may ask: this machine's own browser, by this page's own address, and only to read.

A page of another site can let its name lead to 127.0.0.1 and then read whatever answers there (DNS
rebinding). Such a request has that name as its host. It can also embed addresses here without
reading the answer: browsers say so in ``Origin`` or ``Sec-Fetch-Site``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

__all__ = ["HEADERS", "Guard", "is_from_here"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

LOCAL = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every response, refusals included."""


class Guard:
    """Refuses what does not come from this page, and puts the headers on what is answered."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                others = [one for one in message["headers"] if one[0].decode() not in HEADERS]
                message = {**message, "headers": [*others, *own]}
            await send(message)

        refusal = _refusal(scope)
        if refusal is None:
            await self._app(scope, receive, sending)
            return
        status, reason = refusal
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        headers += [(b"allow", b"GET")] if status == 405 else []
        await sending({"type": "http.response.start", "status": status, "headers": headers})
        await sending({"type": "http.response.body", "body": reason.encode()})


def _refusal(scope: Scope) -> tuple[int, str] | None:
    """Return the status and the reason of a refusal; None where the request is welcome."""
    hosts = _header(scope, b"host")
    if len(hosts) != 1 or not LOCAL.fullmatch(hosts[0]):
        return 403, "this page answers to 127.0.0.1 and localhost alone"
    if any(origin != f"http://{hosts[0]}" for origin in _header(scope, b"origin")):
        return 403, "another site asks; this page answers its own address alone"
    if not is_from_here(scope) and not _is_navigation(scope):
        return 403, "another site asks; this page answers its own address alone"
    if scope["method"] != "GET":
        return 405, "this page can only be read"
    return None


def is_from_here(scope: Scope) -> bool:
    """Say whether a request is from this page or by hand, as far as the browser tells."""
    sites = _header(scope, b"sec-fetch-site")
    return all(site in {"same-origin", "none"} for site in sites)


def _is_navigation(scope: Scope) -> bool:
    """Say whether somebody followed a link to this page."""
    mode, target = _header(scope, b"sec-fetch-mode"), _header(scope, b"sec-fetch-dest")
    return mode == ["navigate"] and target == ["document"]


def _header(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]
