"""Fits the map that ``mini`` puts the dense vectors of queries through.

    pip install django==5.2.19
    python scripts/fit_query_map.py [--out FILE]

The directions in which a text's translations differ are read from the message catalogs that come
with Django (BSD-3-Clause): some hundred short sentences of an administration page, in sixty
languages. Nothing of them is kept but the numbers. Each message is encoded as a query and as a
passage; its vectors are one class. What is left around the mean of each class is noise of language
and of form. Along each direction a query is shortened by ``noise / (noise + FLOOR * mean noise)``.

How far to go (FLOOR, OFFSET, DIRECTIONS) was chosen on the German questions of XQuAD over its
Spanish passages and the other way.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save_file

from trivec.encoders import OnnxOptions
from trivec.encoders.local import Usage
from trivec.encoders.query_map import QUERY_MAP
from trivec.mini import MiniEncoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHIPPED = Path(__file__).parent.parent / "src" / "trivec" / "mini" / QUERY_MAP
FLOOR, OFFSET, DIRECTIONS = 10.0, 0.3, 48
LENGTHS = range(25, 300)  # of the English message, in characters
MESSAGES = 100
ENOUGH = 120  # messages that a language must have
MOST_HOLES = 0.1  # languages that may lack a message
LEFT_OUT = {
    *("en_AU", "en_GB", "es_AR", "es_CO", "es_MX", "es_VE", "ar_DZ", "sr_Latn"),
    *("dsb", "hsb", "ia", "nn"),
}
"""Each is nearly another one, or spoken by few."""

_QUOTED = r'((?:".*"\n?)+)'
_PLACE = re.compile(r"%\([a-z_]+\)[sd]|%[sd]|\{[a-z_]*\}")


class Plain(MiniEncoder):
    """``mini`` without the map."""

    def _usage(self) -> Usage:
        return replace(super()._usage(), query_map=None)


def catalogs() -> dict[str, dict[str, str]]:
    """Return the messages of each language by their English."""
    spec = find_spec("django")
    if spec is None or spec.origin is None:
        raise SystemExit("run: pip install django==5.2.19")
    messages: dict[str, dict[str, str]] = defaultdict(dict)
    for file in sorted(Path(spec.origin).parent.rglob("django.po")):
        language = file.parts[-3]
        for english, text in entries(file.read_text("utf-8")):
            if len(english) in LENGTHS and "<" not in english and english.count("%") <= 2:
                said = text or (english if language == "en" else "")
                if said:
                    messages[language][english] = said
    return messages


def entries(catalog: str) -> Iterator[tuple[str, str]]:
    """Yield the messages of a catalog that were translated, without plurals."""
    for block in catalog.split("\n\n"):
        if "#, fuzzy" in block or "msgid_plural" in block:
            continue
        parts = [
            re.search(rf"^{name} {_QUOTED}", block, re.MULTILINE) for name in ("msgid", "msgstr")
        ]
        if all(parts):
            yield tuple(  # type: ignore[misc]  # two of them
                "".join(ast.literal_eval(line) for line in part[1].strip().split("\n"))
                for part in parts
                if part
            )


def chosen(messages: dict[str, dict[str, str]]) -> tuple[list[str], list[str]]:
    """Return the languages and the English messages that nearly all of them have."""
    languages = [
        one for one in sorted(messages) if len(messages[one]) >= ENOUGH and one not in LEFT_OUT
    ]
    least = (1 - MOST_HOLES) * len(languages)
    common = [
        text for text in messages["en"] if sum(text in messages[one] for one in languages) >= least
    ]
    return languages, common[:MESSAGES]


def vectors(
    languages: list[str], common: list[str], messages: dict[str, dict[str, str]]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the dense vectors of all translations, and the number of the message of each."""
    encoder = Plain(OnnxOptions(precision="fp32"))
    rows: list[NDArray[np.float32]] = []
    numbers: list[int] = []
    for language in languages:
        held = [at for at, text in enumerate(common) if text in messages[language]]
        texts = [_PLACE.sub("…", messages[language][common[at]]).strip() for at in held]
        for encode in (encoder.encode_queries, encoder.encode_documents):
            rows += [one.dense for one in encode(texts, heads=("dense",)) if one.dense is not None]
            numbers += held
    return np.stack(rows).astype(np.float64), np.array(numbers)


def fitted(rows: NDArray[np.float64], numbers: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
    """Return the map's tensors."""
    means = np.stack([rows[numbers == at].mean(axis=0) for at in range(numbers.max() + 1)])
    around = rows - means[numbers]
    noise, directions = np.linalg.eigh(around.T @ around / len(around))
    shares = noise / (noise + FLOOR * noise.mean())
    tensors = {
        "offset": OFFSET * rows.mean(axis=0),
        "directions": directions.T[-DIRECTIONS:],
        "shares": shares[-DIRECTIONS:],
    }
    return {name: np.ascontiguousarray(one, np.float32) for name, one in tensors.items()}


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=SHIPPED)
    out = parser.parse_args().out
    messages = catalogs()
    languages, common = chosen(messages)
    save_file(fitted(*vectors(languages, common, messages)), out)


if __name__ == "__main__":
    main()
