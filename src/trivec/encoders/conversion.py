"""A model's folder on its way into the graph of an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trivec._graphs.cached import named_place
from trivec._graphs.checkpoint import Checkpoint, read_checkpoint
from trivec._graphs.graph import Graph
from trivec._graphs.heads import add_dense_head, add_m3_heads
from trivec._graphs.writing import Source
from trivec._models.folder_tokenizer import read_tokenizer
from trivec._models.onnx_folder import Manifest
from trivec._models.weights import read_tensors
from trivec._runtime.cache import combined_digest, file_digest
from trivec.encoders.model_folder import COLBERT_HEAD, EXPECTED, SPARSE_HEAD, ModelFolder
from trivec.encoders.query_map import QUERY_MAP
from trivec.types import ALL_HEADS

__all__ = ["encoder_place", "encoder_source"]


def encoder_place(model: str, folder: ModelFolder, settings: Mapping[str, Any]) -> str:
    """Return the name of the graph's folder in the cache; the model's files are digested.

    Args:
        model: its name or path.
        folder: a checked folder.
        settings: how it is used: pooling, instructions, lengths.
    """
    query_map = folder.path / QUERY_MAP
    decisive = (folder.tokenizer, *([query_map] if query_map.is_file() else []))
    files = combined_digest(folder.weights), *(file_digest(file) for file in decisive)
    return named_place(model, "encoder", *files, dict(settings))


def encoder_source(model: str, folder: ModelFolder, settings: Mapping[str, Any]) -> Source:
    """Return a model, to be written; its arguments are those of ``encoder_place``.

    Raises:
        ModelError: it is of a family that cannot be exported, or its files are damaged.
    """
    tokenizer = read_tokenizer(folder.path, expected=EXPECTED)
    manifest = Manifest(
        kind="encoder",
        model=model,
        revision=folder.revision,
        weights=combined_digest(folder.weights),
        tokenizer=file_digest(folder.tokenizer),
        hidden_size=folder.hidden_size,
        colbert_dim=folder.colbert_dim,
        max_length=folder.max_length,
        special_tokens=tokenizer.special_tokens,
        has_types=False,
        precisions={},
        files={},
        settings={**settings, "heads": list(folder.heads)},
    )

    pooling, normalize = settings["pooling"], settings["normalized"]

    def dense(graph: Graph, states: str, _: Checkpoint) -> None:
        add_dense_head(graph, states, folder.hidden_size, pooling=pooling, normalize=normalize)

    def heads(graph: Graph, states: str, _: Checkpoint) -> None:
        add_m3_heads(
            graph,
            states,
            pooling=pooling,
            normalize=normalize,
            sparse=read_tensors(folder.path / SPARSE_HEAD),
            colbert=read_tensors(folder.path / COLBERT_HEAD),
        )

    add_heads = heads if folder.heads == ALL_HEADS else dense
    query_map = folder.path / QUERY_MAP
    beside = {QUERY_MAP: query_map.read_bytes()} if query_map.is_file() else {}
    return Source(manifest, read_checkpoint(folder.path), tokenizer, add_heads, beside)
