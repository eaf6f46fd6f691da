"""From pairs to a folder that trainers take: cleaned, split, with negatives, and checked."""

from __future__ import annotations

import csv
import io
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from trivec._runtime.paths import user_path
from trivec._runtime.plain import fingerprint_name
from trivec._runtime.typed import check_fields, checked
from trivec.arms import ARMS, COLBERT
from trivec.errors import InputError
from trivec.index import HybridIndex, IndexConfig
from trivec.index.options import Progress
from trivec.protocols import Encoder, Reranker
from trivec.training.data.cleaning import CleaningOptions, Dropped, cleaned
from trivec.training.data.examples import TrainingExample, write_examples
from trivec.training.data.leaks import find_leaks, require_no_leaks
from trivec.training.data.likeness import Signatures, signatures_of
from trivec.training.data.mining import Mined, Miner, MiningOptions
from trivec.training.data.pairs import Corpus, CorpusPassage, Gathered, Pair
from trivec.training.data.reports import DatasetReport, reported
from trivec.training.data.splitting import Separated, SplitOptions, separated, splits_of
from trivec.training.data.teaching import DenseTeacher
from trivec.training.data.writing import ResumedLines, alone_in, written_whole
from trivec.types import Chunk

__all__ = ["DatasetOptions", "build_dataset", "indexed_passages"]

logger = logging.getLogger(__name__)

DOMINANT = 0.5
"""The share of pairs from which a rule is named in a warning: it may be the wrong one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetOptions:
    """How pairs become examples.

    Attributes:
        cleaning: which pairs are dropped.
        split: which documents are kept for judging.
        mining: which negatives pairs get.

    Raises:
        InputError: something else was given.
    """

    cleaning: CleaningOptions = field(default_factory=CleaningOptions)
    split: SplitOptions = field(default_factory=SplitOptions)
    mining: MiningOptions = field(default_factory=MiningOptions)

    def __post_init__(self) -> None:
        check_fields(self)


@contextmanager
def indexed_passages(
    gathered: Gathered, encoder: Encoder, folder: str | Path, *, progress: Progress | None = None
) -> Iterator[HybridIndex]:
    """Yield an index of passages that no index holds yet; what is there is not encoded again.

    Args:
        gathered: with passages of its own.
        encoder: the model.
        folder: of the index.
        progress: called with the number of passages dealt with.

    Raises:
        InputError: a passage was refused.
        CollectionError: the folder holds the index of another model.
    """
    arms = tuple(arm.name for arm in ARMS if arm.is_made_by(encoder.info) and arm != COLBERT)
    with HybridIndex.open(folder, encoder, config=IndexConfig(arms=arms)) as index:
        report = index.add(map(_chunk, gathered.passages.values()), progress=progress)
        report.require_complete()
        if report.added or report.updated:
            index.optimize()
        yield index


def _chunk(passage: CorpusPassage) -> Chunk:
    """Return the chunk that has a passage's key."""
    source = passage.document if passage.key.startswith(passage.document) else None
    return Chunk(passage.text, id=passage.key, source=source, position=passage.position)


@checked
def build_dataset(
    gathered: Gathered,
    index: HybridIndex,
    folder: str | Path,
    options: DatasetOptions | None = None,
    *,
    reranker: Reranker | None = None,
    progress: Progress | None = None,
) -> DatasetReport:
    """Clean pairs, split them by document, mine negatives, and write what trainers take.

    The folder gets ``train.jsonl``, ``dev.jsonl`` and ``test.jsonl``, which FlagEmbedding's
    trainers read. With ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/`` it is a dataset in
    BEIR's form, too, so that ``trivec compare`` takes it. ``dropped.jsonl`` names each pair that
    is not used, ``short.jsonl`` those with fewer negatives than wanted. ``report.json`` comes
    last: a folder without it is not finished.

    A run that was ended goes on where it was: no question is searched again. Nothing in the
    result depends on that, nor on the order of the pairs.

    Args:
        gathered: passages and pairs.
        index: holds these passages; negatives are found in it.
        folder: is made; its files of an earlier run are replaced.
        options: the rules.
        reranker: a cross-encoder that looks at negatives. Its scores are written, and can be
            distilled from.
        progress: called with the number of questions that were searched for.

    Returns:
        What became of each pair; its counts add up.

    Raises:
        InputError: too few documents or no example is left, or the parts share something.
        CollectionLockedError: another process writes into the folder.
        MissingDependencyError: datasketch is not installed.

    Example:
        >>> report = build_dataset(gather(index), index, "training")  # doctest: +SKIP
        >>> print(report)  # doctest: +SKIP
    """
    place, rules = user_path("folder", folder), options or DatasetOptions()
    with alone_in(place):
        (place / "report.json").unlink(missing_ok=True)
        building = _Building(gathered, index, place, rules, reranker)
        report = building.built(progress)
        with written_whole(place / "report.json") as file:
            file.write(orjson.dumps(report.to_json(), option=orjson.OPT_INDENT_2))
    for rule, count in report.dropped.items():
        if count > DOMINANT * report.given:
            logger.warning(
                "the rule %r dropped %d of %d pairs; dropped.jsonl has them. If it is wrong here, "
                "switch it off: without=(%r,)",
                rule,
                count,
                report.given,
                rule,
            )
    return report


