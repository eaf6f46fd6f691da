"""What a chat model's server is asked for besides the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from trivec._runtime.checks import check_choice
from trivec.errors import InputError

__all__ = ["ChatOptions", "SchemaForm"]

SchemaForm: TypeAlias = Literal["json_schema", "json_object", "none"]
"""How a JSON schema is handed to the server; see :class:`ChatOptions`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """What a server is asked for besides the answer.

    Attributes:
        temperature: 0 for the likeliest answer; None leaves it to the server.
        max_tokens: where an answer is cut off; None leaves it to the server.
        seed: for servers that can repeat an answer.
        parameters_refused: what becomes of ``temperature``, ``max_tokens``, ``seed`` and
            ``stream_options`` that a server refuses by name, as those of reasoning models do:
            ``leave_out`` asks again without it (with ``max_completion_tokens`` for
            ``max_tokens``), from then on always, and logs a warning; ``raise``.
        schema_form: how a JSON schema is asked for. ``json_schema``: OpenAI's structured outputs,
            which vLLM, llama.cpp and Ollama take too; ``json_object``: ``{"type": "json_object",
            "schema": ...}``, as the server of llama-cpp-python wants it; ``none``: never.
        schema_refused: what becomes of an answer whose schema the server refuses with status 400
            or 422: ``raise``, or ``ask_without`` asks for a JSON object without a schema, then for
            any text, and logs a warning.
        stream_usage: ask for token counts at the end of a stream; False for servers that refuse it.
        thinks_first: True where the model's chat template opens its thought, so that replies hold
            only the closing tag: streams show nothing before that. None: where the model's name or
            an earlier reply says so, and where a reply begins as thoughts do.
        extra_body: fields that this server takes besides, sent as they are.

    Raises:
        InputError: a value that cannot be used.
    """

    temperature: float | None = 0.0
    max_tokens: int | None = None
    seed: int | None = None
    parameters_refused: Literal["leave_out", "raise"] = "leave_out"
    schema_form: SchemaForm = "json_schema"
    schema_refused: Literal["raise", "ask_without"] = "raise"
    stream_usage: bool = True
    thinks_first: bool | None = None
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choice("schema_form", self.schema_form, SchemaForm)
        check_choice("schema_refused", self.schema_refused, Literal["raise", "ask_without"])
        check_choice("parameters_refused", self.parameters_refused, Literal["leave_out", "raise"])
        for name in ("temperature", "max_tokens", "seed"):
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not is_number:
                raise InputError(f"{name}={value!r}; it must be a number or None")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise InputError(f"max_tokens={self.max_tokens}; it must be at least 1")
        for name, allowed in (
            ("stream_usage", (True, False)),
            ("thinks_first", (True, False, None)),
        ):
            if getattr(self, name) not in allowed:
                raise InputError(f"{name}={getattr(self, name)!r}; allowed: {allowed}")
        if not isinstance(self.extra_body, Mapping):
            raise InputError(f"extra_body={self.extra_body!r}; it must be a mapping of fields")
