"""Base and tuned weights, averaged: what was learned is kept, and what was known is not lost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trivec._models.folder import weight_files
from trivec._models.weights import read_tensors, stored_tensors
from trivec._runtime.checks import check_number
from trivec._runtime.paths import user_path
from trivec._runtime.typed import checked
from trivec.encoders.model_folder import COLBERT_HEAD, SPARSE_HEAD, inspect_folder
from trivec.encoders.stated import StatedUsage, stated_usage
from trivec.errors import InputError
from trivec.loading import load_encoder
from trivec.training.saving import put_in_place, write_model

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["mix_models"]


@checked
def mix_models(base: str | Path, tuned: str | Path, out: str | Path, *, share: float = 0.5) -> Path:
    """Write the weighted mean of two models, heads included.

    Averaging keeps most of what a tuned model has learned, and most of what its base could do
    elsewhere (Xiao et al. 2023, arXiv 2311.13534: LM-Cocktail).

    Args:
        base: the model that the other was tuned from: ``"mini"``, a hub id or a folder.
        tuned: the folder of the tuned model.
        out: the folder to write; it must not be there.
        share: of the tuned weights, from 0 (the base) to 1 (the tuned model).

    Returns:
        The folder.

    Raises:
        InputError: ``out`` exists, or the two are not of one shape.
        ModelError: a model cannot be found or is not whole.
    """
    check_number("share", share, least=0, most=1)
    target = user_path("out", out)
    if target.exists():
        raise InputError(f"{target} exists already; give another folder, or remove it")
    encoder = load_encoder(base, backend="flag")
    first, second = encoder.folder, load_encoder(tuned, backend="flag").folder
    info = encoder.info
    usage = StatedUsage(str(info.pooling), info.query_instruction, info.passage_instruction)
    if stated_usage(second) != usage:
        raise InputError(
            f"{second} is used as {stated_usage(second)}, but {first} as {usage}; mix models of "
            "one family, tuned by trivec"
        )
    inspect_folder(second)
    with put_in_place(target) as folder:
        tensors = _mean(_weights(first), _weights(second), share)
        heads = {
            name: _mean(_as_torch(first / name), _as_torch(second / name), share)
            for name in (SPARSE_HEAD, COLBERT_HEAD)
        }
        write_model(folder, first, tensors, heads, usage)
    return target


def _weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a folder, named from the encoder on."""
    found: dict[str, Tensor] = {}
    for file in weight_files(folder):
        found |= _as_torch(file)
    anchor = "embeddings.word_embeddings.weight"
    prefix = next((name.removesuffix(anchor) for name in found if name.endswith(anchor)), "")
    return {name.removeprefix(prefix): tensor for name, tensor in found.items()}


def _as_torch(file: Path) -> dict[str, Tensor]:
    import numpy as np
    import torch

    floats = {name for name, tensor in stored_tensors(file).items() if "position_ids" not in name}
    return {
        name: torch.from_numpy(np.array(array))
        for name, array in read_tensors(file).items()
        if name in floats
    }


def _mean(
    base: Mapping[str, Tensor], tuned: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    shapes = [{name: tuple(one.shape) for name, one in side.items()} for side in (base, tuned)]
    if differing := {name for name, _ in shapes[0].items() ^ shapes[1].items()}:
        raise InputError(
            f"the two models differ in the shape of {', '.join(sorted(differing)[:3])}; mix a "
            "model with the one that it was tuned from, and prune afterwards"
        )
    return {name: one.lerp(tuned[name], share) for name, one in base.items()}
