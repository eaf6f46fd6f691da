"""A first day with trivec: 220 files in every format and encoding, through the commands.

Run by ``make trial``. The files are made by code, in seven languages; three of them are broken.
They are indexed, indexed again, renamed, moved, changed and deleted; each format and each encoding
is searched for. Ends with status 1 where an expectation does not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Self

from tests.corpus import ENCODED, write_corpus

import trivec.loading
from trivec import cli
from trivec.mini import MiniEncoder

COPIES = 7
RENAMED = "renamed "
SHOWN = 12
"""Lines of a command's output."""


class CountingEncoder(MiniEncoder):
    """The small model; it counts the passages that it encodes."""

    encoded = 0

    def encode_documents(self, texts: Sequence[str], **more: Any) -> Any:
        """Encode passages, and count them."""
        self.encoded += len(texts)
        return super().encode_documents(texts, **more)


@dataclass
class Trial:
    """The commands of one day, and what was not as expected.

    Attributes:
        folder: where the files and the index are.
        encoder: loaded once; each command would load its own.
        wrong: what did not hold.
    """

    folder: Path
    encoder: CountingEncoder = field(default_factory=CountingEncoder)
    wrong: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._load, trivec.loading.load_encoder = trivec.loading.load_encoder, self._loaded
        return self

    def __exit__(self, *_: object) -> None:
        trivec.loading.load_encoder = self._load

    def _loaded(self, *_: object, **__: object) -> CountingEncoder:
        return self.encoder

    def run(self, *arguments: object, code: int = 0, silent: bool = False) -> str:
        """Run a command, print it with its output, and return its stdout."""
        out, err = io.StringIO(), io.StringIO()
        before, start = self.encoder.encoded, perf_counter()
        sys.argv = ["trivec", *map(str, arguments)]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                cli.main()
            except SystemExit as end:
                status = end.code or 0
        seconds, encoded = perf_counter() - start, self.encoder.encoded - before
        if not silent or status != code:
            print(f"$ trivec {shlex.join(map(str, arguments))}")
            lines = (err.getvalue() + out.getvalue()).splitlines()
            print("\n".join(lines[:SHOWN]))
            if len(lines) > SHOWN:
                print(f"... {len(lines) - SHOWN} more lines")
            print(f"(exit code {status}, {encoded} passages encoded, {seconds:.1f} s)\n")
        self.expect(status == code, f"exit code {status} of {arguments[0]}, expected {code}")
        return out.getvalue()

    def sync(self, *more: str, encoded: Callable[[dict[str, Any]], int], **expected: object) -> Any:
        """Bring the index up to date; its report must have these values."""
        before = self.encoder.encoded
        report = json.loads(self.run("sync", "kb", "docs", "--json", *more, code=3, silent=True))
        said = {name: report[name] for name in ("added", "updated", "skipped", "deleted", "reused")}
        said |= {"files": report["files"], "gone": len(report["gone"])}
        said["left out"] = len(report["left_out"])
        cost = self.encoder.encoded - before
        print(f"$ trivec sync kb docs --json {' '.join(more)}")
        print(", ".join(f"{value} {name}" for name, value in said.items()), end="")
        print(f"; {cost} passages encoded, {report['seconds']:.1f} s\n")
        for name, value in expected.items():
            self.expect(said[name] == value, f"sync: {said[name]} {name}, expected {value}")
        self.expect(cost == encoded(report), f"sync encoded {cost}, expected {encoded(report)}")
        return report

    def sources(self, query: str, *more: object, k: int = 1) -> list[str]:
        """Return the sources of what a search finds."""
        found = json.loads(self.run("search", "kb", query, "-k", k, "--json", *more, silent=True))
        return [hit["source"] for hit in found["hits"]]

    def expect(self, holds: bool, otherwise: str) -> None:  # noqa: FBT001
        """Note what does not hold."""
        if not holds:
            print(f"WRONG: {otherwise}")
            self.wrong.append(otherwise)


def new(report: dict[str, Any]) -> int:
    """Return how many passages a sync must have encoded."""
    return int(report["added"] + report["updated"] - report["reused"])


