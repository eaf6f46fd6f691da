"""The servers of the heads: what each gives for a batch of texts, in halves where it must be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from trivec.encoders.postprocess import sparse_vectors
from trivec.encoders.remote.answers import (
    dense_vectors,
    ordered_items,
    token_rows,
    token_weights,
)
from trivec.encoders.remote.calls import RemoteCalls, ServerFailedError
from trivec.encoders.remote.isolating import Refused, isolated
from trivec.encoders.remote.options import RemoteOptions
from trivec.encoders.tokens import TokenizedText
from trivec.errors import ModelError
from trivec.types import EncoderInfo, FloatArray, Head, SparseVector

__all__ = ["HeadServers", "Sent", "batches"]

T = TypeVar("T")
R = TypeVar("R")

TASKS: Mapping[Head, str] = {"sparse": "token_classify", "colbert": "token_embed"}
"""vLLM's names for what its ``/pooling`` computes."""


@dataclass(frozen=True, slots=True, eq=False)
class Sent:
    """A text as it is sent: itself, or its token ids."""

    text: str
    tokens: int
    read: TokenizedText | None = None

    @property
    def input(self) -> str | list[int]:
        """What a request holds."""
        return self.text if self.read is None else self.read.ids.tolist()


class HeadServers:
    """Asks the server of each head for its vectors.

    Args:
        urls: by head: where OpenAI's endpoints are, and vLLM's own.
        served_as: what the servers call the model.
        info: what identifies the vectors.
        options: batches, concurrency, formats.
        calls: posts to a server.
        probe: returns a text that every server takes which takes any.
    """

    def __init__(
        self,
        urls: Mapping[Head, tuple[str, str]],
        served_as: str,
        *,
        info: EncoderInfo,
        options: RemoteOptions,
        calls: RemoteCalls,
        probe: Callable[[], Sequence[Sent]],
    ) -> None:
        self._urls, self._served_as = urls, served_as
        self._info, self._options = info, options
        self._calls = calls
        self._probe = probe

    def answers(self, asked: Sequence[tuple[Head, Sequence[Sent]]]) -> list[Sequence[Any]]:
        """Return the answers for each batch, with ``Refused`` for some texts perhaps."""
        answers = self.at_once(lambda one: self._isolated(*one), asked)
        refused = [each for answer in answers for each in answer if isinstance(each, Refused)]
        if len(refused) < sum(map(len, answers)):
            return [
                self._tried_again(*one, answer) for one, answer in zip(asked, answers, strict=True)
            ]
        if not all(isinstance(each.error, ServerFailedError) for each in refused):
            raise refused[0].error
        self._ask(*asked[0])  # it takes no text: until the deadline that may pass
        return self.at_once(lambda one: self._ask(*one), asked)

    def alone(self, head: Head, batch: Sequence[Sent], *, is_document: bool) -> Sequence[Any]:
        """Return the answer for a single text, or that it is refused where another is not."""
        if not is_document:
            return self._ask(head, batch)
        answer = self._isolated(head, batch)
        if not isinstance(answer[0], Refused) or self._takes_any(head):
            return answer
        if isinstance(answer[0].error, ServerFailedError):
            return self._ask(head, batch)  # until the deadline that may pass
        raise answer[0].error

    def _takes_any(self, head: Head) -> bool:
        try:
            self._ask(head, self._probe(), divisible=True)
        except ModelError:
            return False
        return True

    def _tried_again(
        self, head: Head, batch: Sequence[Sent], answer: Sequence[Any]
    ) -> Sequence[Any]:
        """Return an answer in which no text is refused for a failure that has passed."""
        return [
            self._isolated(head, [one])[0]
            if isinstance(vectors, Refused) and isinstance(vectors.error, ServerFailedError)
            else vectors
            for one, vectors in zip(batch, answer, strict=True)
        ]

    def _isolated(self, head: Head, batch: Sequence[Sent]) -> Sequence[Any]:
        try:
            return isolated(lambda part: self._ask(head, part, divisible=True), batch)
        except ServerFailedError:
            pass
        return self._ask(head, batch)  # it takes no text: until the deadline that may pass

    def _ask(self, head: Head, batch: Sequence[Sent], *, divisible: bool = False) -> Sequence[Any]:
        """Return what a head's server gives for a batch."""
        body = {
            "model": self._served_as,
            "input": [one.input for one in batch],
            "encoding_format": self._options.number_format,
        }
        versioned, root = self._urls[head]
        url = f"{versioned}/embeddings"
        if head in TASKS:
            body["task"] = TASKS[head]
            url = f"{root}/pooling"
        texts = [one.text for one in batch]
        answer = self._calls.post(url, body, texts, divisible=divisible)
        key = "data" if head in TASKS else "embedding"
        items = ordered_items(answer, key, len(batch))
        return self._vectors(head, items, [one.read for one in batch])

    def _vectors(
        self, head: Head, items: Sequence[Any], read: Sequence[TokenizedText | None]
    ) -> Sequence[Any]:
        info = self._info
        if head == "dense":
            return dense_vectors(items, info.dense_dim, normalize=info.normalized)
        pairs = [(item, one) for item, one in zip(items, read, strict=True) if one is not None]
        if head == "sparse":
            return self._sparse(pairs)
        width = info.colbert_dim or 0
        return [
            token_rows(item, len(one.ids), width, normalize=info.normalized)[one.start - 1 :]
            for item, one in pairs
        ]

    def _sparse(self, pairs: Sequence[tuple[Any, TokenizedText]]) -> list[SparseVector]:
        weights = [token_weights(item, len(one.ids))[one.start :] for item, one in pairs]
        tokens = [one.ids[one.start :] for _, one in pairs]
        counts = np.array([len(each) for each in tokens])
        unused = np.array(sorted(self._options.special_tokens.values()), dtype=np.int64)
        flat: FloatArray = np.concatenate(weights)
        return sparse_vectors(np.concatenate(tokens), flat, counts, unused)

    def at_once(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Call a function for each item, several at a time; the first error is raised."""
        workers = min(self._options.concurrency, len(items))
        if workers < 2:
            return [function(item) for item in items]
        with ThreadPoolExecutor(workers, thread_name_prefix="trivec-remote") as pool:
            futures = [pool.submit(function, item) for item in items]
            try:
                return [future.result() for future in futures]
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def batches(sent: Sequence[Sent], options: RemoteOptions) -> Iterator[list[Sent]]:
    """Yield the texts in order, cut by count and by tokens."""
    batch: list[Sent] = []
    tokens = 0
    for one in sent:
        is_full = len(batch) == options.batch_size
        if batch and (is_full or tokens + one.tokens > options.max_batch_tokens):
            yield batch
            batch, tokens = [], 0
        batch.append(one)
        tokens += one.tokens
    if batch:
        yield batch
