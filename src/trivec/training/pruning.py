"""A model without the tokens that a corpus and its languages never need."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trivec._models.folder import weight_files
from trivec._models.folder_tokenizer import read_tokenizer
from trivec._models.tokenizing import encodable
from trivec._models.weights import stored_tensors
from trivec._runtime.checks import check_texts
from trivec._runtime.dependencies import unavailable
from trivec._runtime.paths import user_path
from trivec._runtime.typed import checked
from trivec.encoders.model_folder import COLBERT_HEAD, EXPECTED, SPARSE_HEAD, inspect_folder
from trivec.encoders.stated import StatedUsage
from trivec.errors import InputError, ModelError
from trivec.loading import load_encoder
from trivec.training.saving import TAKEN, WEIGHTS, put_in_place, write_usage

__all__ = ["PrunedModel", "prune_model"]

ANCHOR = "embeddings.word_embeddings.weight"
WIDE_SCRIPTS = (
    (0x3040, 0x30FF),  # Hiragana and Katakana
    (0x3400, 0x4DBF),  # Han, rare
    (0x4E00, 0x9FFF),  # Han
    (0xAC00, 0xD7AF),  # Hangul
)
"""Scripts of so many characters that no corpus shows all of those of its language."""
OF_SLOW_TOKENIZERS = {"sentencepiece.bpe.model", "vocab.txt"}
AT_ONCE = 1000
ONE_TOKEN = "tokenizer.json"  # noqa: S105  # the name of a file


@dataclass(frozen=True, slots=True)
class PrunedModel:
    """What pruning has kept.

    Attributes:
        folder: the smaller model.
        tokens: of the vocabulary that are kept.
        of: tokens that it had.
        in_corpus: of those kept, what the texts themselves use.
        weight_bytes: of the smaller model's weights.
        bytes_before: of the model's.
    """

    folder: Path
    tokens: int
    of: int
    in_corpus: int
    weight_bytes: int
    bytes_before: int


@checked
def prune_model(
    model: str | Path, out: str | Path, texts: Iterable[str], *, corpus_only: bool = False
) -> PrunedModel:
    """Write a model that knows the tokens of a corpus and of its languages alone.

    A token is kept where the corpus uses it, or where all its characters are the corpus's; of
    Chinese, Japanese and Korean script all characters count as soon as there is one. A text of
    kept tokens has the same vectors as before, under other sparse indices: an index has to be
    written again. Other texts fall into smaller pieces. For a folder neither torch nor transformers
    is needed.

    Args:
        model: ``"mini"``, a hub id, or a folder in the BGE-M3 format.
        out: the folder to write; it must not be there.
        texts: of the corpus, and questions about it if there are any.
        corpus_only: keep what the texts use, and single characters of theirs, but no more.

    Raises:
        InputError: ``out`` exists, or there are no texts.
        ModelError: the model cannot be found, or its tokenizer is of a kind that cannot be pruned.
    """
    target = user_path("out", out)
    if target.exists():
        raise InputError(f"{target} exists already; give another folder, or remove it")
    encoder = load_encoder(model, backend="flag")
    base = inspect_folder(encoder.folder)
    info = encoder.info
    usage = StatedUsage(str(info.pooling), info.query_instruction, info.passage_instruction)
    tokenizer = json.loads((base.path / ONE_TOKEN).read_text("utf-8"))
    vocabulary = _vocabulary(tokenizer, base.path)
    used, characters = _used(base.path, texts)
    kept = _kept(vocabulary, used, characters, tokenizer, corpus_only=corpus_only)
    # tokens that were added beside the vocabulary, such as <mask>, follow it
    added = {one["id"] for one in tokenizer.get("added_tokens", ())}
    beside = sorted(one for one in added if one >= len(vocabulary))
    with put_in_place(target) as folder:
        for name in (*TAKEN, SPARSE_HEAD, COLBERT_HEAD):
            if (base.path / name).is_file() and name not in {
                "sentencepiece.bpe.model",
                "vocab.txt",
            }:
                shutil.copyfile(base.path / name, folder / name)
        _write_tokenizer(folder, tokenizer, kept, beside)
        _write_config(folder, [*kept, *beside])
        written = _write_weights(folder, base.path, [*kept, *beside])
        write_usage(folder, usage, base.hidden_size)
    before = sum(file.stat().st_size for file in weight_files(base.path))
    counts = len(kept) + len(beside), len(vocabulary) + len(beside)
    return PrunedModel(target, *counts, len(used), written, before)


def _vocabulary(tokenizer: Mapping[str, Any], folder: Path) -> list[str]:
    """Return the tokens by their ids.

    Raises:
        ModelError: the tokenizer is of another kind.
    """
    model = tokenizer["model"]
    if model.get("type") == "Unigram":
        return [piece for piece, _ in model["vocab"]]
    if model.get("type") == "WordPiece":
        return sorted(model["vocab"], key=model["vocab"].__getitem__)
    raise ModelError(
        f"{folder / ONE_TOKEN} is a {model.get('type')} tokenizer; Unigram and WordPiece, as "
        "XLM-RoBERTa and BERT have them, can be pruned"
    )


def _used(folder: Path, texts: Iterable[str]) -> tuple[set[int], set[str]]:
    """Return the ids and the characters that texts use, as the tokenizer reads them."""
    backend = read_tokenizer(folder, expected=EXPECTED).backend
    ids: set[int] = set()
    count, waiting = 0, []
    for text in texts:
        check_texts("texts", [text])
        waiting.append(encodable(text))
        count += 1
        if len(waiting) == AT_ONCE:
            ids.update(one for read in backend.encode_batch_fast(waiting) for one in read.ids)
            waiting = []
    ids.update(one for read in backend.encode_batch_fast(waiting) for one in read.ids)
    if not count:
        raise InputError("there are no texts; give those of the corpus")
    characters = {one for at in ids for one in backend.id_to_token(at) or ""}
    return ids, characters


def _kept(
    vocabulary: Sequence[str],
    used: set[int],
    characters: set[str],
    tokenizer: Mapping[str, Any],
    *,
    corpus_only: bool,
) -> list[int]:
    """Return the ids that are kept, ascending."""
    special = {one["id"] for one in tokenizer.get("added_tokens", ())}
    special.add(tokenizer["model"].get("unk_id") or 0)
    if tokenizer["model"]["type"] == "Unigram":  # the cost of the unknown is measured from it
        scores = [score for _, score in tokenizer["model"]["vocab"]]
        special.add(int(np.argmin(scores)))
    wide = [span for span in WIDE_SCRIPTS if any(_within(one, span) for one in characters)]
    lowered = characters | {one.lower() for one in characters} | {one.upper() for one in characters}

    def is_of_its_languages(token: str) -> bool:
        if corpus_only and len(token.removeprefix("##")) > 1:
            return False
        return all(
            one in lowered or any(_within(one, span) for span in wide)
            for one in token.removeprefix("##")
        )

    return [
        at
        for at, token in enumerate(vocabulary)
        if at in used or at in special or is_of_its_languages(token)
    ]


def _within(character: str, span: tuple[int, int]) -> bool:
    return span[0] <= ord(character[0]) <= span[1]


def _write_tokenizer(
    folder: Path, tokenizer: dict[str, Any], kept: Sequence[int], beside: Sequence[int]
) -> None:
    place = {old: new for new, old in enumerate([*kept, *beside])}
    model = tokenizer["model"]
    if model["type"] == "Unigram":
        model["vocab"] = [model["vocab"][at] for at in kept]
        model["unk_id"] = place[model["unk_id"]]
    else:
        names = {at: token for token, at in model["vocab"].items()}
        model["vocab"] = {names[old]: place[old] for old in kept}
    for one in tokenizer.get("added_tokens", ()):
        one["id"] = place[one["id"]]
    for special in ((tokenizer.get("post_processor") or {}).get("special_tokens") or {}).values():
        special["ids"] = [place[at] for at in special["ids"]]
    _renumber_pairs(tokenizer.get("post_processor"), place)
    text = json.dumps(tokenizer, ensure_ascii=False)
    (folder / ONE_TOKEN).write_text(text, "utf-8")
    settings_file = folder / "tokenizer_config.json"
    if settings_file.is_file():
        settings = json.loads(settings_file.read_text("utf-8"))
        if "added_tokens_decoder" in settings:
            settings["added_tokens_decoder"] = {
                str(place[int(old)]): token
                for old, token in settings["added_tokens_decoder"].items()
                if int(old) in place
            }
            settings_file.write_text(json.dumps(settings, indent=2, ensure_ascii=False), "utf-8")


def _renumber_pairs(processor: Any, place: Mapping[int, int]) -> None:
    """Renumber what BERT's and RoBERTa's own post-processors hold: a token beside its id."""
    if isinstance(processor, dict):
        for name in ("sep", "cls"):
            if isinstance(processor.get(name), list):
                token, old = processor[name]
                processor[name] = [token, place[old]]


def _write_config(folder: Path, kept: Sequence[int]) -> None:
    place = {old: new for new, old in enumerate(kept)}
    file = folder / "config.json"
    config = json.loads(file.read_text("utf-8"))
    config["vocab_size"] = len(kept)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"):
        if config.get(name) in place:
            config[name] = place[config[name]]
    file.write_text(json.dumps(config, indent=2), "utf-8")


def _write_weights(folder: Path, base: Path, kept: Sequence[int]) -> int:
    """Write the weights with the kept rows of the word embeddings; return their bytes."""
    try:
        from safetensors.numpy import save_file
    except ImportError as err:
        raise unavailable(err, "safetensors", "finetune") from err
    tensors = {}
    for file in weight_files(base):
        for name, stored in stored_tensors(file).items():
            tensor = stored.read()
            tensors[name] = (
                np.ascontiguousarray(tensor[list(kept)]) if name.endswith(ANCHOR) else tensor
            )
    if not any(name.endswith(ANCHOR) for name in tensors):
        raise ModelError(f"the weights in {base} have no {ANCHOR}; give {EXPECTED}")
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    return (folder / WEIGHTS).stat().st_size
