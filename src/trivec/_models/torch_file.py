"""Reads what ``torch.save`` writes, a zip of a pickle and of bare numbers, without torch.

A pickle is a program. This one may call what builds tensors and nothing else: every other name,
and every instruction that state dictionaries do not need, is an error.
"""

from __future__ import annotations

import io
import pickle  # the unpickler below calls nothing but its own functions
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trivec._models.stored_tensor import NUMBERS, StoredTensor
from trivec.errors import ModelError

__all__ = ["read_torch_file"]

_ZIP = b"PK\x03\x04"
_LOCAL_HEADER = 30  # bytes, before a member's name and extra field
_MOST_PICKLE = 64_000_000
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_INSTRUCTIONS = frozenset(
    "PROTO STOP MARK GLOBAL REDUCE BUILD BINPERSID NONE NEWTRUE NEWFALSE "  # noqa: SIM905
    "BININT BININT1 BININT2 LONG1 BINUNICODE EMPTY_DICT EMPTY_LIST EMPTY_TUPLE "
    "TUPLE TUPLE1 TUPLE2 TUPLE3 SETITEM SETITEMS APPEND APPENDS "
    "BINPUT LONG_BINPUT BINGET LONG_BINGET".split()
)


class _Storage(NamedTuple):
    """Numbers of one type in a member of the zip."""

    kind: str
    key: str
    numbers: int


class _View(NamedTuple):
    """A tensor over a storage, as the pickle tells it."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any


class _Rebuild:
    """Stands for torch's functions; without attributes, so that a pickle cannot change it."""

    __slots__ = ()

    def __call__(self, *arguments: Any) -> _View:
        if len(arguments) >= 4:  # _rebuild_tensor_v2: storage, offset, size, stride, ...
            return _View(*arguments[:4])
        if arguments and isinstance(arguments[0], _View):  # _rebuild_parameter: the tensor, ...
            return arguments[0]
        raise pickle.UnpicklingError("a tensor is built from something else")


class _Unpickler(pickle.Unpickler):
    """Builds dictionaries of views and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in {"_rebuild_tensor_v2", "_rebuild_parameter"}:
            return _Rebuild()
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not a tensor's")

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", str(kind), str(key), _, int(count)) if kind in NUMBERS:
                return _Storage(kind, key, count)
        raise pickle.UnpicklingError(f"it refers to {pid!r}, which is not a storage")


def read_torch_file(file: Path) -> dict[str, StoredTensor]:
    """Return where each tensor of a state dictionary lies.

    Raises:
        ModelError: the file is not whole, or holds anything besides tensors.
    """
    with file.open("rb") as stream:
        if stream.read(len(_ZIP)) != _ZIP:
            raise ModelError(
                f"{file} is not a zip of torch.save; files of torch before 1.6 are none: load and "
                "save it again with torch"
            )
    try:
        with zipfile.ZipFile(file) as archive:
            members = _members(file, archive)
            state = _unpickled(file, archive, members)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, OverflowError) as err:
        raise ModelError(f"{file} is damaged ({err}); download it again") from err
    return {name: _tensor(file, name, view, members) for name, view in state.items()}


class _Member(NamedTuple):
    """A member of the zip: the bytes from its offset on."""

    name: str
    offset: int
    size: int


def _members(file: Path, archive: zipfile.ZipFile) -> dict[str, _Member]:
    """Return the members by name without the folder that all of them lie in."""
    members: dict[str, _Member] = {}
    with file.open("rb") as stream:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise ModelError(
                    f"{file}: the member {entry.filename!r} is compressed or encrypted, which "
                    "torch.save never does"
                )
            stream.seek(entry.header_offset)
            header = stream.read(_LOCAL_HEADER)
            if len(header) < _LOCAL_HEADER or not header.startswith(_ZIP):
                raise ValueError(f"the member {entry.filename!r} has no header")
            names = int.from_bytes(header[26:28], "little")
            extra = int.from_bytes(header[28:30], "little")
            start = entry.header_offset + _LOCAL_HEADER + names + extra
            name = entry.filename.partition("/")[2]
            if name in members:
                raise ValueError(f"the member {entry.filename!r} stands twice")
            members[name] = _Member(entry.filename, start, entry.file_size)
    _check_places(members, file.stat().st_size)
    return members


def _check_places(members: Mapping[str, _Member], size: int) -> None:
    end = 0
    for member in sorted(members.values(), key=lambda member: member.offset):
        if member.offset < end or member.offset + member.size > size:
            raise ValueError(f"the member {member.name!r} lies outside of its place")
        end = member.offset + member.size


def _unpickled(
    file: Path, archive: zipfile.ZipFile, members: Mapping[str, _Member]
) -> Mapping[str, _View]:
    program = members.get("data.pkl")
    if program is None or program.size > _MOST_PICKLE:
        raise ValueError(f"its data.pkl is {'absent' if program is None else 'too large'}")
    if "byteorder" in members and archive.read(members["byteorder"].name) != b"little":
        raise ModelError(f"{file} was written by a big-endian machine; save it again on another")
    content = archive.read(program.name)
    try:
        _check_instructions(content)
        state = _Unpickler(io.BytesIO(content)).load()
    except Exception as err:  # a foreign pickle fails in as many ways as there are
        raise ModelError(
            f"{file} holds something besides tensors, and is not read ({err}); save its "
            "state_dict with torch or safetensors"
        ) from err
    if not isinstance(state, dict):
        raise ModelError(f"{file} holds a {type(state).__name__}; a dictionary of tensors is read")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, _View):
            raise ModelError(
                f"{file} holds something besides tensors: {str(name)[:80]!r} is a "
                f"{type(value).__name__}; save its state_dict alone"
            )
    return state


def _check_instructions(content: bytes) -> None:
    """Refuse what state dictionaries do not need, before any of it is done."""
    for instruction, argument, _ in pickletools.genops(content):
        if instruction.name not in _INSTRUCTIONS:
            raise pickle.UnpicklingError(f"it has the instruction {instruction.name}")
        # the memo is an array as long as its highest number
        if instruction.name == "LONG_BINPUT" and int(argument or 0) > len(content):
            raise pickle.UnpicklingError("its memo is larger than itself")


def _tensor(file: Path, name: str, view: _View, members: Mapping[str, _Member]) -> StoredTensor:
    storage, numbers = view.storage, view.offset
    if not isinstance(storage, _Storage) or type(numbers) is not int or numbers < 0:
        raise ModelError(f"{file} is damaged: the tensor {name!r} has no storage")
    if not isinstance(view.shape, tuple) or not isinstance(view.strides, tuple):
        raise ModelError(f"{file} is damaged: the tensor {name!r} has no shape")
    member = members.get(f"data/{storage.key}")
    width = np.dtype(NUMBERS[storage.kind]).itemsize
    if member is None or member.size != storage.numbers * width:
        raise ModelError(
            f"{file} is damaged: the storage {storage.key!r} of {name!r} is absent or has another "
            "size; download it again"
        )
    tensor = StoredTensor(
        name, file, storage.kind, view.shape, view.strides, member.offset + numbers * width
    )
    if numbers + tensor.extent > storage.numbers:
        raise ModelError(f"{file} is damaged: the tensor {name!r} is larger than its storage")
    return tensor