def find_everything(trial: Trial, words: dict[str, str], *, title: str) -> None:
    """Search for the word of one file of every kind, and for the sentence of every encoding."""
    print(f"# {title}: a word that one file alone holds, for each format and encoding")
    by_kind: dict[str, list[str]] = {}
    for source in words:
        by_kind.setdefault(Path(source).name, []).append(source)
    right = 0
    for number, sources in enumerate(by_kind.values()):
        source = sources[number % len(sources)]
        # by words alone: this is about what was read. The default fusion puts a near twin, such
        # as cp1253word0 for cp1252word0, before one word in sixteen
        found = trial.sources(words[source], "--arms", "bm25")
        right += found == [source]
        trial.expect(found == [source], f"{words[source]}: found {found}, it is in {source}")
    print(f"{right} of {len(by_kind)} found first\n")
    print(f"# {title}: the sentence of each encoding")
    held = {Path(source).name.removeprefix(RENAMED) for source in words}
    for encoding, sentence in ENCODED.items():
        alike = {name for name, text in ENCODED.items() if text == sentence}
        names = {f"{name.replace('-', '').replace('_', '')}.txt" for name in alike} & held
        if not names:
            continue  # all of them are deleted
        (first,) = trial.sources(sentence)
        right = Path(first).name.removeprefix(RENAMED) in names
        trial.expect(right, f"{encoding}: {sentence} found {first}")
        print(f"{encoding:11} {first:26} {sentence}")
    print()


def rename_and_move(docs: Path, words: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Rename a file of every kind in the first folder, move the last folder; yield both names."""
    folders = sorted({source.split("/", maxsplit=1)[0] for source in words})
    first, last = folders[0], folders[-1]
    for source in list(words):
        folder, name = source.split("/")
        if folder == first:
            there = f"{folder}/{RENAMED}{name}"
            docs.joinpath(source).rename(docs / there)
            yield source, there
        elif folder == last:
            yield source, f"moved/deep/{name}"
    if last != first:
        docs.joinpath("moved").mkdir()
        docs.joinpath(last).rename(docs / "moved" / "deep")


def delete_some(docs: Path, words: dict[str, str]) -> list[str]:
    """Delete every fifth file; return their sources."""
    gone = list(words)[::5]
    for source in gone:
        docs.joinpath(source).unlink()
    return gone


def run_trial(folder: Path, *, copies: int = COPIES) -> list[str]:
    """Go through the day in an empty folder; return what was not as expected."""
    docs = folder / "docs"
    words = write_corpus(docs, copies=copies)
    count = len(words) + 3
    print(f"# {count} files: {len(words)} good ones, 3 broken\n")
    with contextlib.chdir(folder), Trial(folder) as trial:
        trial.run("sync", "kb", "docs", "--model", "mini", code=3)
        first = trial.sync(encoded=lambda _: 0, files=count, added=0, updated=0, deleted=0)
        trial.run("info", "kb")
        find_everything(trial, words, title="indexed")

        moved = dict(rename_and_move(docs, words))
        words = {moved.get(source, source): word for source, word in words.items()}
        trial.sync("--dry-run", encoded=lambda _: 0, gone=len(moved), updated=0)
        trial.sync(encoded=lambda _: 0, gone=len(moved), updated=0)
        trial.sync(encoded=lambda _: 0, added=0, deleted=0, skipped=first["skipped"])
        find_everything(trial, words, title="renamed and moved")

        gone = delete_some(docs, words)
        lost = {source: words.pop(source) for source in gone}
        trial.sync(encoded=lambda _: 0, gone=len(gone), added=0, updated=0, files=count - len(gone))
        for source, word in list(lost.items())[:: max(1, len(lost) // 12)]:
            found = trial.sources(word, k=99)
            trial.expect(source not in found, f"{source} is deleted and still found")
        find_everything(trial, words, title="after deleting")

        changed = [source for source in words if source.endswith(".md")]
        for source in changed:
            text = docs.joinpath(source).read_text("utf-8")
            docs.joinpath(source).write_text(f"{text}\n## New part\n\nA new sentence.\n", "utf-8")
        trial.sync(encoded=new, gone=0, added=len(changed), updated=0)
        trial.run("ask", "kb", "この製品の保証期間は？", "--evidence", "-k", 3)
        trial.run("check", "kb")
    return trial.wrong


def main() -> None:
    """Run the trial in a folder that is removed afterwards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=COPIES, help="of the 31 kinds of files")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="trivec-trial-"))
    try:
        wrong = run_trial(folder, copies=arguments.copies)
    finally:
        shutil.rmtree(folder)
    print(f"{len(wrong)} things were not as expected")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
