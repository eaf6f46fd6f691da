"""What a new collection stores, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trivec._runtime.checks import check_choice, check_least, shown
from trivec._runtime.typed import check_fields
from trivec.arms import arm_names
from trivec.bm25 import AnalyzerConfig
from trivec.errors import InputError
from trivec.index.options import ColbertOverflow
from trivec.payloads.codecs import CODECS
from trivec.payloads.trivec import Codec, PayloadCodec

__all__ = ["IndexConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexConfig:
    """What a new collection stores and how; an existing collection keeps what it has.

    Attributes:
        arms: of ``dense``, ``sparse``, ``bm25``, ``colbert``. None: all but ``colbert`` (which
            takes a row for every token) that the encoder has heads for.
        analyzer: the BM25 analyser; None means the defaults, or the collection's own. The newest
            rules stand for the collection's own, too.
        payload_indexes: metadata keys to index types: ``keyword``, ``integer``, ``float``,
            ``bool``, ``datetime``, ``text``, ``uuid``. Filters on indexed keys are fast. An
            existing collection is given those that it lacks.
        index_on_demand: on a server that refuses filters on keys without an index (strict mode,
            as in Qdrant Cloud), the first filter on a key makes the index. False: FilterError.
        codec: the payload layout: ``trivec``, ``langchain``, ``llama_index`` or ``haystack``, or a
            :class:`trivec.payloads.PayloadCodec` with keys of its own. None: trivec's in a new
            collection, in an adopted one whatever its payloads show (an empty one gets trivec's).
        vectors: names of the vectors by arm. In a new collection they are the arms' own where
            this says nothing else; in an adopted one this says which vectors the encoder wrote,
            and without it the one dense vector is taken.
        batch_size: chunks that are encoded together and written together.
        colbert_overflow: what becomes of more ColBERT rows than Qdrant takes (1,023 at 1,024
            dims): ``pool`` averages neighbouring rows, ``refuse`` reports the chunk.
        scoped_ids: whether an id that is no UUID belongs to its source in a new collection, so
            that two sources may both have a "1". False: ids are one for the whole collection, and
            a passage replaces the one of its id in another source. Haystack's are always so.
        idf_across_tenants: whether BM25 in a new collection with tenants counts how rare words
            are among the passages of all tenants. A tenant can then learn from scores which words
            the others' passages hold. False: among a sample of the tenant's own.
    """

    arms: tuple[str, ...] | None = None
    analyzer: AnalyzerConfig | None = None
    payload_indexes: Mapping[str, str] = field(default_factory=dict)
    codec: str | PayloadCodec | None = None
    vectors: Mapping[str, str] = field(default_factory=dict)
    batch_size: int = 128
    colbert_overflow: ColbertOverflow = "pool"
    scoped_ids: bool = True
    index_on_demand: bool = True
    idf_across_tenants: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        known = list(arm_names())
        if self.arms is not None and (not self.arms or set(self.arms) - set(known)):
            raise InputError(f"arms={shown(self.arms)}; choose at least one of {known}")
        if isinstance(self.codec, str) and self.codec not in CODECS:
            raise InputError(
                f"codec={shown(self.codec)}; allowed: {sorted(CODECS)}, or a PayloadCodec"
            )
        names = list(self.vectors.values())
        if set(self.vectors) - set(known) or len(set(names)) < len(names):
            raise InputError(
                f"vectors={shown(dict(self.vectors))}; allowed: a name of its own for each of "
                f"{known}"
            )
        check_least("batch_size", self.batch_size, 1)
        check_choice("colbert_overflow", self.colbert_overflow, ColbertOverflow)

    @property
    def layout(self) -> Codec | None:
        """The payload layout that was chosen, if one was."""
        return CODECS[self.codec] if isinstance(self.codec, str) else self.codec
