"""What systems found, a line for each question, kept in a folder so that a run can go on."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

__all__ = ["QuestionResult", "Records", "records_file"]

logger = logging.getLogger(__name__)

_NOT_FOR_NAMES = re.compile(r"[^\w.+=-]+")
LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """What one question found.

    Attributes:
        question: its id.
        ids: of passages, best first.
        scores: theirs, as they were ranked by.
        milliseconds: by stage: ``rewrite``, ``search``, ``rerank``.
        error: what went wrong; nothing was found then.
    """

    question: str
    ids: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    error: str = ""

    def to_line(self) -> str:
        """Return one line of JSON."""
        return json.dumps(
            {
                "question": self.question,
                "ids": self.ids,
                "scores": self.scores,
                "ms": {stage: round(time, 3) for stage, time in self.milliseconds.items()},
                **({"error": self.error} if self.error else {}),
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_line(cls, line: str) -> QuestionResult:
        """Read what ``to_line`` wrote.

        Raises:
            ValueError, KeyError, TypeError: it is not that; a run that was killed leaves such.
        """
        data = json.loads(line)
        return cls(
            data["question"],
            tuple(data["ids"]),
            tuple(data["scores"]),
            data["ms"],
            data.get("error", ""),
        )


class Records:
    """The results of one system, in memory and, where there is a file, in its lines.

    Args:
        path: of JSON lines; None keeps them in memory alone.
        about: what the results are of; a file about something else is begun anew.
    """

    def __init__(self, path: Path | None, about: Mapping[str, Any]) -> None:
        self.results: dict[str, QuestionResult] = {}
        self._path = path
        self._about = json.dumps(about, ensure_ascii=False, sort_keys=True)
        self._file: IO[str] | None = None
        if path is not None and path.is_file():
            self._read(path)

    @contextmanager
    def open(self) -> Iterator[Records]:
        """Keep the file open for what is added; what it held of something else is gone."""
        if self._path is None:
            yield self
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        kept = [self._about, *(result.to_line() for result in self.results.values())]
        beside = self._path.with_suffix(".new")  # a kill must not find the file half written
        beside.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        beside.replace(self._path)
        with self._path.open("a", encoding="utf-8") as self._file:
            yield self
        self._file = None

    def add(self, result: QuestionResult) -> None:
        """Keep a result; it is in the file when this returns."""
        self.results[result.question] = result
        if self._file is not None:
            self._file.write(result.to_line() + "\n")
            self._file.flush()

    def _read(self, path: Path) -> None:
        about, *lines = path.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
        if about != self._about:
            logger.warning(
                "%s is of another dataset, index, depth or version of trivec; it is begun anew",
                path,
            )
            return
        for line in lines:
            try:
                result = QuestionResult.from_line(line)
            except (ValueError, KeyError, TypeError):
                logger.warning("%s: a line is cut off; its question is asked again", path)
                continue
            if not result.error:  # what failed is tried again
                self.results[result.question] = result


def records_file(folder: Path, system: str) -> Path:
    """Return the file of a system in a run's folder; its name can be read, and is its own."""
    name = _NOT_FOR_NAMES.sub("-", system).strip("-")[:LONGEST_NAME]
    return folder / f"{name}.{sha256(system.encode()).hexdigest()[:8]}.jsonl"
