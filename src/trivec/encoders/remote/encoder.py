"""Models behind HTTP: any OpenAI-compatible server for dense vectors, vLLM for all three."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from trivec._models.tokenizing import encodable
from trivec._runtime.lazy import Lazy
from trivec._runtime.paths import user_path
from trivec._runtime.retrying import Backoff
from trivec._runtime.secrets import Key, warn_of_plain_http
from trivec._runtime.typed import checked
from trivec.encoders.arguments import check_arguments
from trivec.encoders.remote.calls import RemoteCalls, addresses
from trivec.encoders.remote.isolating import Refused
from trivec.encoders.remote.options import DEFAULT_OPTIONS, RemoteOptions
from trivec.encoders.remote.servers import HeadServers, Sent, batches
from trivec.encoders.remote.tokens import LocalTokens, ServerTokens, Tokens
from trivec.errors import InputError, TextsRefusedError
from trivec.protocols import Secret
from trivec.types import ALL_HEADS, EncoderInfo, Encoding, Head

if TYPE_CHECKING:
    import httpx

__all__ = ["RemoteEncoder"]

EncoderT = TypeVar("EncoderT", bound="RemoteEncoder")

BYTES_PER_TOKEN = 3
"""Of UTF-8, where texts are sent and their tokens must be guessed: rather too many than too few."""

PROBE = "a"
"""A text that every server takes which takes any."""


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
        self._servers = HeadServers(
            self._urls,
            self._served_as,
            info=self._info,
            options=options,
            calls=self._calls,
            probe=lambda: self._sent([PROBE], "", self._info.max_length),
        )
        for url in {versioned for versioned, _ in self._urls.values()}:
            warn_of_plain_http(url, key)
        self._tokens: Tokens | None = None
        if tokenizer is not None:
            self._tokens = LocalTokens(user_path("tokenizer", tokenizer), options.special_tokens)
        elif set(self._urls) != {"dense"}:
            self._tokens = ServerTokens(self._ask_tokenizer, self._servers.at_once)

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
        parts = list(batches(sent, self._options))
        wanted = [head for head in self._urls if head in heads]
        asked = [(head, batch) for head in wanted for batch in parts]
        if len(texts) > 1:
            answers = iter(self._servers.answers(asked))
        else:
            answers = iter([self._servers.alone(*one, is_document=is_document) for one in asked])
        found = {head: [each for _ in parts for each in next(answers)] for head in wanted}
        self._require_all(texts, found)
        return [
            Encoding(
                **{head: vectors[at] for head, vectors in found.items()},
                tokens=0 if one.read is None else one.tokens,
                truncated=one.read is not None and one.read.truncated,
            )
            for at, one in enumerate(sent)
        ]

    def _sent(self, texts: Sequence[str], instruction: str, max_length: int) -> list[Sent]:
        if self._tokens is None:
            whole = [instruction + encodable(text) for text in texts]
            return [Sent(text, len(text.encode()) // BYTES_PER_TOKEN + 2) for text in whole]
        read = self._tokens.read(texts, instruction=instruction, max_length=max_length)
        return [Sent(text, len(one.ids), one) for text, one in zip(texts, read, strict=True)]

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

    def _ask_tokenizer(self, path: str, body: Mapping[str, Any], texts: Sequence[str]) -> Any:
        _, root = self._urls.get("sparse") or self._urls["colbert"]
        return self._calls.post(f"{root}/{path}", {"model": self._served_as, **body}, texts)


def _rebuilt(
    kind: type[EncoderT], arguments: Mapping[str, Any], client: httpx.Client | None = None
) -> EncoderT:
    """Return an encoder from the arguments of another."""
    return kind(client=client, **arguments)


def _built(timeout: float) -> httpx.Client:
    import httpx

    return httpx.Client(timeout=timeout)
