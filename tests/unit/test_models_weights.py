"""Weights read without torch: equal to torch's own reading, and nothing but tensors."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from trivec._models.weights import read_tensors, stored_tensors
from trivec.errors import ModelError

torch = pytest.importorskip("torch")
KINDS = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8"]


def assert_equal(file, expected):
    found = read_tensors(file)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == np.float32
        assert found[name].shape == tuple(tensor.shape)
        np.testing.assert_array_equal(found[name], tensor.detach().float().numpy())


def tensors_of_every_kind():
    values = torch.arange(24).reshape(2, 3, 4) - 5
    state = {kind: values.to(getattr(torch, kind)) for kind in KINDS}
    return {**state, "bool": values > 0, "scalar": torch.tensor(1.5), "none": torch.empty(0, 3)}


class TestEqualToTorch:
    @pytest.mark.parametrize("name", ["tiny_m3", "tiny_reranker"])
    def test_every_file_of_a_model(self, request, name, tmp_path):
        from safetensors.torch import load_file

        folder = request.getfixturevalue(name)
        for file in folder.glob("*.pt"):
            assert_equal(file, torch.load(file, weights_only=True))
        weights = load_file(folder / "model.safetensors")
        torch.save(weights, tmp_path / "pytorch_model.bin")
        assert_equal(tmp_path / "pytorch_model.bin", weights)
        found = read_tensors(folder / "model.safetensors")
        assert_equal(folder / "model.safetensors", {name: weights[name] for name in found})

    def test_every_type_of_number(self, tmp_path):
        from safetensors.torch import save_file

        state = tensors_of_every_kind()
        torch.save(state, tmp_path / "state.bin")
        save_file(state, tmp_path / "state.safetensors")
        assert_equal(tmp_path / "state.bin", state)
        found = read_tensors(tmp_path / "state.safetensors")
        assert_equal(tmp_path / "state.safetensors", {name: state[name] for name in found})

    def test_views_parameters_and_what_a_module_adds(self, tmp_path):
        whole = torch.arange(60.0).reshape(3, 4, 5)
        module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
        state = module.state_dict()  # an OrderedDict with an attribute of its own
        state["slice"] = whole[1:, ::2]
        state["turned"] = whole.permute(2, 0, 1)
        state["parameter"] = torch.nn.Parameter(whole.bfloat16().mT)
        torch.save(state, tmp_path / "state.bin")
        assert_equal(tmp_path / "state.bin", torch.load(tmp_path / "state.bin", weights_only=True))

    def test_more_numbers_than_are_widened_at_a_time(self, tmp_path, monkeypatch):
        monkeypatch.setattr("trivec._models.stored_tensor._BLOCK", 7)
        state = {"a": torch.arange(100.0).bfloat16()}
        torch.save(state, tmp_path / "state.bin")
        assert_equal(tmp_path / "state.bin", state)

    def test_nothing_is_read_before_it_is_asked_for(self, tiny_m3):
        tensors = stored_tensors(tiny_m3 / "model.safetensors")
        assert tensors["embeddings.LayerNorm.weight"].shape == (32,)
        (tensor, *_) = tensors.values()
        assert isinstance(tensor.read().base, np.memmap | memoryview | np.ndarray)


def saved(value):
    content = io.BytesIO()
    torch.save(value, content)
    return content.getvalue()


def rewritten(content, change, compression=zipfile.ZIP_STORED):
    """Write a zip again; ``change`` maps a member's name and bytes to what it becomes, or None."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", compression) as new:
        for entry in old.infolist():
            data = change(entry.filename, old.read(entry))
            if data is not None:
                new.writestr(entry.filename, data)
    return out.getvalue()


def with_pickle(program):
    def change(name, data):
        return program if name.endswith("data.pkl") else data

    return rewritten(saved({"a": torch.ones(4)}), change)


class Call:
    """Unpickles into a call."""

    def __init__(self, function, *arguments):
        self.called = function, arguments

    def __reduce__(self):
        return self.called


class Storage:
    """What torch's persistent ids stand for."""

    def __init__(self, *pid):
        self.pid = pid


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, Storage) else None


