"""Replies of a chat model that were recorded, so that its part of a benchmark runs without it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trivec import ModelError
from trivec.protocols import ChatModel
from trivec.rewriting.prompts import KEYWORD_PROMPT_VERSION
from trivec.types import ChatReply

__all__ = ["RecordedChat", "Recording"]


class Recording:
    """A file of replies by mode and question.

    Raises:
        SystemExit: it was recorded with other prompts, or is not there and not to be made.
    """

    def __init__(self, path: Path, *, make: bool = False) -> None:
        self._path = path
        self._make = make
        if not path.is_file() and not make:
            raise SystemExit(f"{path} is not there; record it with --record URL")
        told = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        self.model: str = told.get("model", "")
        self._replies: dict[str, dict[str, str]] = told.get("replies", {})
        if told.get("prompt_version", KEYWORD_PROMPT_VERSION) != KEYWORD_PROMPT_VERSION:
            raise SystemExit(f"{path} answers other prompts than today's; record it with --record")

    def of(self, mode: str) -> dict[str, str]:
        """Return the replies of one mode; what is added to them is saved by :meth:`save`."""
        return self._replies.setdefault(mode, {})

    def save(self, model: str) -> None:
        """Write the file, one reply a line."""
        told = {
            "model": model,
            "prompt_version": KEYWORD_PROMPT_VERSION,
            "replies": self._replies,
        }
        text = json.dumps(told, ensure_ascii=False, indent=0)
        self._path.write_text(text + "\n", encoding="utf-8")


class RecordedChat:
    """A chat model that says what it said before; asked anew, where one is given to ask.

    Args:
        replies: by question.
        live: is asked what has no reply yet; its replies are added.
    """

    def __init__(self, replies: dict[str, str], live: ChatModel | None = None) -> None:
        self._replies = replies
        self._live = live

    def chat(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> ChatReply:
        question = messages[-1]["content"].partition("\n<terms>")[0]
        if question not in self._replies:
            if self._live is None:
                raise ModelError("the question has no recorded reply; record with --record URL")
            self._replies[question] = self._live.chat(messages, schema=schema).text
        return ChatReply(self._replies[question])

    def stream(self, messages: Sequence[Mapping[str, str]]) -> Any:
        yield self.chat(messages)
