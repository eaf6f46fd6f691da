"""How a remote encoder talks to its servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from trivec._runtime.checks import check_choice, check_least, check_number, shown
from trivec._runtime.typed import check_fields
from trivec.errors import InputError

__all__ = ["DEFAULT_OPTIONS", "NumberFormat", "RemoteOptions"]

NumberFormat: TypeAlias = Literal["base64", "float"]
"""How a server is asked to write dense vectors."""

XLM_ROBERTA_SPECIALS: Mapping[str, int] = {"cls": 0, "pad": 1, "eos": 2, "unk": 3}


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
            raise InputError(f"special_tokens={shown(dict(self.special_tokens))} lack 'pad'")


DEFAULT_OPTIONS = RemoteOptions()