def tensor_pickle(*, count=4, offset=0, size=(4,), stride=(1,), key="0", kind=torch.FloatStorage):
    """Pickle a state dictionary whose one tensor is described so."""
    from torch._utils import _rebuild_tensor_v2

    storage = Storage("storage", kind, key, "cpu", count)
    built = Call(_rebuild_tensor_v2, storage, offset, size, stride, False, OrderedDict())
    out = io.BytesIO()
    Pickler(out, protocol=2).dump({"a": built})
    return out.getvalue()


class TestHostileTorchFiles:
    def refuse(self, tmp_path, content, match):
        file = tmp_path / "state.bin"
        file.write_bytes(content)
        with pytest.raises(ModelError, match=match) as caught:
            read_tensors(file)
        assert str(file) in str(caught.value)

    def test_an_honest_pickle_of_ours_is_read(self, tmp_path):
        """So that the refusals below are not of the way it is made."""
        (tmp_path / "state.bin").write_bytes(with_pickle(tensor_pickle()))
        assert read_tensors(tmp_path / "state.bin")["a"].tolist() == [1, 1, 1, 1]

    @pytest.mark.parametrize("protocol", range(6))
    def test_a_call_of_something_else(self, tmp_path, protocol):
        marker = tmp_path / "called"
        program = pickle.dumps({"a": Call(Path.touch, marker)}, protocol=protocol)
        self.refuse(tmp_path, with_pickle(program), "something besides tensors")
        assert not marker.exists()

    @pytest.mark.parametrize(
        ("module", "name"),
        [
            ("os", "system"),
            ("builtins", "eval"),
            ("torch", "load"),
            ("torch._utils", "_rebuild_sparse_tensor"),
            ("torch.storage", "_load_from_bytes"),
            ("collections", "OrderedDict.fromkeys"),
            ("functools", "partial"),
        ],
    )
    def test_a_name_that_builds_no_tensor(self, tmp_path, module, name):
        program = b"\x80\x02c" + f"{module}\n{name}\n".encode() + b")R."
        self.refuse(tmp_path, with_pickle(program), rf"asks for {module}\.{name}")

    @pytest.mark.parametrize(
        ("value", "kind"),
        [({"a": 1}, "int"), ({"a": {"b": torch.ones(1)}}, "dict"), ({1: torch.ones(1)}, "_View")],
    )
    def test_values_that_are_no_tensors(self, tmp_path, value, kind):
        self.refuse(tmp_path, saved(value), f"something besides tensors.* is a {kind}")

    def test_no_dictionary(self, tmp_path):
        self.refuse(tmp_path, saved([torch.ones(1)]), "holds a list")

    @pytest.mark.parametrize(
        ("wrong", "match"),
        [
            ({"offset": 1}, "larger than its storage"),
            ({"offset": -1}, "has no storage"),
            ({"offset": True}, "has no storage"),
            ({"size": (5,)}, "larger than its storage"),
            ({"size": (-4,)}, "shape"),
            ({"size": (2, 2)}, "strides"),
            ({"size": (2.0,)}, "BINFLOAT"),
            ({"size": [4]}, "has no shape"),
            ({"stride": (2,)}, "larger than its storage"),
            ({"stride": (-1,)}, "strides"),
            ({"size": (10**12,), "stride": (0,)}, "repeats its numbers"),
            ({"size": (1,) * 40, "stride": (1,) * 40}, "repeats its numbers"),
            ({"count": 5}, "another size"),
            ({"count": -4}, "another size"),
            ({"key": "../data.pkl"}, "absent"),
            ({"key": "7"}, "absent"),
            ({"kind": "float32"}, "absent|another|besides"),
            ({"kind": torch.DoubleStorage}, "another size"),
        ],
    )
    def test_a_tensor_that_leaves_its_storage(self, tmp_path, wrong, match):
        if wrong == {"kind": "float32"}:  # the name that ours has for it: no harm
            (tmp_path / "state.bin").write_bytes(with_pickle(tensor_pickle(**wrong)))
            assert len(read_tensors(tmp_path / "state.bin")["a"]) == 4
            return
        self.refuse(tmp_path, with_pickle(tensor_pickle(**wrong)), match)

    def test_a_memo_of_gigabytes(self, tmp_path):
        program = b"\x80\x02}r\xff\xff\xff\xff."
        self.refuse(tmp_path, with_pickle(program), "memo")

    def test_a_pickle_that_is_cut_off(self, tmp_path):
        self.refuse(tmp_path, with_pickle(tensor_pickle()[:-20]), "besides tensors")

    def test_a_zip_that_is_cut_off(self, tmp_path):
        self.refuse(tmp_path, saved({"a": torch.ones(4)})[:-30], "damaged")

    def test_a_compressed_member(self, tmp_path):
        content = saved({"a": torch.ones(4)})
        packed = rewritten(content, lambda _, data: data, zipfile.ZIP_DEFLATED)
        self.refuse(tmp_path, packed, "compressed")

    def test_a_member_twice(self, tmp_path):
        out = io.BytesIO(saved({"a": torch.ones(4)}))
        with zipfile.ZipFile(out, "a") as archive:
            archive.writestr("another/data/0", b"0" * 16)
        self.refuse(tmp_path, out.getvalue(), "twice")

    def test_members_that_overlap(self, tmp_path):
        content = bytearray(saved({"a": torch.zeros(4), "b": torch.ones(4)}))
        entries = [at for at in range(len(content)) if content[at : at + 4] == b"PK\x01\x02"]
        first, second = (at for at in entries if b"/data/" in content[at + 46 : at + 80])
        content[second + 42 : second + 46] = content[first + 42 : first + 46]
        self.refuse(tmp_path, bytes(content), "outside of its place")

    def test_no_pickle(self, tmp_path):
        content = saved({"a": torch.ones(4)})
        without = rewritten(content, lambda name, data: None if "pkl" in name else data)
        self.refuse(tmp_path, without, "absent")

    def test_another_byte_order(self, tmp_path):
        def change(name, data):
            return b"big" if name.endswith("byteorder") else data

        self.refuse(tmp_path, rewritten(saved({"a": torch.ones(4)}), change), "big-endian")

    def test_the_format_of_old_versions(self, tmp_path):
        out = io.BytesIO()
        torch.save({"a": torch.ones(4)}, out, _use_new_zipfile_serialization=False)
        self.refuse(tmp_path, out.getvalue(), r"before 1\.6")


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(begin, end, shape=(1,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "cut off|damaged"),
        (struct.pack("<Q", 2**63), "names a header of"),
        (struct.pack("<Q", 50) + b"{}", "names a header of"),
        (safetensors(b"{"), "header"),
        (safetensors(b"[]"), "header"),
        (safetensors(b"[" * 100_000), "header"),
        (safetensors(b'{"a":1,"a":2}'), "twice"),
        (safetensors({"a": {"dtype": "F32"}}), "header"),
        (safetensors({"a": entry(0, 4, dtype="F4")}, bytes(4)), "'F4'"),
        (safetensors({"a": entry(0, 8)}, bytes(8)), "has 8 bytes"),
        (safetensors({"a": entry(0, 4, [-1])}, bytes(4)), "shape"),
        (safetensors({"a": entry(0, 4, [1.0])}, bytes(4)), "shape"),
        (safetensors({"a": entry(0, 4), "b": entry(0, 4)}, bytes(4)), "the one before it ends"),
        (safetensors({"a": entry(4, 8)}, bytes(8)), "the one before it ends"),
        (safetensors({"a": entry(-4, 0)}, bytes(4)), "offset|ends"),
        (safetensors({"a": entry(0, 4)}), "its tensors end at"),
        (safetensors({"a": entry(0, 4)}, bytes(5)), "its tensors end at"),
        (safetensors({"a": entry(0, 2**62, [2**60])}), "its tensors end at"),
    ],
)
def test_hostile_safetensors(tmp_path, content, match):
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=match):
        read_tensors(file)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_no_file(tmp_path, name):
    with pytest.raises(ModelError, match="cannot be read"):
        read_tensors(tmp_path / name)
