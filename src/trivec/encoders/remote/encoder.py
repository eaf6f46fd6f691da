"""Models behind HTTP: any OpenAI-compatible server for dense vectors, vLLM for all three."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypeVar

import numpy as np

from trivec._models.tokenizing import encodable
from trivec._runtime.checks import check_choice, check_least, check_number
from trivec._runtime.lazy import Lazy
from trivec._runtime.paths import user_path
from trivec._runtime.retrying import Backoff
from trivec._runtime.secrets import Key, warn_of_plain_http
from trivec._runtime.typed import check_fields, checked
from trivec.encoders.arguments import check_arguments
from trivec.encoders.postprocess import sparse_vectors
from trivec.encoders.remote.answers import (
    dense_vectors,
    ordered_items,
    token_rows,
    token_weights,
)
from trivec.encoders.remote.calls import RemoteCalls, ServerFailedError, addresses
from trivec.encoders.remote.isolating import Refused, isolated
from trivec.encoders.remote.tokens import LocalTokens, ServerTokens, Tokens
from trivec.encoders.tokens import TokenizedText
from trivec.errors import InputError, ModelError, TextsRefusedError
from trivec.protocols import Secret
from trivec.types import ALL_HEADS, EncoderInfo, Encoding, FloatArray, Head, SparseVector

if TYPE_CHECKING:
    import httpx

__all__ = ["NumberFormat", "RemoteEncoder", "RemoteOptions"]

NumberFormat: TypeAlias = Literal["base64", "float"]
"""How a server is asked to write dense vectors."""

T = TypeVar("T")
R = TypeVar("R")
EncoderT = TypeVar("EncoderT", bound="RemoteEncoder")

XLM_ROBERTA_SPECIALS: Mapping[str, int] = {"cls": 0, "pad": 1, "eos": 2, "unk": 3}
BYTES_PER_TOKEN = 3
"""Of UTF-8, where texts are sent and their tokens must be guessed: rather too many than too few."""

PROBE = "a"
"""A text that every server takes which takes any."""

TASKS: Mapping[Head, str] = {"sparse": "token_classify", "colbert": "token_embed"}
"""vLLM's names for what its ``/pooling`` computes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOptions:
    """How a :class:`RemoteEncoder` talks to its servers.

    Attributes:
        query_max_length: tokens read of a query, where token ids are sent; of a passage it is
            ``EncoderInfo.max_length``. Where texts are sent the server decides.
        batch_size: the most texts of one request.
        max_batch_tokens: the most tokens of one request; one longer text goes alone.
        concurrency: requests that are under way at a time.
        timeout: seconds for one whole try; a client that was given has its own.
        deadline: seconds after which a request that still fails raises. Timeouts, broken
            connections and the statuses 408, 429, 500, 502, 503 and 504 are tried again, after a
            random wait or as long as ``Retry-After`` says.
        longest_wait: bound of one wait in seconds.
        number_format: how vectors travel: ``base64`` needs a fifth of the bytes. Either form is
            understood, whichever the server sends.
        special_tokens: ids by role (``cls``, ``pad``, ``eos``, ``unk``), which carry no sparse
            weight; the default is XLM-RoBERTa's, and so BGE-M3's.

    Raises:
        InputError: a value is not allowed.
    """

    query_max_length: int = 512
    batch_size: int = 32
    max_batch_tokens: int = 8192
    concurrency: int = 4
    timeout: float = 60.0
    deadline: float = 120.0
    longest_wait: float = 10.0
    number_format: NumberFormat = "base64"
    special_tokens: Mapping[str, int] = field(default_factory=lambda: XLM_ROBERTA_SPECIALS)

    def __post_init__(self) -> None:
        check_fields(self)
        check_least("query_max_length", self.query_max_length, 3)
        check_least("batch_size", self.batch_size, 1)
        check_least("max_batch_tokens", self.max_batch_tokens, 1)
        check_least("concurrency", self.concurrency, 1)
        check_choice("number_format", self.number_format, NumberFormat)
        for name in ("timeout", "deadline", "longest_wait"):
            check_number(name, getattr(self, name), above=0)
        if "pad" not in self.special_tokens:
            raise InputError(f"special_tokens={dict(self.special_tokens)!r} lack 'pad'")


DEFAULT_OPTIONS = RemoteOptions()


