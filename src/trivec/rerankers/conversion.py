"""A cross-encoder's folder on its way into a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trivec._graphs.cached import named_place
from trivec._graphs.checkpoint import read_checkpoint
from trivec._graphs.heads import add_classifier
from trivec._graphs.writing import Source
from trivec._models.folder import tokenizer_file, weight_files
from trivec._models.folder_tokenizer import read_tokenizer
from trivec._models.onnx_folder import Manifest
from trivec._runtime.cache import combined_digest, file_digest
from trivec.rerankers.classifier import EXPECTED, ClassifierFolder

__all__ = ["reranker_place", "reranker_source"]


def reranker_place(model: str, folder: ClassifierFolder, settings: Mapping[str, Any]) -> str:
    """Return the name of the graph's folder in the cache; the model's files are digested.

    Args:
        model: its name or path.
        folder: a checked folder.
        settings: how it is used: instructions and length.
    """
    path = folder.path
    files = combined_digest(weight_files(path)), file_digest(tokenizer_file(path))
    return named_place(model, "reranker", *files, dict(settings))


def reranker_source(
    model: str, revision: str | None, folder: ClassifierFolder, settings: Mapping[str, Any]
) -> Source:
    """Return the model of a folder, to be written; its files are digested.

    Args:
        model: its name.
        revision: the hub's commit, if known.
        folder: a checked folder.
        settings: how it is used: instructions and length.

    Raises:
        ModelError: it is of a family that cannot be exported, or its files are damaged.
    """
    path = folder.path
    checkpoint, tokenizer = read_checkpoint(path), read_tokenizer(path, expected=EXPECTED)
    manifest = Manifest(
        kind="reranker",
        model=model,
        revision=revision,
        weights=combined_digest(weight_files(path)),
        tokenizer=file_digest(tokenizer_file(path)),
        hidden_size=checkpoint.shape.hidden_size,
        max_length=checkpoint.shape.max_length,
        special_tokens=tokenizer.special_tokens,
        has_types=tokenizer.has_types,
        precisions={},
        files={},
        settings=dict(settings),
    )
    return Source(manifest, checkpoint, tokenizer, add_classifier)