@dataclass(frozen=True, slots=True)
class _Building:
    gathered: Gathered
    index: HybridIndex
    folder: Path
    options: DatasetOptions
    reranker: Reranker | None

    def built(self, progress: Progress | None) -> DatasetReport:
        corpus, cleaning = self.gathered.passages, self.options.cleaning
        kept, dropped = cleaned(self.gathered.pairs, corpus, cleaning)
        if not kept:
            raise InputError(
                f"no pair is left: {_counted(dropped)}; switch rules off, or give more"
            )
        splits = splits_of((pair.document for pair in kept), self.options.split)
        signatures = signatures_of(one.text for one in corpus.values())
        parts = separated(kept, corpus, splits, signatures, cleaning)
        dropped += parts.dropped
        train, teacher = parts.pairs["train"], None
        if train:
            questions = [pair.question for pair in train]
            seed = self.options.mining.seed
            teacher = DenseTeacher.of(self.index, corpus, questions, seed=seed)
        mined = self._mined(parts, signatures, teacher, progress)
        trained, unused = self._judged(train, mined)
        dropped += unused
        if not trained:
            raise InputError(
                f"nothing is left to train on: {_counted(dropped)}; switch rules off, or give more"
            )
        self._write(parts, trained, mined, dropped)
        self._check()
        pairs = {**parts.pairs, "train": trained}
        return reported(self.gathered, pairs, mined, dropped, self._about(teacher, parts))

    def _mined(
        self,
        parts: Separated,
        signatures: Signatures,
        teacher: DenseTeacher | None,
        progress: Progress | None,
    ) -> dict[str, Mined]:
        """Return what was found for each training pair, by its id; known results are kept."""
        miner = Miner(
            index=self.index,
            corpus=self.gathered.passages,
            pool=parts.pool,
            signatures=signatures,
            teacher=teacher,
            options=self.options.mining,
            within=self.options.cleaning.rank_of(len(self.gathered.passages)),
            reranker=self.reranker,
        )
        about = {**self._about(teacher, parts), "within": miner.within}
        lines = ResumedLines(self.folder / "mining.jsonl", about)
        train = parts.pairs["train"]
        missing = [pair for pair in train if _digest(pair) not in lines.known]
        if progress is not None and len(train) > len(missing):
            progress(len(train) - len(missing))
        with lines.open():
            for pair, found in miner.over(missing):
                lines.add(_digest(pair), found.to_json())
                if progress is not None:
                    progress(1)
        return {pair.id: Mined.from_json(lines.known[_digest(pair)]) for pair in train}

    def _judged(
        self, train: Sequence[Pair], mined: Mapping[str, Mined]
    ) -> tuple[list[Pair], list[Dropped]]:
        """Return the pairs whose passage comes back and that have enough negatives."""
        cleaning, least = self.options.cleaning, self.options.mining.least
        within = cleaning.rank_of(len(self.gathered.passages))
        kept: list[Pair] = []
        dropped: list[Dropped] = []
        for pair in train:
            found = mined[pair.id]
            if cleaning.has("unanswerable") and (found.rank is None or found.rank > within):
                why = f"rank {found.rank or 'beyond what was searched'}, wanted {within}"
                dropped.append(Dropped(pair, "unanswerable", why))
            elif cleaning.has("too few negatives") and len(found.negatives) < least:
                dropped.append(Dropped(pair, "too few negatives", f"{len(found.negatives)}"))
            else:
                kept.append(pair)
        return kept, dropped

    def _write(
        self,
        parts: Separated,
        trained: Sequence[Pair],
        mined: Mapping[str, Mined],
        dropped: Sequence[Dropped],
    ) -> None:
        corpus, folder = self.gathered.passages, self.folder
        with _lines(folder / "corpus.jsonl") as add:
            for passage in corpus.values():
                add({"_id": passage.key, "text": passage.text, "source": passage.document})
        pairs = {**parts.pairs, "train": trained}
        with _lines(folder / "queries.jsonl") as add:
            for part in pairs.values():
                for pair in part:
                    add({"_id": pair.id, "text": pair.question})
        for split, chosen in pairs.items():
            with written_whole(folder / "qrels" / f"{split}.tsv") as file:
                rows = ((pair.id, key, 1) for pair in chosen for key in pair.positives)
                file.write(_table([("query-id", "corpus-id", "score"), *rows]))
            examples = (_example(pair, corpus, mined.get(pair.id)) for pair in chosen)
            write_examples(folder / f"{split}.jsonl", examples)
        with _lines(folder / "dropped.jsonl") as add:
            for one in dropped:
                told = {"rule": one.rule, "why": one.why, "question": one.pair.question}
                add({**told, "passages": one.pair.positives, "id": one.pair.id})
        with _lines(folder / "short.jsonl") as add:
            for pair in trained:
                found = mined[pair.id]
                if len(found.negatives) < self.options.mining.count:
                    told = {"id": pair.id, "question": pair.question}
                    add({**told, "negatives": len(found.negatives), "filtered": found.filtered})

    def _check(self) -> None:
        threshold = self.options.cleaning.threshold
        if self.options.cleaning.has("held out"):
            require_no_leaks(self.folder, threshold=threshold)
            return
        if leaks := find_leaks(self.folder, threshold=threshold):
            logger.warning(
                "nothing was held out, and %d things of the training set stand in the sets that "
                "judge the model; their figures will flatter it",
                len(leaks),
            )

    def _about(self, teacher: DenseTeacher | None, parts: Separated) -> dict[str, Any]:
        """Return what the mined negatives follow from."""
        corpus = sha256()
        for passage in self.gathered.passages.values():
            for text in (passage.key, passage.document, passage.text):
                corpus.update(text.encode("utf-8", "surrogatepass") + b"\0")
            corpus.update(b"1\n" if passage.key in parts.pool else b"0\n")
        rules = asdict(self.options)
        return {
            "trivec": version("trivec"),
            "model": fingerprint_name(self.index.encoder.info),
            "corpus": corpus.hexdigest()[:16],
            "options": orjson.loads(orjson.dumps(rules)),
            "scores": "dense" if teacher else "search",
            "reranker": None if self.reranker is None else repr(self.reranker),
            "floor": None if teacher is None else round(teacher.floor, 6),
        }


