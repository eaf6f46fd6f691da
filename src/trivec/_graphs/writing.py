"""A model into an export folder: the graph of each precision, the tokenizer, the manifest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trivec._graphs.checkpoint import Checkpoint
from trivec._graphs.encoder_graph import add_encoder
from trivec._graphs.graph import Graph
from trivec._graphs.linear import Float32, Int8, Weights
from trivec._models.folder_tokenizer import FolderTokenizer
from trivec._models.onnx_folder import TOKENIZER, Agreement, Manifest, write_manifest
from trivec._runtime.cache import file_digest

__all__ = ["Source", "write_export"]

logger = logging.getLogger(__name__)

_WEIGHTS: dict[str, Callable[[], Weights]] = {"fp32": Float32, "int8": Int8}


@dataclass(frozen=True, slots=True)
class Source:
    """A model on its way into graphs.

    Attributes:
        manifest: what will be written of it, without files and precisions.
        checkpoint: its weights.
        tokenizer: its tokenizer.
        add_heads: adds what stands on the last states, which it is given the name of.
        beside: contents of further files by name, which go with the graphs.
    """

    manifest: Manifest
    checkpoint: Checkpoint
    tokenizer: FolderTokenizer
    add_heads: Callable[[Graph, str, Checkpoint], None]
    beside: Mapping[str, bytes] = field(default_factory=dict)


def write_export(folder: Path, source: Source, precisions: Sequence[str]) -> Manifest:
    """Fill an empty folder; how near the graphs are to the model is left to be measured.

    Weights are read and written one after another: the memory that it takes is that of the
    largest, which is the vocabulary.

    Raises:
        OSError: the folder cannot be written.
        ModelError: the weights are not whole.
    """
    source.tokenizer.save(folder / TOKENIZER)
    for name, content in source.beside.items():
        (folder / name).write_bytes(content)
    for precision in precisions:
        logger.info("writing the graph in %s", precision)
        _write_graph(folder, source, precision)
    manifest = replace(
        source.manifest,
        files={
            file.name: (file.stat().st_size, file_digest(file)) for file in sorted(folder.iterdir())
        },
        precisions={precision: Agreement(texts=0) for precision in precisions},
    )
    write_manifest(folder, manifest)
    return manifest


def _write_graph(folder: Path, source: Source, precision: str) -> None:
    data = folder / f"model_{precision}.onnx.data"
    with data.open("wb") as weights:
        graph = Graph(weights, data.name)
        kept = _WEIGHTS[precision]()
        with_types = source.manifest.has_types
        states = add_encoder(graph, source.checkpoint, kept, with_types=with_types)
        source.add_heads(graph, states, source.checkpoint)
        (folder / f"model_{precision}.onnx").write_bytes(graph.content())
