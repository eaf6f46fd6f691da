"""A bounded memo in front of an encoder, for callers that ask for one head at a time."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Literal, TypeAlias
from weakref import WeakValueDictionary

from trivec._runtime.checks import check_least
from trivec._runtime.typed import checked
from trivec.errors import InputError, ModelError
from trivec.protocols import Encoder
from trivec.types import ALL_HEADS, EncoderInfo, Encoding, Head

__all__ = ["MemoEncoder"]

Role: TypeAlias = Literal["document", "query"]


class MemoEncoder:
    """An encoder that remembers its last texts, so that asking twice runs the model once.

    LangChain and LlamaIndex ask one object for dense vectors and another for sparse ones. Give
    both the same ``MemoEncoder``: the first call computes ``heads`` in one forward and the second
    finds them here. Texts that are being encoded by another thread are waited for, not encoded
    again. Queries and passages are kept apart.

    Args:
        encoder: what computes.
        heads: what is computed and kept at every call, whatever is asked for.
        size: how many texts are kept; the least recently used go first. A batch larger than this
            is encoded whole, but only its last texts are kept.

    Raises:
        InputError: ``size`` is less than 1.
    """

    @checked
    def __init__(
        self,
        encoder: Encoder,
        *,
        heads: Sequence[Head] = ("dense", "sparse"),
        size: int = 4096,
    ) -> None:
        check_least("size", size, 1)
        self._encoder = encoder
        self._heads = tuple(head for head in ALL_HEADS if head in heads)
        self._size = size
        self._known: OrderedDict[tuple[Role, str], Encoding] = OrderedDict()
        self._running: dict[tuple[Role, str], Future[Encoding]] = {}
        self._lock = threading.Lock()
        self._process = os.getpid()

    @classmethod
    @checked
    def shared(cls, encoder: Encoder) -> MemoEncoder:
        """Return the memo of an encoder that all who ask for it share, while one of them lives.

        This is how two objects that were given the same encoder come to one forward. A memo is
        its own.
        """
        if isinstance(encoder, MemoEncoder):
            return encoder
        with _SHARED_LOCK:
            memo = _SHARED.get(id(encoder))
            if memo is None:  # the memo keeps its encoder alive, so that no id is used twice
                memo = _SHARED[id(encoder)] = cls(encoder)
            return memo

    @property
    def info(self) -> EncoderInfo:
        """What identifies the vectors."""
        return self._encoder.info

    @property
    def encoder(self) -> Encoder:
        """The encoder behind the memo."""
        return self._encoder

    @checked
    def encode_documents(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode passages, those that are not remembered."""
        return self._encode("document", texts, heads, self._encoder.encode_documents)

    @checked
    def encode_queries(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode queries, those that are not remembered."""
        return self._encode("query", texts, heads, self._encoder.encode_queries)

    @checked
    def decode_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the text of sparse indices."""
        return self._encoder.decode_tokens(ids)

    def __getstate__(self) -> tuple[Encoder, tuple[Head, ...], int]:
        return self._encoder, self._heads, self._size

    def __setstate__(self, state: tuple[Encoder, tuple[Head, ...], int]) -> None:
        encoder, heads, size = state
        MemoEncoder.__init__(self, encoder, heads=heads, size=size)

    def __repr__(self) -> str:
        return f"MemoEncoder({self._encoder!r}, heads={self._heads}, size={self._size})"

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._known.clear()

    def _encode(
        self,
        role: Role,
        texts: Sequence[str],
        heads: Sequence[Head],
        compute: Callable[..., list[Encoding]],
    ) -> list[Encoding]:
        if isinstance(texts, str):
            raise InputError("texts is a single string; give a list of texts")
        self._notice_fork()
        if not set(heads) <= set(self._heads):
            return compute(texts, heads=heads)
        distinct = list(dict.fromkeys(texts))
        with self._lock:
            known = {text: self._known.get((role, text)) for text in distinct}
            missing = {text: Future[Encoding]() for text, hit in known.items() if hit is None}
            missing = {
                text: own for text, own in missing.items() if (role, text) not in self._running
            }
            awaited = {text: self._running.get((role, text)) for text in distinct}
            self._running.update({(role, text): own for text, own in missing.items()})
        try:
            self._compute(role, missing, compute)
        finally:
            with self._lock:
                for text in missing:
                    del self._running[role, text]
        futures = {**{text: own for text, own in awaited.items() if own is not None}, **missing}
        encodings = {text: known[text] or futures[text].result() for text in distinct}
        self._keep(role, encodings)
        return [encodings[text] for text in texts]

    def _notice_fork(self) -> None:
        """Wait for no thread that stayed in the process which this one was forked from."""
        if self._process != os.getpid():
            self._lock, self._running = threading.Lock(), {}
            self._process = os.getpid()

    def _compute(
        self,
        role: Role,
        missing: Mapping[str, Future[Encoding]],
        compute: Callable[..., list[Encoding]],
    ) -> None:
        """Encode the texts that nobody else is encoding, and tell those who wait."""
        if not missing:
            return
        try:
            encodings = _one_each(compute(list(missing), heads=self._heads), len(missing))
        except BaseException as err:
            for future in missing.values():
                future.set_exception(_for_waiters(err))
            raise
        for future, encoding in zip(missing.values(), encodings, strict=True):
            future.set_result(encoding)
        self._keep(role, dict(zip(missing, encodings, strict=True)))

    def _keep(self, role: Role, encodings: Mapping[str, Encoding]) -> None:
        with self._lock:
            for text, encoding in encodings.items():
                self._known[role, text] = encoding
                self._known.move_to_end((role, text))
            while len(self._known) > self._size:
                self._known.popitem(last=False)


def _one_each(encodings: Iterable[Encoding], count: int) -> list[Encoding]:
    """Return the encodings.

    Raises:
        ModelError: they are not as many as the texts.
    """
    listed = list(encodings)
    if len(listed) != count:
        raise ModelError(
            f"the encoder returned {len(listed)} encodings for {count} texts; it must return one "
            "for each"
        )
    return listed


def _for_waiters(err: BaseException) -> Exception:
    """Return what those are told who wait for the texts of another thread."""
    if isinstance(err, Exception):
        return err
    return ModelError(
        f"the thread that was encoding this text was stopped by {type(err).__name__}; try again"
    )


_SHARED: WeakValueDictionary[int, MemoEncoder] = WeakValueDictionary()
_SHARED_LOCK = threading.Lock()
