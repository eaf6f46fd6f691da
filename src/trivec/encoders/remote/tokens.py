"""Token ids of texts for a remote model: from a tokenizer file here, or from its server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from trivec._models.saved_tokenizer import SavedTokenizer
from trivec._models.tokenizing import encodable
from trivec._runtime.lazy import Lazy
from trivec.encoders.tokens import TextTokenizer, TokenizedText, cut
from trivec.errors import InputError, ModelError
from trivec.text import is_blank

__all__ = ["LocalTokens", "ServerTokens", "Tokens"]

KEPT = 65_536
"""Decoded tokens that are remembered."""


class Tokens(Protocol):
    """Turns texts into token ids and back."""

    def read(
        self, texts: Sequence[str], *, instruction: str, max_length: int
    ) -> list[TokenizedText]:
        """Tokenize texts behind an instruction, each cut to ``max_length`` tokens."""
        ...

    def decode(self, ids: Sequence[int]) -> list[str]:
        """Return the text of single tokens."""
        ...


class LocalTokens:
    """Reads the model's ``tokenizer.json``.

    Args:
        file: where it is; it is read at the first text.
        special_tokens: the ids of the special tokens by role.
    """

    def __init__(self, file: Path, special_tokens: Mapping[str, int]) -> None:
        self._file = file
        self._special_tokens = special_tokens
        self._tokenizer = Lazy(self._load)

    def _load(self) -> TextTokenizer:
        return TextTokenizer(SavedTokenizer(self._file, self._special_tokens, has_types=False))

    def read(
        self, texts: Sequence[str], *, instruction: str, max_length: int
    ) -> list[TokenizedText]:
        """Tokenize texts behind an instruction, each cut to ``max_length`` tokens."""
        return self._tokenizer().read(texts, instruction=instruction, max_length=max_length)

    def decode(self, ids: Sequence[int]) -> list[str]:
        """Return the text of single tokens.

        Raises:
            InputError: an id is not in the vocabulary.
        """
        return self._tokenizer().decode([int(token) for token in ids])


class ServerTokens:
    """Asks vLLM's ``/tokenize`` and ``/detokenize``, one request for each text or token.

    Args:
        post: sends a body to one of the two and returns the JSON.
        run: calls a function for each item, several at a time.
    """

    def __init__(
        self,
        post: Callable[[str, Mapping[str, Any], Sequence[str]], Any],
        run: Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]],
    ) -> None:
        self._post = post
        self._run = run
        self._decoded: dict[int, str] = {}

    def read(
        self, texts: Sequence[str], *, instruction: str, max_length: int
    ) -> list[TokenizedText]:
        """Tokenize texts, each cut to ``max_length`` tokens; without an instruction.

        Raises:
            ModelError: the server's answer holds no ids, or not those of a model of M3's kind.
        """
        if instruction:
            raise InputError("an instruction needs the model's tokenizer here; give tokenizer=...")
        token_ids = self._run(self._ids, [encodable(text) for text in texts])
        return [cut(ids, 1, max_length) for ids in token_ids]

    def decode(self, ids: Sequence[int]) -> list[str]:
        """Return the text of single tokens; one that is nothing but a space is ``▁``."""
        unknown = [int(token) for token in dict.fromkeys(ids) if int(token) not in self._decoded]
        texts = self._run(self._text, unknown)
        known = {**self._decoded, **dict(zip(unknown, texts, strict=True))}
        if len(known) <= KEPT:
            self._decoded = known
        return [known[int(token)] for token in ids]

    def _ids(self, text: str) -> list[int]:
        answer = self._post("tokenize", {"prompt": text}, [text])
        ids = answer.get("tokens") if isinstance(answer, dict) else None
        if not isinstance(ids, list) or not all(type(token) is int for token in ids):
            raise ModelError("the server's answer to /tokenize holds no list of token ids")
        if len(ids) < 2:
            raise ModelError(
                f"the server put {len(ids)} tokens around an empty text, a model of BGE-M3's kind "
                "has one before and one after it; does it serve another model?"
            )
        return ids

    def _text(self, token: int) -> str:
        answer = self._post("detokenize", {"tokens": [token]}, ())
        text = answer.get("prompt") if isinstance(answer, dict) else None
        if not isinstance(text, str):
            raise ModelError("the server's answer to /detokenize holds no text")
        return "▁" if is_blank(text) else text
