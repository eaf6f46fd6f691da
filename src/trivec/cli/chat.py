"""The language model that a command talks to, as the command line names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trivec.chat.openai import OpenAIChat

__all__ = ["BaseUrlOption", "ChatModelOption", "connected"]

ChatModelOption = Annotated[
    str | None, typer.Option(help="The language model, as its server calls it.")
]
BaseUrlOption = Annotated[
    str | None, typer.Option(help="Its server, with /v1. Default: OPENAI_BASE_URL, else OpenAI.")
]


def connected(model: str, base_url: str | None) -> OpenAIChat:
    """Return the chat model; nothing is sent yet. The key is read from ``OPENAI_API_KEY``."""
    from trivec.chat.openai import OpenAIChat

    return OpenAIChat.connect(model, base_url=base_url)
