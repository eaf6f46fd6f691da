"""Which texts are nearly the same: shingles of characters, signatures by MinHash.

Characters rather than words, so that Chinese, which has no spaces, is compared as English is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivec._runtime.dependencies import unavailable

__all__ = [
    "Signatures",
    "jaccard",
    "likeness_to",
    "near_duplicates",
    "normalised",
    "origin_of",
    "shingles",
    "signatures_of",
]

Signatures: TypeAlias = NDArray[np.uint32]
"""``(texts, PERMUTATIONS)``: how many values two rows share is how alike their texts are."""

PERMUTATIONS = 128
BANDS, ROWS = 16, 8
"""Texts that agree in all rows of a band are compared: 95 % of those that share .8, and of those
that share .3 one in a thousand."""

COMPARED = 4
"""Texts of a band that another is compared with at most: time grows with the texts alone."""

LATIN, HAN = 4, 2
"""Characters of a shingle; a Chinese character says about as much as two Latin letters."""

_LETTERS = re.compile(r"[^\W_]+")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_NUMBERS = re.compile(r"\d+")
_PRIME = np.uint64(1_099_511_628_211)
_MIXED = np.array([pow(int(_PRIME), at, 2**64) for at in range(1, ROWS + 1)], dtype=np.uint64)


def normalised(text: str) -> str:
    """Return a text's letters and digits: one case, one width, no punctuation, single spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_LETTERS.findall(folded))


def shingles(text: str, *, longer: int = 0) -> NDArray[np.uint32]:
    """Return the distinct hashes of a normalised text's shingles, in order.

    Args:
        text: of which ``normalised`` made it.
        longer: characters that a shingle has more than usual.
    """
    han = 2 * len(_CJK.findall(text)) > len(text)
    joined = text.replace(" ", "") if han else text
    size = min((HAN if han else LATIN) + longer, max(len(joined), 1))
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    if not len(codes):
        return np.zeros(0, dtype=np.uint32)
    windows = np.lib.stride_tricks.sliding_window_view(codes.astype(np.uint64), size)
    hashes = np.zeros(len(windows), dtype=np.uint64)
    for column in range(size):  # FNV-1a over characters; it wraps around, which is meant
        hashes = (hashes ^ windows[:, column]) * _PRIME
    return np.unique((hashes >> np.uint64(32)).astype(np.uint32))


def jaccard(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> float:
    """Return the share of shingles that two texts have in common, 0 to 1."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / max(len(one) + len(other) - shared, 1)


def signatures_of(texts: Iterable[str]) -> Signatures:
    """Return the MinHash signature of each text.

    Raises:
        MissingDependencyError: datasketch is not installed.
    """
    try:
        from datasketch import MinHash
    except ImportError as err:
        raise unavailable(err, "datasketch", "training") from err
    hashed = (shingles(normalised(text)).tolist() for text in texts)
    made = MinHash.generator(hashed, num_perm=PERMUTATIONS, hashfunc=int)
    rows = [minhash.hashvalues.astype(np.uint32) for minhash in made]
    return np.stack(rows) if rows else np.zeros((0, PERMUTATIONS), dtype=np.uint32)


def likeness_to(signature: Signatures, others: Signatures) -> NDArray[np.float64]:
    """Return how alike texts are to one, 0 to 1, by their signatures: within .09 of the truth."""
    return np.asarray((others == signature).mean(axis=1))


def origin_of(repeats: Mapping[int, int], at: int) -> int:
    """Return the first of the texts that one repeats; the text itself where it repeats none."""
    while at in repeats:
        at = repeats[at]
    return at


@dataclass(frozen=True, slots=True)
class _Text:
    shingles: NDArray[np.uint32]
    numbers: frozenset[str]


def near_duplicates(
    texts: Sequence[str],
    *,
    threshold: float,
    same_numbers: bool = False,
    signatures: Signatures | None = None,
) -> dict[int, int]:
    """Return, for each text that repeats an earlier one, the place of that one.

    Args:
        texts: any number; time and memory grow with it alone.
        threshold: the least share of shingles in common, 0 to 1; 1 finds equal texts alone.
        same_numbers: take texts whose numbers differ for different: "in 2019" asks something
            else than "in 2020".
        signatures: of the texts, where they are known.

    Raises:
        MissingDependencyError: datasketch is not installed.
    """
    plain = [normalised(text) for text in texts]
    first: dict[str, int] = {}
    found = {at: first[text] for at, text in enumerate(plain) if first.setdefault(text, at) != at}
    if threshold >= 1:
        return found
    distinct = [at for at in range(len(plain)) if at not in found]
    if signatures is None:
        rows = signatures_of(plain[at] for at in distinct)
    else:
        rows = signatures[distinct]
    for band in range(BANDS):
        part = np.ascontiguousarray(rows[:, band * ROWS : (band + 1) * ROWS])
        for alike in _buckets(part):
            places = [distinct[at] for at in alike]
            _compare(places, plain, found, threshold, same_numbers=same_numbers)
    return found


def _buckets(rows: Signatures) -> list[list[int]]:
    """Return the places of rows that are equal, of every row that is there more than once."""
    if not len(rows):
        return []
    # one number for a row: numbers are sorted a hundred times as fast, and what is equal by mere
    # chance is compared below
    keys = (rows.astype(np.uint64) * _MIXED).sum(axis=1, dtype=np.uint64)
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(keys[order][1:] != keys[order][:-1]) + 1
    return [part.tolist() for part in np.split(order, edges) if len(part) > 1]


def _compare(
    places: Sequence[int],
    plain: Sequence[str],
    found: dict[int, int],
    threshold: float,
    *,
    same_numbers: bool,
) -> None:
    """Note which of some texts repeats one of the first."""
    kept: list[tuple[int, _Text]] = []
    for place in places:
        if place in found:
            continue
        text = _Text(shingles(plain[place]), frozenset(_NUMBERS.findall(plain[place])))
        for earlier, other in kept:
            if same_numbers and text.numbers != other.numbers:
                continue
            if jaccard(text.shingles, other.shingles) >= threshold:
                found[place] = earlier
                break
        else:
            if len(kept) < COMPARED:
                kept.append((place, text))
