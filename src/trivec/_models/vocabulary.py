"""A large vocabulary as a file that opens at once, and tokenizers of the pieces that a text holds.

Reading XLM-RoBERTa's 250,002 pieces into a tokenizer is most of what a cold search computes. What a
Unigram model makes of a text depends on those pieces alone that occur in it. So the first texts of
a process are read by a tokenizer of these few, made for them; its tokens are the whole one's.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from trivec._runtime.cache import cache_folder

if TYPE_CHECKING:
    import tokenizers
    from numpy.typing import NDArray

__all__ = ["Vocabulary", "open_vocabulary"]

logger = logging.getLogger(__name__)

_LEAST = 50_000
"""Pieces; smaller vocabularies are read in no time."""
_FORMAT = 1


def open_vocabulary(file: Path, digest: str) -> Vocabulary | None:
    """Return the vocabulary of a ``tokenizer.json``; None if it is not a large Unigram one.

    It is written into the cache folder when it is first asked for, which takes a second.

    Args:
        file: the ``tokenizer.json``.
        digest: its sha256.
    """
    place = cache_folder() / "vocabularies" / f"{digest}-{_FORMAT}.npz"
    try:
        return Vocabulary.read(place)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):  # absent, or not whole
        pass
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):  # who loads the tokenizer says so
        return None
    made = Vocabulary.of(content)
    if made is not None:
        try:
            made.write(place)
        except OSError as err:
            logger.warning("cannot remember the vocabulary in %s: %s", place, err)
    return made


class Vocabulary:
    """The pieces of a Unigram tokenizer, found by their hashes.

    Args:
        arrays: ``shell``, the tokenizer's JSON without its pieces; ``scores`` of the pieces;
            ``text`` and ``ends``, the pieces themselves, one after another; ``hashes``, sorted, and
            the ``ids`` that belong to them.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self._shell: dict[str, Any] = json.loads(arrays["shell"].tobytes())
        self._text = arrays["text"].tobytes()
        self._ends, self._scores = arrays["ends"], arrays["scores"]
        self._hashes, self._ids = arrays["hashes"], arrays["ids"]
        self._longest = int(arrays["longest"])
        self._special = [token["content"] for token in self._shell["added_tokens"]]
        least = int(np.argmin(self._scores))  # what an unknown character costs depends on it
        own = {token["id"] for token in self._shell["added_tokens"]}
        self._always = own | {least, self._shell["model"]["unk_id"]}
        self._splitter = self.tokenizer(())[0]

    @classmethod
    def of(cls, content: dict[str, Any]) -> Self | None:
        """Return the vocabulary of a tokenizer's JSON; None if it is not a large Unigram one."""
        model = content["model"]
        pieces = model.get("vocab", ())
        if model.get("type") != "Unigram" or model.get("byte_fallback") or len(pieces) < _LEAST:
            return None
        encoded = [piece.encode() for piece, _ in pieces]
        shell = {**content, "model": {**model, "vocab": []}}
        hashes = np.array([_hash(piece) for piece in encoded], np.uint64)
        order = np.argsort(hashes)
        return cls(
            {
                "shell": np.frombuffer(json.dumps(shell).encode(), np.uint8),
                "text": np.frombuffer(b"".join(encoded), np.uint8),
                "ends": np.cumsum([len(piece) for piece in encoded], dtype=np.int64),
                "scores": np.array([score for _, score in pieces], np.float64),
                "hashes": hashes[order],
                "ids": order.astype(np.int32),
                "longest": np.array(max(len(piece) for piece, _ in pieces)),
            }
        )

    @classmethod
    def read(cls, file: Path) -> Self:
        """Return what ``write`` wrote.

        Raises:
            OSError: the file cannot be read.
            ValueError, KeyError, BadZipFile: it is not whole.
        """
        # np.load leaves a damaged file open that it opened itself
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return cls(dict(arrays))

    def write(self, file: Path) -> None:
        """Write a file, at once: whoever reads meanwhile sees all of it or none.

        Raises:
            OSError: it cannot be written.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream:
                np.savez(stream, allow_pickle=False, **self._arrays)
            Path(name).replace(file)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise

    def for_texts(
        self, texts: Sequence[str]
    ) -> tuple[tokenizers.Tokenizer, NDArray[np.int64]] | None:
        """Return a tokenizer that reads these texts as the whole one does, and its ids there.

        None where a text holds a special token: what is around it is read apart.
        """
        if any(token in text for token in self._special for text in texts):
            return None
        normalizer, splitter = self._splitter.normalizer, self._splitter.pre_tokenizer
        parts: set[str] = set()
        for text in texts:
            plain = text if normalizer is None else normalizer.normalize_str(text)
            words = [plain] if splitter is None else _words(splitter, plain)
            for word in words:
                parts.update(
                    word[start:end]
                    for start in range(len(word))
                    for end in range(start + 1, min(start + self._longest, len(word)) + 1)
                )
        return self.tokenizer(self._found(parts))

    def tokenizer(self, ids: Iterable[int]) -> tuple[tokenizers.Tokenizer, NDArray[np.int64]]:
        """Return a tokenizer of these pieces and the special ones, and their ids in order."""
        from tokenizers import Tokenizer

        chosen = sorted(self._always | set(ids))
        place = {identity: at for at, identity in enumerate(chosen)}
        vocabulary = [[self._piece(identity), float(self._scores[identity])] for identity in chosen]
        shell, model = self._shell, self._shell["model"]
        added = [{**token, "id": place[token["id"]]} for token in shell["added_tokens"]]
        model = {**model, "vocab": vocabulary, "unk_id": place[model["unk_id"]]}
        content = {**shell, "added_tokens": added, "model": model}
        if content.get("post_processor"):
            content["post_processor"] = _renumbered(content["post_processor"], place)
        made: tokenizers.Tokenizer = Tokenizer.from_str(json.dumps(content))
        made.no_truncation()
        made.no_padding()
        return made, np.array(chosen, np.int64)

    def _found(self, parts: Iterable[str]) -> list[int]:
        """Return the ids of those texts that are pieces."""
        encoded = [part.encode() for part in parts]
        hashes = np.array([_hash(part) for part in encoded], np.uint64)
        at = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        same = np.flatnonzero(self._hashes[at] == hashes)
        found = self._ids[at[same]].tolist()
        return [
            identity
            for identity, index in zip(found, same.tolist(), strict=True)
            if self._bytes(identity) == encoded[index]
        ]

    def _bytes(self, identity: int) -> bytes:
        start = int(self._ends[identity - 1]) if identity else 0
        return self._text[start : int(self._ends[identity])]

    def _piece(self, identity: int) -> str:
        return self._bytes(identity).decode()


def _hash(piece: bytes) -> int:
    return int.from_bytes(blake2b(piece, digest_size=8).digest(), "little")


def _words(splitter: Any, text: str) -> list[str]:
    return [word for word, _ in splitter.pre_tokenize_str(text)]


def _renumbered(part: Any, place: dict[int, int]) -> Any:
    """Return a post-processor's JSON with the ids of its special tokens renumbered."""
    if isinstance(part, dict):
        return {
            key: [place[identity] for identity in value]
            if key == "ids" and isinstance(value, list)
            else _renumbered(value, place)
            for key, value in part.items()
        }
    if isinstance(part, list):
        return [_renumbered(value, place) for value in part]
    return part
