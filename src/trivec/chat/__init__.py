"""Chat models: one behind the OpenAI protocol, what is said to it, and what its replies mean."""

from __future__ import annotations

from trivec.chat.listening import Listener, ending_of, reply_of, said, text_of
from trivec.chat.openai import (
    ChatOptions,
    OpenAIChat,
    ParametersRefused,
    SchemaForm,
    SchemaRefused,
    response_format,
)
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
    "Listener",
    "OpenAIChat",
    "ParametersRefused",
    "SchemaForm",
    "SchemaRefused",
    "answer_messages",
    "ending_of",
    "passages_block",
    "quoted_question",
    "reply_of",
    "response_format",
    "said",
    "text_of",
]