def _example(pair: Pair, corpus: Corpus, mined: Mined | None) -> TrainingExample:
    """Return a pair as trainers read it; pairs that judge a model have no negatives."""
    negatives = mined.negatives if mined else ()
    return TrainingExample(
        query=pair.question,
        pos=tuple(corpus[key].text for key in pair.positives),
        neg=tuple(corpus[key].text for key in negatives),
        pos_scores=tuple(round(score, 6) for score in mined.positive_scores) if mined else (),
        neg_scores=tuple(round(score, 6) for score in mined.negative_scores) if mined else (),
        pos_ids=pair.positives,
        neg_ids=negatives,
        source=pair.document,
        id=pair.id,
    )


def _digest(pair: Pair) -> str:
    """Return what changes whenever the negatives of a pair may."""
    told = [pair.id, pair.question, pair.positives, pair.rejected, pair.apart]
    return sha256(orjson.dumps(told)).hexdigest()[:24]


def _counted(dropped: Iterable[Dropped]) -> str:
    counts = Counter(one.rule for one in dropped)
    return ", ".join(f"{count} {rule}" for rule, count in counts.items()) or "none was given"


def _table(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


@contextmanager
def _lines(path: Path) -> Iterator[Any]:
    with written_whole(path) as file:
        yield lambda record: file.write(orjson.dumps(record) + b"\n")