@dataclass(frozen=True, slots=True, eq=False)
class _Sent:
    """A text as it is sent: itself, or its token ids."""

    text: str
    tokens: int
    read: TokenizedText | None = None

    @property
    def input(self) -> str | list[int]:
        return self.text if self.read is None else self.read.ids.tolist()


class RemoteEncoder:
    r"""An :class:`trivec.protocols.Encoder` whose model runs behind HTTP.

    **Dense vectors alone** come from every server that speaks OpenAI's ``/v1/embeddings``.
    **All three** come from vLLM serving BGE-M3 (0.15 and later)::

        vllm serve BAAI/bge-m3 --runner pooling --pooler-config.task embed \
            --hf-overrides '{"architectures": ["BgeM3EmbeddingModel"]}'

    with ``embed`` for dense vectors (``/v1/embeddings``), ``token_classify`` for the weight and
    ``token_embed`` for the ColBERT vector of each token (``/pooling``). From 0.21 on a vLLM server
    has one task, so each head has an address of its own and the text is read once by each; before,
    all three may be the same. The token ids are the same in all: they come from ``tokenizer`` or
    vLLM's ``/tokenize``, and are put together by FlagEmbedding's rules: special tokens have no
    weight, of a repeated token the highest counts, CLS has no ColBERT row.

    A server does not say which weights it serves, so the fingerprint is what is stated here. To
    search what another encoder of the same model indexed, state that encoder's ``info``.

    Constructing opens no connection. Several threads may share one encoder.

    Args:
        urls: the server of the dense vectors, with or without ``/v1``; or one for each head.
        info: what identifies the vectors; its ``heads`` become those that have an address. See
            :meth:`named` for a model that only has a name.
        served_as: what the servers call the model; None is ``info.model``.
        api_key: sent as a bearer token, and never shown.
        client: a built ``httpx.Client``, for proxies, certificates, further headers; it stays the
            caller's to close. None makes one at the first text.
        tokenizer: the model's ``tokenizer.json``. Without it vLLM is asked for the ids, a request
            for each text more; where there are dense vectors alone, texts are sent.
        options: batches, retries, lengths.

    Raises:
        InputError: a URL or head that cannot be used, or what is stated does not fit the heads.

    Example:
        >>> encoder = RemoteEncoder.named("http://localhost:8000/v1", "BAAI/bge-m3", dense_dim=1024)
        >>> encoder.info.heads
        ('dense',)
    """

    @checked
    def __init__(
        self,
        urls: str | Mapping[Head, str],
        info: EncoderInfo,
        *,
        served_as: str | None = None,
        api_key: str | Secret | None = None,
        client: httpx.Client | None = None,
        tokenizer: str | Path | None = None,
        options: RemoteOptions = DEFAULT_OPTIONS,
    ) -> None:
        named: Mapping[Head, str] = {"dense": urls} if isinstance(urls, str) else urls
        if not named or set(named) - set(ALL_HEADS):
            raise InputError(f"urls for {sorted(named)}; allowed: one or more of {ALL_HEADS}")
        self._urls = {head: addresses(named[head]) for head in ALL_HEADS if head in named}
        self._info = replace(info, heads=tuple(self._urls))
        if "colbert" in self._urls and info.colbert_dim is None:
            raise InputError("there is a URL for colbert, but no colbert_dim is stated")
        instructed = info.query_instruction or info.passage_instruction
        if instructed and tokenizer is None and set(self._urls) != {"dense"}:
            raise InputError(
                "an instruction carries neither sparse weight nor ColBERT rows, which its tokens "
                "must be known for; give tokenizer=..., the model's tokenizer.json"
            )
        self._served_as = served_as or info.model
        self._options = options
        self._client = Lazy(lambda: _built(options.timeout) if client is None else client)
        self._is_mine = client is None
        # a function, so that no attribute holds the key
        self._arguments: Callable[[], dict[str, Any]] = lambda: {
            "urls": dict(named),
            "info": info,
            "served_as": served_as,
            "api_key": api_key,
            "tokenizer": tokenizer,
            "options": options,
        }
        backoff = Backoff(options.deadline, longest_wait=options.longest_wait)
        key = Key(api_key)
        timeout = options.timeout if self._is_mine else math.inf
        self._calls = RemoteCalls(self._client, key, backoff, timeout)
        for url in {versioned for versioned, _ in self._urls.values()}:
            warn_of_plain_http(url, key)
        self._tokens: Tokens | None = None
        if tokenizer is not None:
            self._tokens = LocalTokens(user_path("tokenizer", tokenizer), options.special_tokens)
        elif set(self._urls) != {"dense"}:
            self._tokens = ServerTokens(self._ask_tokenizer, self._at_once)

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._is_mine:
            raise TypeError(
                "a RemoteEncoder with a client of yours cannot be pickled; leave client out, or "
                "build the encoder where it is needed"
            )
        return _rebuilt, (type(self), self._arguments())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        client = None if self._is_mine else self._client()
        return _rebuilt(type(self), self._arguments(), client)

    @classmethod
    @checked
    def named(
        cls,
        urls: str | Mapping[Head, str],
        model: str,
        *,
        dense_dim: int,
        colbert_dim: int | None = None,
        max_length: int = 8192,
        api_key: str | Secret | None = None,
        client: httpx.Client | None = None,
        tokenizer: str | Path | None = None,
        options: RemoteOptions = DEFAULT_OPTIONS,
    ) -> Self:
        """Return the encoder of a model of which only the name and sizes are known.

        Its fingerprint holds the name in place of the digest of the weights: a collection that it
        wrote is opened with the same name again.
        """
        weights = f"served as {model}"
        info = EncoderInfo(
            model, weights, dense_dim, colbert_dim=colbert_dim, max_length=max_length
        )
        return cls(urls, info, api_key=api_key, client=client, tokenizer=tokenizer, options=options)

    @property
    def info(self) -> EncoderInfo:
        """What identifies the vectors, as it was stated; asks no server."""
        return self._info

    @checked
    def encode_documents(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode passages; a request to each head's server for every batch.

        Args:
            texts: any texts; lone surrogates are read as U+FFFD.
            heads: what to compute; each must have an address.

        Returns:
            One encoding for each text, in order. ``tokens`` is 0 where texts were sent, since
            only the server knows.

        Raises:
            InputError: ``texts`` is a single string, or a head has no address.
            ModelUnavailableError: a server gave no answer until the deadline.
            TextsRefusedError: a server does not take some of the texts, too long ones for
                instance; it says which and why.
            ModelError: a server refused the key or the request, or its answer cannot be used.
        """
        info = self._info
        length = info.max_length
        return self._encode(texts, heads, info.passage_instruction, length, is_document=True)

    @checked
    def encode_queries(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode queries; as :meth:`encode_documents`, with the query's instruction and length."""
        length = min(self._options.query_max_length, self._info.max_length)
        return self._encode(texts, heads, self._info.query_instruction, length)

    @checked
    def decode_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the text of sparse indices.

        Raises:
            InputError: there is no sparse head and no tokenizer, or an index is unknown.
            ModelError: the server failed.
        """
        if self._tokens is None:
            raise InputError("this encoder makes only dense vectors; give it tokenizer=...")
        return self._tokens.decode(ids)

    def close(self) -> None:
        """Close the connections; a client that was given stays open."""
        if self._is_mine and self._client.ready:
            self._client().close()

    def __repr__(self) -> str:
        urls = {head: versioned for head, (versioned, _) in self._urls.items()}
        return f"RemoteEncoder({urls!r}, model={self._served_as!r})"

    def _encode(
        self,
        texts: Sequence[str],
        heads: Sequence[Head],
        instruction: str,
        max_length: int,
        *,
        is_document: bool = False,
    ) -> list[Encoding]:
        check_arguments(texts, heads)
        if missing := [head for head in heads if head not in self._urls]:
            raise InputError(
                f"no server is known for {missing}; there is one for {list(self._urls)}: give "
                "urls={...} with the others, or do not ask for them"
            )
        if not texts:
            return []
        sent = self._sent(texts, instruction, max_length)
        batches = list(_batches(sent, self._options))
        wanted = [head for head in self._urls if head in heads]
        asked = [(head, batch) for head in wanted for batch in batches]
        if len(texts) > 1:
            answers = iter(self._answers(asked))
        else:
            answers = iter([self._alone(*one, is_document=is_document) for one in asked])
        found = {head: [each for _ in batches for each in next(answers)] for head in wanted}
        self._require_all(texts, found)
        return [
            Encoding(
                **{head: vectors[at] for head, vectors in found.items()},
                tokens=0 if one.read is None else one.tokens,
                truncated=one.read is not None and one.read.truncated,
            )
            for at, one in enumerate(sent)
        ]

    def _sent(self, texts: Sequence[str], instruction: str, max_length: int) -> list[_Sent]:
        if self._tokens is None:
            whole = [instruction + encodable(text) for text in texts]
            return [_Sent(text, len(text.encode()) // BYTES_PER_TOKEN + 2) for text in whole]
        read = self._tokens.read(texts, instruction=instruction, max_length=max_length)
        return [_Sent(text, len(one.ids), one) for text, one in zip(texts, read, strict=True)]

    def _alone(self, head: Head, batch: Sequence[_Sent], *, is_document: bool) -> Sequence[Any]:
        """Return the answer for a single text, or that it is refused where another is not."""
        if not is_document:
            return self._ask(head, batch)
        answer = self._isolated(head, batch)
        if not isinstance(answer[0], Refused) or self._takes(head, PROBE):
            return answer
        if isinstance(answer[0].error, ServerFailedError):
            return self._ask(head, batch)  # until the deadline that may pass
        raise answer[0].error

    def _takes(self, head: Head, text: str) -> bool:
        try:
            self._ask(head, self._sent([text], "", self._info.max_length), divisible=True)
        except ModelError:
            return False
        return True

    def _answers(self, asked: Sequence[tuple[Head, Sequence[_Sent]]]) -> list[Sequence[Any]]:
        """Return the answers for each batch, with ``Refused`` for some texts perhaps."""
        answers = self._at_once(lambda one: self._isolated(*one), asked)
        refused = [each for answer in answers for each in answer if isinstance(each, Refused)]
        if len(refused) < sum(map(len, answers)):
            return [
                self._tried_again(*one, answer) for one, answer in zip(asked, answers, strict=True)
            ]
        if not all(isinstance(each.error, ServerFailedError) for each in refused):
            raise refused[0].error
        self._ask(*asked[0])  # it takes no text: until the deadline that may pass
        return self._at_once(lambda one: self._ask(*one), asked)

    def _tried_again(
        self, head: Head, batch: Sequence[_Sent], answer: Sequence[Any]
    ) -> Sequence[Any]:
        """Return an answer in which no text is refused for a failure that has passed."""
        return [
            self._isolated(head, [one])[0]
            if isinstance(vectors, Refused) and isinstance(vectors.error, ServerFailedError)
            else vectors
            for one, vectors in zip(batch, answer, strict=True)
        ]

    def _isolated(self, head: Head, batch: Sequence[_Sent]) -> Sequence[Any]:
        try:
            return isolated(lambda part: self._ask(head, part, divisible=True), batch)
        except ServerFailedError:
            pass
        return self._ask(head, batch)  # it takes no text: until the deadline that may pass

    def _ask(self, head: Head, batch: Sequence[_Sent], *, divisible: bool = False) -> Sequence[Any]:
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

    def _require_all(self, texts: Sequence[str], found: Mapping[Head, Sequence[Any]]) -> None:
        """Raise where a server did not take a text."""
        reasons = {
            text: str(vectors.error)
            for column in found.values()
            for text, vectors in zip(texts, column, strict=True)
            if isinstance(vectors, Refused)
        }
        if reasons:
            raise TextsRefusedError(reasons)

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

    def _ask_tokenizer(self, path: str, body: Mapping[str, Any], texts: Sequence[str]) -> Any:
        _, root = self._urls.get("sparse") or self._urls["colbert"]
        return self._calls.post(f"{root}/{path}", {"model": self._served_as, **body}, texts)

    def _at_once(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
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


def _batches(sent: Sequence[_Sent], options: RemoteOptions) -> Iterator[list[_Sent]]:
    """Yield the texts in order, cut by count and by tokens."""
    batch: list[_Sent] = []
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


def _rebuilt(
    kind: type[EncoderT], arguments: Mapping[str, Any], client: httpx.Client | None = None
) -> EncoderT:
    """Return an encoder from the arguments of another."""
    return kind(client=client, **arguments)


def _built(timeout: float) -> httpx.Client:
    import httpx

    return httpx.Client(timeout=timeout)
