"""Chat models: one behind the OpenAI protocol, what is said to it, and what its replies mean."""

from __future__ import annotations

from trivec.chat.openai import ChatOptions, OpenAIChat, SchemaForm, SchemaRefused, response_format
from trivec.chat.prompts import (
    INSTRUCTIONS,
    Language,
    answer_messages,
    passages_block,
    quoted_question,
)

__all__ = [
    "INSTRUCTIONS",
    "ChatOptions",
    "Language",
    "OpenAIChat",
    "SchemaForm",
    "SchemaRefused",
    "answer_messages",
    "passages_block",
    "quoted_question",
    "response_format",
]
