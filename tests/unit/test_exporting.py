"""What an export writes, what it refuses, and that a failure leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from trivec import cli
from trivec._graphs.graph import Graph
from trivec._graphs.linear import Int8
from trivec.encoders import FlagEncoder, FlagOptions, OnnxEncoder
from trivec.errors import InputError, ModelError
from trivec.exporting import ExportOptions, export_encoder, export_reranker
from trivec.rerankers import FlagReranker, FlagRerankerOptions, OnnxReranker

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

FP32 = ExportOptions(precisions=("fp32",))
TEXTS = ("the river flows to the sea", "企鹅不会飞")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIVEC_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def model(tiny_m3, tmp_path):
    """A copy of the small model, to be changed."""
    return Path(shutil.copytree(tiny_m3, tmp_path / "model"))


def change_config(folder, **values):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **values}), "utf-8")


class TestFolder:
    def test_the_manifest_lists_every_file(self, exported_m3):
        manifest = json.loads((exported_m3 / "manifest.json").read_text("utf-8"))
        names = {file.name for file in exported_m3.iterdir()} - {"manifest.json"}
        assert set(manifest["files"]) == names
        for name, (size, digest) in manifest["files"].items():
            content = (exported_m3 / name).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (size, digest)

    @pytest.mark.parametrize("precision", ["fp32", "int8"])
    def test_the_graphs_are_valid_onnx(self, exported_m3, exported_reranker, precision):
        for folder in (exported_m3, exported_reranker):
            onnx.checker.check_model(str(folder / f"model_{precision}.onnx"))

    def test_weights_lie_beside_the_graph(self, exported_m3):
        """A graph with its weights inside could not be larger than 2 GB."""
        graph = onnx.load(exported_m3 / "model_fp32.onnx", load_external_data=False).graph
        inside = [tensor for tensor in graph.initializer if len(tensor.raw_data) > 1024]
        outside = [tensor for tensor in graph.initializer if tensor.external_data]
        assert not inside
        assert outside
        offsets = [int(tensor.external_data[1].value) for tensor in outside]
        assert all(offset % 4096 == 0 for offset in offsets)  # can be mapped

    def test_int8_is_int8(self, exported_m3):
        """All matrices and the vocabulary; what is small and sensitive stays as it is."""
        graph = onnx.load(exported_m3 / "model_int8.onnx", load_external_data=False).graph
        kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
        layers = [
            name for name in kinds if name.startswith("encoder.") and len(name.split(".")) > 5
        ]
        weights = [name for name in layers if name.endswith(("dense.weight", "self.weight"))]
        assert len(weights) == 2 * 4  # query, key and value are one
        for name in [*weights, "embeddings.word_embeddings.weight"]:
            assert kinds[name] == onnx.TensorProto.INT8
        for name in ("sparse_linear.weight", "embeddings.LayerNorm.weight"):
            assert kinds[name] == onnx.TensorProto.FLOAT

    def test_it_says_how_near_it_is_on_your_own_texts(self, tiny_m3, tmp_path):
        options = ExportOptions(precisions=("fp32", "int8"), texts=TEXTS)
        manifest = export_encoder(FlagEncoder(tiny_m3), tmp_path / "out", options=options)
        exact, near = manifest.precisions["fp32"], manifest.precisions["int8"]
        assert exact.texts == near.texts == 2
        assert exact.dense_cosine_least == pytest.approx(1, abs=1e-6)
        assert exact.sparse_difference < 1e-4
        assert 0.99 < near.dense_cosine_least <= near.dense_cosine_mean < 1
        assert near.sparse_difference > exact.sparse_difference

    def test_weights_of_torchs_own_format(self, model, exported_m3, tmp_path):
        from safetensors.torch import load_file

        torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
        (model / "model.safetensors").unlink()
        export_encoder(FlagEncoder(model), tmp_path / "out", options=FP32)
        same = (tmp_path / "out" / "model_fp32.onnx.data").read_bytes()
        assert same == (exported_m3 / "model_fp32.onnx.data").read_bytes()


@pytest.mark.parametrize("lowest", [None, -0.17])
def test_no_activation_is_cut_off_in_8_bits(tmp_path, lowest):
    """Each token takes steps of its own size, and those of GELU reach down to its lowest value."""
    onnxruntime = pytest.importorskip("onnxruntime")
    rows = np.array([[-0.17, -0.1], [-0.17, 0.05], [0.0, 0.0], [9.0, -0.17]], np.float32)
    with (tmp_path / "weights").open("wb") as data:
        graph, weights = Graph(data, "weights"), Int8()
        graph.input("rows", "float32", ["tokens", 2])
        weights.begin(graph, graph.constant("tokens", np.array([4])))
        prepared = weights.prepared(graph, "rows", "kept", lowest)
        graph.output(prepared.bytes, "uint8", ["tokens", 2])
        graph.output(prepared.scale, "float32", ["tokens", 1])
    session = onnxruntime.InferenceSession(graph.content(), providers=["CPUExecutionProvider"])
    quantized, scale = session.run(None, {"rows": rows})
    found = (quantized.astype(np.float32) - 128) * scale
    finest = np.abs(rows).max(axis=1, keepdims=True) / 127
    assert scale[[0, 1, 3]] == pytest.approx(finest[[0, 1, 3]])
    assert (np.abs(found - rows) <= scale / 2 + 1e-6).all()


class TestRefusals:
    def test_a_folder_that_is_there(self, tiny_m3, tmp_path):
        encoder = FlagEncoder(tiny_m3)
        export_encoder(encoder, tmp_path / "out", options=FP32)
        with pytest.raises(InputError, match="exists already"):
            export_encoder(encoder, tmp_path / "out", options=FP32)
        again = ExportOptions(precisions=("int8",), overwrite=True)
        export_encoder(encoder, tmp_path / "out", options=again)
        assert OnnxEncoder(tmp_path / "out").info.precision == "int8"
        assert not (tmp_path / "out" / "model_fp32.onnx").exists()

    def test_a_folder_of_something_else_is_never_replaced(self, tiny_m3, tmp_path):
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "chapter.txt").write_text("years of work", "utf-8")
        options = ExportOptions(overwrite=True)
        with pytest.raises(InputError, match="is not an export folder"):
            export_encoder(FlagEncoder(tiny_m3), tmp_path / "thesis", options=options)
        assert (tmp_path / "thesis" / "chapter.txt").exists()

    def test_a_failure_leaves_nothing(self, tiny_m3, tmp_path, monkeypatch):
        def fail(*_arguments):
            raise ModelError("in the middle")

        monkeypatch.setattr("trivec.exporting.export.encoder_agreement", fail)
        with pytest.raises(ModelError, match="in the middle"):
            export_encoder(FlagEncoder(tiny_m3), tmp_path / "out" / "m3", options=FP32)
        assert not list((tmp_path / "out").iterdir())

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"hidden_act": "relu"}, "'relu'"),
            ({"position_embedding_type": "relative_key"}, "'relative_key' positions"),
        ],
    )
    def test_another_architecture(self, model, values, message):
        from trivec._graphs.checkpoint import read_checkpoint

        change_config(model, **values)
        with pytest.raises(ModelError, match=message):
            read_checkpoint(model)

    def test_another_family(self, model):
        from trivec._graphs.checkpoint import read_checkpoint

        change_config(model, model_type="modernbert")
        with pytest.raises(
            ModelError, match=r"graphs are written of xlm-roberta, roberta, bert.*backend='flag'"
        ):
            read_checkpoint(model)

    def test_weights_that_are_not_all_there(self, model):
        from safetensors.torch import load_file, save_file

        from trivec._graphs.checkpoint import read_checkpoint

        weights = load_file(model / "model.safetensors")
        del weights["encoder.layer.1.output.dense.weight"]
        save_file(weights, model / "model.safetensors")
        checkpoint = read_checkpoint(model)
        with pytest.raises(ModelError, match=r"have no 'encoder.layer.1.output.dense.weight'"):
            checkpoint.encoder("encoder.layer.1.output.dense.weight")

    def test_a_model_in_half_precision(self, tiny_m3, tiny_reranker, tmp_path):
        encoder = FlagEncoder(tiny_m3, options=FlagOptions(precision="bf16"))
        with pytest.raises(InputError, match="in bf16"):
            export_encoder(encoder, tmp_path / "out")
        reranker = FlagReranker(tiny_reranker, options=FlagRerankerOptions(precision="bf16"))
        with pytest.raises(InputError, match="in bf16"):
            export_reranker(reranker, tmp_path / "out")

    @pytest.mark.parametrize(
        "values", [{"precisions": ()}, {"precisions": ("int4",)}, {"texts": ("one",)}]
    )
    def test_bad_options(self, values):
        with pytest.raises(InputError, match=next(iter(values))):
            ExportOptions(**values)


class TestCommand:
    @pytest.fixture
    def run(self, monkeypatch, capsys):
        def call(*arguments):
            monkeypatch.setattr(sys, "argv", ["trivec", "export", *map(str, arguments)])
            with pytest.raises(SystemExit) as ending:
                cli.main()
            return int(ending.value.code or 0), *capsys.readouterr()

        return call

    def test_an_encoder_and_your_texts(self, run, tiny_m3, tmp_path):
        samples = tmp_path / "samples.txt"
        samples.write_text("\n\n".join(TEXTS), "utf-8")
        code, out, _ = run(
            *(tiny_m3, tmp_path / "out", "--precision", "fp32,int8", "--samples", samples),
            *("--pooling", "mean", "--max-length", "64"),
        )
        assert code == 0
        assert "encoder in fp32" in out
        assert "on 2 texts: dense cosine 1.0000" in out
        info = OnnxEncoder(tmp_path / "out").info
        assert (info.pooling, info.max_length) == ("mean", 64)

    def test_a_reranker_is_recognised(self, run, tiny_reranker, tmp_path):
        code, out, _ = run(tiny_reranker, tmp_path / "out", "--json")
        assert code == 0
        written = json.loads(out)
        assert written["kind"] == "reranker"
        assert written["precisions"]["int8"]["score_difference"] < 0.2
        assert len(OnnxReranker(tmp_path / "out").score("river", ["a", "b"])) == 2

    def test_what_cannot_be_done_is_one_line(self, run, tiny_m3, tmp_path):
        code, _, err = run(tiny_m3, tmp_path, "--precision", "int8")
        assert code == 1
        assert "exists already" in err
        code, _, err = run(tiny_m3, tmp_path / "out", "--precision", "int2")
        assert code == 1
        assert "allowed: a list of fp32 or int8" in err
