"""What a chat model's server is asked for besides the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from trivec._runtime.checks import check_choice, check_least, check_number, shown
from trivec._runtime.typed import check_fields
from trivec.errors import InputError

__all__ = ["ChatOptions", "ParametersRefused", "SchemaForm", "SchemaRefused"]

SchemaForm: TypeAlias = Literal["json_schema", "json_object", "none"]
"""How a JSON schema is handed to the server; see :class:`ChatOptions`."""

SchemaRefused: TypeAlias = Literal["raise", "ask_without"]
"""What becomes of an answer whose schema the server refuses."""

ParametersRefused: TypeAlias = Literal["leave_out", "raise"]
"""What becomes of a parameter that the server refuses by name."""


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
    parameters_refused: ParametersRefused = "leave_out"
    schema_form: SchemaForm = "json_schema"
    schema_refused: SchemaRefused = "raise"
    stream_usage: bool = True
    thinks_first: bool | None = None
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("schema_form", self.schema_form, SchemaForm)
        check_choice("schema_refused", self.schema_refused, SchemaRefused)
        check_choice("parameters_refused", self.parameters_refused, ParametersRefused)
        check_number("temperature", self.temperature, or_none=True)
        check_least("max_tokens", self.max_tokens, 1, or_none=True)
        check_number("seed", self.seed, or_none=True)
        for name, allowed in (
            ("stream_usage", (True, False)),
            ("thinks_first", (True, False, None)),
        ):
            if getattr(self, name) not in allowed:
                raise InputError(f"{name}={shown(getattr(self, name))}; allowed: {allowed}")
        if not isinstance(self.extra_body, Mapping):
            raise InputError(f"extra_body={shown(self.extra_body)}; it must be a mapping of fields")
