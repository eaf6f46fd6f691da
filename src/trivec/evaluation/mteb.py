"""Indexes in MTEB's own retrieval tasks: every arm and every hybrid by its figures."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from trivec._runtime.paths import user_path
from trivec._runtime.typed import checked
from trivec.errors import InputError, MissingDependencyError
from trivec.evaluation.asking import Parts
from trivec.evaluation.building import indexed
from trivec.evaluation.dataset import Dataset, Question
from trivec.evaluation.systems import System
from trivec.index import HybridIndex
from trivec.protocols import Encoder
from trivec.text import is_blank
from trivec.types import Chunk

if TYPE_CHECKING:
    from mteb.models import ModelMeta

__all__ = ["MtebSearch"]

logger = logging.getLogger(__name__)

BLOCK = 128
"""Questions that are asked at once."""


class MtebSearch:
    """A model and a way to search, as MTEB's ``SearchProtocol`` has it (mteb 2).

    The corpus of each task becomes an index with every arm of the model. Adapters with the same
    folder share it, so that a second way to search encodes no passage again.

    Args:
        encoder: the model.
        system: the way to search, or its line: ``"sparse"``, ``"hybrid, colbert=rescore"``.
        name: of the model in MTEB's results, ``organisation/name``. The way to search is added.
        folder: where indexes are kept. None: a temporary folder for each task.

    Raises:
        InputError: a system that is none.

    Example:
        >>> model = MtebSearch(load_encoder("mini"), "hybrid, rrf")  # doctest: +SKIP
        >>> mteb.evaluate(model, mteb.get_task("NFCorpus"))  # doctest: +SKIP
    """

    @checked
    def __init__(
        self,
        encoder: Encoder,
        system: System | str = "hybrid",
        *,
        name: str | None = None,
        folder: str | Path | None = None,
    ) -> None:
        self._encoder = encoder
        self._system = System.from_text(system) if isinstance(system, str) else system
        self._name = name
        self._folder = None if folder is None else user_path("folder", folder)
        self._open = ExitStack()
        self._index: HybridIndex | None = None

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """What MTEB's results say of the model.

        Raises:
            MissingDependencyError: the extra ``mteb`` is not installed.
        """
        try:
            from mteb.models import ModelMeta
        except ModuleNotFoundError as err:
            raise MissingDependencyError("mteb", "mteb") from err
        info = self._encoder.info
        name = self._name or f"trivec/{Path(info.model).name}"
        line = str(self._system).replace(", ", "_").replace("/", "-")
        return ModelMeta.create_empty(
            {"name": f"{name}-{line}", "revision": info.weights or "none"}
        )

    def index(self, corpus: Iterable[Mapping[str, Any]], **_about: Any) -> None:
        """Index a task's corpus; blank passages are left out, and counted in the log.

        Args:
            corpus: rows with ``id``, ``text`` and perhaps ``title``.
            **_about: what MTEB says of the task besides.

        Raises:
            InputError: a text that is none: images and sounds cannot be searched.
        """
        self.close()
        chunks = [
            Chunk(f"{row.get('title') or ''}\n{_text(row)}".strip(), id=str(row["id"]))
            for row in corpus
        ]
        kept = tuple(chunk for chunk in chunks if not is_blank(chunk.text))
        if len(kept) < len(chunks):
            logger.warning("%d blank passages are not indexed", len(chunks) - len(kept))
        place = self._folder or Path(self._open.enter_context(TemporaryDirectory()))
        dataset = Dataset("corpus", kept, ())
        self._index = self._open.enter_context(indexed(dataset, self._encoder, place))

    def search(
        self,
        queries: Iterable[Mapping[str, Any]],
        *,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **_about: Any,
    ) -> dict[str, dict[str, float]]:
        """Search for a task's queries.

        Args:
            queries: rows with ``id``, ``text`` and perhaps ``instruction``, which is added.
            top_k: how many passages each gets.
            top_ranked: of reranking tasks, the passages that each query is to order.
            **_about: what MTEB says of the task besides.

        Returns:
            By query the scores of its passages.

        Raises:
            InputError: no corpus was given before, a query is no text, or a reranker is to order
                given passages.
        """
        if self._index is None:
            raise InputError("search() was called without a corpus; call index() first")
        asked = {str(row["id"]): _question(row) for row in queries}
        if top_ranked is not None:
            return self._ordered(self._index, asked, top_ranked)
        parts = Parts(self._index, {}, {})
        search = parts.search_of(self._system, top_k)
        questions = [Question(key, text, {}) for key, text in asked.items()]
        found = {}
        for at in range(0, len(questions), BLOCK):
            for one in search.ask_all(questions[at : at + BLOCK]):
                found[one.question] = dict(zip(one.ids, one.scores, strict=True))
        parts.close()
        return found

    def _ordered(
        self,
        index: HybridIndex,
        asked: Mapping[str, str],
        among: Mapping[str, Sequence[str]],
    ) -> dict[str, dict[str, float]]:
        if self._system.reranker or self._system.rewriting or self._system.questions:
            raise InputError(
                f"{str(self._system)!r} is more than a search; give arms and a fusion where MTEB "
                "names the passages to order"
            )
        found = {}
        for key, text in asked.items():
            ids = list(among.get(key, ()))
            hits = index.search(
                text, len(ids), filter=index.id_filter(ids), options=self._system.search
            )
            found[key] = {hit.id: hit.score for hit in hits}
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the index of the last task; a temporary folder is deleted."""
        self._index = None
        self._open.close()


def _text(row: Mapping[str, Any]) -> str:
    text = row.get("text")
    if not isinstance(text, str):
        raise InputError(f"the text of {row.get('id')!r} is a {type(text).__name__}; give a text")
    return text


def _question(row: Mapping[str, Any]) -> str:
    return f"{_text(row)} {row.get('instruction') or ''}".strip()
