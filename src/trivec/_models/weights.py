"""The weights of a model's files, without torch: safetensors, and what ``torch.save`` writes."""

from __future__ import annotations

from pathlib import Path

from trivec._models.safetensors_file import read_safetensors
from trivec._models.stored_tensor import StoredTensor
from trivec._models.torch_file import read_torch_file
from trivec.errors import ModelError
from trivec.types import FloatArray

__all__ = ["read_tensors", "stored_tensors"]


def stored_tensors(file: Path) -> dict[str, StoredTensor]:
    """Return where each tensor of a file lies; nothing is read but what names them.

    Raises:
        ModelError: the file cannot be read, is not whole, or holds anything besides tensors.
    """
    read = read_safetensors if file.suffix == ".safetensors" else read_torch_file
    try:
        return read(file)
    except OSError as err:
        raise ModelError(f"{file} cannot be read ({err}); download it again") from err


def read_tensors(file: Path) -> dict[str, FloatArray]:
    """Return all tensors of a small file, as float32.

    Raises:
        ModelError: as ``stored_tensors``.
    """
    return {name: tensor.read() for name, tensor in stored_tensors(file).items()}
