"""Chat models: one behind the OpenAI protocol, what is said to it, and what its replies mean."""

from __future__ import annotations

from trivec.chat.openai import ChatOptions, OpenAIChat, SchemaForm, SchemaRefused, response_format
from trivec.chat.prompts import Language, answer_messages

__all__ = [
    "ChatOptions",
    "Language",
    "OpenAIChat",
    "SchemaForm",
    "SchemaRefused",
    "answer_messages",
    "response_format",
]
