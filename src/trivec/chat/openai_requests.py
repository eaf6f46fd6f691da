"""Requests to an OpenAI-compatible server, and what is changed of them where it refuses a part."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from trivec._runtime.secrets import Key, server_words
from trivec._runtime.typed import checked
from trivec.chat.openai_errors import Failures
from trivec.chat.openai_options import ChatOptions
from trivec.errors import TrivecError

__all__ = ["Asking", "Requests", "response_format"]

logger = logging.getLogger("trivec.chat.openai")

REFUSED = (400, 422)
LEFT_OUT = ("temperature", "max_tokens", "max_completion_tokens", "stream_options", "seed")
"""Parameters that a server may refuse by their name."""

_REFUSING = re.compile(
    r"unsupported|not support|support(?:s|ed)? only|only (?:the )?default|unknown|unrecogni[sz]ed"
    r"|unexpected|not permitted|not allowed|extra (?:inputs|fields)|deprecated"
    r"|max_completion_tokens|invalid (?:parameter|option)|not (?:a )?supported|extraneous"
    r"|not accept|no longer|cannot (?:both )?be|(?:may|must|can) only be"
    r"|only \d(?:\.\d)? is|strictly positive"
    r"|不支持|未知参数|非法|サポートされて|지원(?:하지|되지)",
    re.IGNORECASE,
)
_ABOUT_FORMAT = re.compile(
    r"response_format|json_schema|json_object|schema|structured", re.IGNORECASE
)


@checked
def response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``response_format`` that asks for a JSON schema, as OpenAI defines it."""
    named = {"name": "reply", "schema": dict(schema), "strict": True}
    return {"type": "json_schema", "json_schema": named}


class Requests:
    """Makes requests, and remembers what the server refuses.

    Args:
        model: what the server calls the model.
        options: what is asked for.
    """

    def __init__(self, model: str, options: ChatOptions) -> None:
        self._model = model
        self._options = options
        self._refused: frozenset[str] = frozenset()
        self._forms_refused = 0

    def whole(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Return the request for a whole answer."""
        forms = [] if schema is None else self._forms(schema)[self._forms_refused :]
        asked = {} if not forms else {"response_format": forms[0]}
        return self._request(messages) | asked

    def streamed(self, messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """Return the request for a streamed answer."""
        counts = self._options.stream_usage and "stream_options" not in self._refused
        usage = {"stream_options": {"include_usage": True}} if counts else {}
        return {**self._request(messages), "stream": True, **usage}

    def changed(self, request: Mapping[str, Any], error: Exception) -> dict[str, Any] | None:
        """Return a request without what the server refused of it; None where that is unknown."""
        if getattr(error, "status_code", None) not in REFUSED:
            return None
        body = getattr(error, "body", None)
        name = self._named(request, body)
        if name is not None:
            return self._without(request, name)
        if "response_format" in request and self._options.schema_refused == "ask_without":
            return self._in_another_form(request, body)
        return None

    def _named(self, request: Mapping[str, Any], body: Any) -> str | None:
        """Return the parameter that a server refuses by name."""
        if self._options.parameters_refused == "raise":
            return None
        words = server_words(body, Key(None))
        refusing = _REFUSING.search(words) is not None
        param = body.get("param") if isinstance(body, Mapping) else None
        code = str(body.get("code")) if isinstance(body, Mapping) else ""
        for name in LEFT_OUT:
            is_meant = param == name or re.search(rf"\b{name}\b", words) is not None
            if name in request and is_meant and (refusing or code.startswith("unsupported")):
                return name
        return None

    def _without(self, request: Mapping[str, Any], name: str) -> dict[str, Any]:
        self._refused |= {name}
        left = {key: value for key, value in request.items() if key != name}
        if name == "max_tokens":
            logger.warning("%s refuses max_tokens; asking with max_completion_tokens", self._model)
            return {**left, "max_completion_tokens": request[name]}
        logger.warning("%s refuses %s; asking without it", self._model, name)
        return left

    def _in_another_form(self, request: Mapping[str, Any], body: Any) -> dict[str, Any]:
        refused = request["response_format"]
        left = {key: value for key, value in request.items() if key != "response_format"}
        about_it = _ABOUT_FORMAT.search(server_words(body, Key(None))) is not None
        if refused == {"type": "json_object"}:
            logger.warning("%s refuses a JSON object; asking without one", self._model)
            self._forms_refused = max(self._forms_refused, 2 if about_it else 0)
            return left
        logger.warning("%s refuses a JSON schema; asking without one", self._model)
        self._forms_refused = max(self._forms_refused, 1 if about_it else 0)
        return {**left, "response_format": {"type": "json_object"}}

    def _forms(self, schema: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the forms that a schema can be asked for in, one after the other."""
        if self._options.schema_form == "none":
            return []
        plain = {"type": "json_object"}
        if self._options.schema_form == "json_object":
            return [{**plain, "schema": dict(schema)}, plain]
        return [response_format(schema), plain]

    def _request(self, messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        options = self._options
        limit = "max_completion_tokens" if "max_tokens" in self._refused else "max_tokens"
        given = {
            "temperature": options.temperature,
            limit: options.max_tokens,
            "seed": options.seed,
            "extra_body": dict(options.extra_body) or None,
        }
        return {
            "model": self._model,
            "messages": [dict(message) for message in messages],
            **{
                name: value
                for name, value in given.items()
                if value is not None and name not in self._refused
            },
        }


class Asking:
    """A request on its way: what is to be done when it fails.

    Args:
        request: what is sent; it changes where the server refuses a part of it.
        requests: makes them.
        failures: makes errors.
    """

    def __init__(self, request: dict[str, Any], requests: Requests, failures: Failures) -> None:
        self.request = request
        self.failures = failures
        self._requests = requests

    def failed(self, error: Exception) -> Exception | None:
        """Return what to raise, outside the ``except`` block; None to try the changed request."""
        if isinstance(error, TrivecError):
            return error
        changed = self._requests.changed(self.request, error)
        if changed is None:
            return self.failures.of(error, self.request)
        self.request = changed
        return None
