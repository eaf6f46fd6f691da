"""The language model that a command talks to, as the command line names it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import typer

from trivec.cli.arguments import ChatArguments

if TYPE_CHECKING:
    from trivec.chat.openai import OpenAIChat

__all__ = ["NO_MODEL", "connected"]

CONNECTION = ("timeout", "max_retries")
"""Options of the connection, besides those of ``ChatOptions``."""

NO_MODEL = (
    "no language model is named; give --chat-model NAME for one behind the OpenAI protocol (with "
    "--base-url URL unless it is OpenAI's, and its key in OPENAI_API_KEY), or {otherwise}"
)


def connected(model: str, arguments: ChatArguments) -> OpenAIChat:
    """Return the chat model; nothing is sent yet. The key is read from ``OPENAI_API_KEY``.

    Args:
        model: what its server calls it.
        arguments: where that is, and ``KEY=VALUE`` each: the fields of ``ChatOptions``,
            ``timeout`` and ``max_retries``.

    Raises:
        typer.BadParameter: an option that there is none of, or a value of the wrong type.
    """
    from trivec.chat.openai import ChatOptions, OpenAIChat
    from trivec.errors import InputError

    known = [*(field.name for field in fields(ChatOptions)), *CONNECTION]
    options = dict(_parsed(given, known) for given in arguments.chat_option or ())
    connection = {name: options.pop(name) for name in CONNECTION if name in options}
    for name, value in connection.items():
        if not isinstance(value, int | float) or value < 0:
            raise typer.BadParameter(f"--chat-option {name}={value}: it must be a number")
    try:
        chosen = ChatOptions(**options)
    except InputError as err:
        raise typer.BadParameter(f"--chat-option: {err}") from err
    return OpenAIChat.connect(model, base_url=arguments.base_url, options=chosen, **connection)


def _parsed(given: str, known: Sequence[str]) -> tuple[str, Any]:
    """Return the name and value of one ``KEY=VALUE``; a value that is not JSON is a text."""
    name, equals, value = given.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or name not in known:
        raise typer.BadParameter(
            f"--chat-option {given!r} is not KEY=VALUE with a KEY of: {', '.join(known)}"
        )
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value.strip()
