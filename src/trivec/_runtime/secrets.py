"""Keys of servers: held so that nothing shows them, and taken out of what servers say."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from trivec.protocols import Secret

__all__ = ["Key", "original", "quoted", "server_words", "warn_of_plain_http"]

logger = logging.getLogger(__name__)

LONGEST_MESSAGE = 200
"""Characters of a server's own words that are passed on."""

REPEATED = 24
"""Characters of a text that, found in a server's words, keep them out of the error."""

SHORTEST_REPEATED = 8
"""Characters of a text; a shorter one stands in words by chance."""

SHORTEST_KEY = 8
"""Characters; what is shorter is a placeholder for servers without keys."""

_LIKE_A_KEY = re.compile(
    r"\b(?:sk|pk|key|api[-_]?key|token|bearer|authorization)\b['\"]?[-_:= ]{1,4}(?:bearer )?"
    r"['\"]?[\w*.+/=-]{6,200}",
    re.IGNORECASE,
)


class Key:
    """A key that is in no ``repr``, and asked for at every use.

    Args:
        given: the key, what holds it, or None where there is none.
    """

    __slots__ = ("_given",)

    def __init__(self, given: str | Secret | None) -> None:
        self._given = given

    def reveal(self) -> str | None:
        """Return the key; None where there is none."""
        given = self._given
        return (
            given if given is None or isinstance(given, str) else given.get_secret_value()
        ) or None

    def removed_from(self, text: str) -> str:
        """Return a text without this key, and without what looks like another."""
        key = self.reveal()
        if key and len(key) >= SHORTEST_KEY:
            text = text.replace(key, "***")
        return _LIKE_A_KEY.sub("***", text)

    def __repr__(self) -> str:
        return "Key(***)"


def quoted(message: str, longest: int = LONGEST_MESSAGE) -> str:
    """Return the beginning of a message in one line, without what looks like a key."""
    return _LIKE_A_KEY.sub("***", " ".join(message.split()))[:longest]


def server_words(body: object, key: Key, texts: Sequence[str] = ()) -> str:
    """Return the beginning of a server's own words about an error, fit to be shown.

    Args:
        body: the JSON that it answered with, in any of the usual forms.
        key: which must not be repeated.
        texts: what was sent; words that repeat one of them are left out.
    """
    words = " ".join(" ".join(_messages(body)).split())
    if not words:
        return "it does not say why"
    if any(
        text[:REPEATED] in words
        for text in map(_on_one_line, texts)
        if len(text) >= SHORTEST_REPEATED
    ):
        return "(its words repeat the text and are left out)"
    return key.removed_from(words[: 10 * LONGEST_MESSAGE])[:LONGEST_MESSAGE]


def original(error: BaseException) -> Exception:
    """Return what an error was, without what it held: requests with their keys, answers, frames.

    It takes the error's place as the cause of another.
    """
    status = getattr(error, "status_code", None)
    status = status or getattr(getattr(error, "response", None), "status_code", None)
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    return RuntimeError(f"{name}, status {status}" if isinstance(status, int) else name)


def warn_of_plain_http(url: str, key: Key) -> None:
    """Log a warning where a key is to be sent unencrypted to another machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_here = host in ("localhost", "::1") or host.startswith("127.") or host.endswith(".localhost")
    if parts.scheme.lower() != "http" or is_here or len(key.reveal() or "") < SHORTEST_KEY:
        return
    logger.warning(
        "the API key is sent to %s over plain http, where anyone on the way can read it; use https",
        host,
    )


def _on_one_line(text: str) -> str:
    return " ".join(text[: 4 * REPEATED].split())


_WORDS_IN = (
    *("error", "message", "detail", "msg", "error_msg", "errormessage", "error_message"),
    *("error_description", "errors", "description", "reason", "title", "base_resp", "status_msg"),
)


def _messages(body: Any, depth: int = 0) -> list[str]:
    """Return the words in a body: OpenAI's, FastAPI's, Gemini's, OpenRouter's, vLLM's.

    The names are compared without case: AWS writes ``Message``.
    """
    if isinstance(body, str):
        return [body]
    if depth > 3:
        return []
    if isinstance(body, Sequence):
        return [word for item in body[:3] for word in _messages(item, depth + 1)]
    if not isinstance(body, Mapping):
        return []
    held = {str(name).lower(): value for name, value in body.items()}
    for name in _WORDS_IN:
        if words := _messages(held.get(name), depth + 1):
            place = body.get("loc")
            where = [".".join(map(str, place))] if isinstance(place, list) else []
            metadata = body.get("metadata")
            raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
            return [*where, *words, *([raw] if isinstance(raw, str) else [])]
    return []
