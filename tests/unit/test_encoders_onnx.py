"""OnnxEncoder against FlagEncoder on the exported model, and folders that are not whole."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trivec._models import onnx_choice, onnx_session
from trivec._models.onnx_measuring import Int8Product, Measured
from trivec._models.onnx_session import Session, SessionOptions
from trivec.encoders import FlagEncoder, FlagOptions, OnnxEncoder, OnnxOptions
from trivec.errors import InputError, MissingHeadError, ModelError
from trivec.exporting import ExportOptions, export_encoder
from trivec.loading import load_encoder
from trivec.rerankers import OnnxReranker

pytest.importorskip("onnx")

ENGLISH = "The river rises in the mountains and flows through three countries to the sea."
CHINESE = "这条河发源于山区，流经三个国家，最后注入大海。"
TEXTS = {
    "empty": [""],
    "blank": [" \n\t "],
    "english": [ENGLISH],
    "chinese": [CHINESE],
    "emoji": ["🐧 penguins 不会飞 🏔️👩‍👩‍👧"],
    "specials written out": ["a </s> b <s> c <mask> d <pad> e <unk>", "river"],
    "surrogates": ["nul \0 and \ud800 surrogate"],
    "long": [" ".join([ENGLISH, CHINESE] * 40)],
    "mixed": ["", ENGLISH, "river", CHINESE, "a <pad> b", "she opened the window", ENGLISH * 5],
}
FP32 = OnnxOptions(precision="fp32", threads=1, query_max_length=8192)
INT8 = OnnxOptions(precision="int8", threads=1)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIVEC_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def flag(tiny_m3):
    return FlagEncoder(tiny_m3, options=FlagOptions(query_max_length=8192))


@pytest.fixture(scope="module")
def exported(exported_m3):
    return OnnxEncoder(exported_m3, options=FP32)


@pytest.fixture
def damaged(exported_m3, tmp_path):
    """A copy of the export, to be harmed."""
    return Path(shutil.copytree(exported_m3, tmp_path / "damaged"))


def assert_equal_encodings(left, right, tolerance=1e-4):
    assert len(left) == len(right)
    for mine, other in zip(left, right, strict=True):
        np.testing.assert_allclose(mine.dense, other.dense, atol=tolerance)
        np.testing.assert_array_equal(mine.sparse.indices, other.sparse.indices)
        np.testing.assert_allclose(mine.sparse.values, other.sparse.values, atol=tolerance)
        np.testing.assert_allclose(mine.colbert, other.colbert, atol=tolerance)
        assert (mine.tokens, mine.truncated) == (other.tokens, other.truncated)


class TestParity:
    """In fp32 nothing tells the two apart."""

    @pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
    @pytest.mark.parametrize("role", ["encode_documents", "encode_queries"])
    def test_every_head(self, flag, exported, texts, role):
        assert_equal_encodings(getattr(exported, role)(texts), getattr(flag, role)(texts))

    def test_a_text_of_full_length_and_one_that_is_cut_off(self, flag, exported):
        texts = ["river " * 3000, "river sea " * 9000]
        ours = exported.encode_documents(texts)
        assert [each.truncated for each in ours] == [False, True]
        assert_equal_encodings(ours, flag.encode_documents(texts))

    def test_a_document_and_its_passages(self, flag, exported):
        document = f"{ENGLISH} {CHINESE}"
        spans = [(0, len(ENGLISH)), (len(ENGLISH) + 1, len(document))]
        ours, theirs = (each.encode_long(document, spans) for each in (exported, flag))
        assert_equal_encodings(ours, theirs)

    def test_pooling_instructions_and_lengths_go_with_the_export(self, tiny_m3, tmp_path):
        options = FlagOptions(
            pooling="mean",
            normalize=False,
            query_instruction="query: ",
            passage_instruction="passage: ",
            query_max_length=16,
            passage_max_length=64,
        )
        flag = FlagEncoder(tiny_m3, options=options)
        export_encoder(flag, tmp_path / "out", options=ExportOptions(precisions=("fp32",)))
        exported = OnnxEncoder(tmp_path / "out")
        texts = [ENGLISH, "", CHINESE * 3, "a <pad> b"]
        assert_equal_encodings(exported.encode_queries(texts), flag.encode_queries(texts))
        assert_equal_encodings(exported.encode_documents(texts), flag.encode_documents(texts))
        assert exported.info == replace(flag.info, model=str(tmp_path / "out"))

    def test_what_identifies_the_vectors_is_the_exported_models(self, flag, exported):
        assert exported.info == replace(flag.info, model=exported.info.model)

    def test_tokens_decode_alike(self, flag, exported):
        ids = flag.encode_documents([ENGLISH])[0].sparse.indices.tolist()
        assert exported.decode_tokens(ids) == flag.decode_tokens(ids)


class TestByName:
    """A model's own files, written down as a graph at first use."""

    def test_in_fp32_nothing_tells_them_apart(self, flag, tiny_m3):
        encoder = OnnxEncoder(tiny_m3, options=FP32)
        for texts in TEXTS.values():
            assert_equal_encodings(encoder.encode_documents(texts), flag.encode_documents(texts))
        assert encoder.info == flag.info

    def test_it_is_written_once(self, tiny_m3, tmp_path, monkeypatch):
        folder = OnnxEncoder(tiny_m3, options=INT8).folder
        assert folder.parent == tmp_path / "cache" / "onnx"
        monkeypatch.setattr("trivec._graphs.writing.write_export", None)
        assert OnnxEncoder(tiny_m3, options=INT8).folder == folder

    def test_other_weights_are_another_folder(self, tiny_m3, tmp_path):
        from trivec.testing import build_tiny_m3

        other = build_tiny_m3(tmp_path / tiny_m3.name, seed=1)
        assert OnnxEncoder(other, options=INT8).folder != OnnxEncoder(tiny_m3, options=INT8).folder

    def test_lengths_are_those_that_it_has_positions_for(self, tiny_m3, tmp_path):
        folder = Path(shutil.copytree(tiny_m3, tmp_path / "short"))
        config = json.loads((folder / "config.json").read_text("utf-8"))
        config["max_position_embeddings"] = 102
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
        encoder = OnnxEncoder(folder, options=INT8)
        assert encoder.info.max_length == 100
        with pytest.raises(InputError, match="passage_max_length=101"):
            _ = OnnxEncoder(folder, options=replace(INT8, passage_max_length=101)).info

    def test_how_near_was_not_measured(self, tiny_m3):
        assert OnnxEncoder(tiny_m3, options=INT8).agreement.texts == 0


@pytest.fixture(scope="module")
def sentence_encoder(tiny_m3, tmp_path_factory):
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("bert")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_m3 / name, folder / name)
    vocabulary = json.loads((tiny_m3 / "config.json").read_text("utf-8"))["vocab_size"]
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(
        vocab_size=vocabulary, **sizes, intermediate_size=64, max_position_embeddings=64
    )
    BertModel(config).save_pretrained(folder)
    return folder


class TestSentenceEncoder:
    """A BERT without M3's heads, as bge-small-en is."""

    @pytest.mark.parametrize("pooling", [None, "cls", "mean"])
    def test_dense_vectors_are_those_of_pytorch(self, sentence_encoder, tmp_path, pooling):
        import torch
        from transformers import BertModel

        model = Path(shutil.copytree(sentence_encoder, tmp_path / "model"))
        if pooling is not None:
            (model / "1_Pooling").mkdir()
            modes = {
                f"pooling_mode_{name}": pooling in name for name in ("cls_token", "mean_tokens")
            }
            (model / "1_Pooling" / "config.json").write_text(json.dumps(modes), "utf-8")
        encoder = OnnxEncoder(model, options=OnnxOptions(precision="fp32"))
        assert encoder.info.heads == ("dense",)
        assert (encoder.info.colbert_dim, encoder.info.max_length) == (None, 64)
        ids = torch.tensor([encoder.tokenizer.encode(ENGLISH).ids])
        with torch.inference_mode():
            states = BertModel.from_pretrained(model).eval()(ids).last_hidden_state[0]
        expected = states.mean(dim=0) if pooling == "mean" else states[0]
        (found,) = encoder.encode_documents([ENGLISH], heads=("dense",))
        normalized = torch.nn.functional.normalize(expected, dim=-1).numpy()
        np.testing.assert_allclose(found.dense, normalized, atol=1e-5)
        spans = encoder.encode_long(ENGLISH, [(0, 20)], heads=("dense",))
        assert spans[0].dense.shape == (32,)

    def test_other_heads_are_refused(self, sentence_encoder):
        encoder = OnnxEncoder(sentence_encoder, options=OnnxOptions(precision="int8"))
        with pytest.raises(MissingHeadError, match=r"no head for sparse, colbert; ask for heads="):
            encoder.encode_documents(["river"])

    def test_another_pooling_is_refused(self, sentence_encoder, tmp_path):
        model = Path(shutil.copytree(sentence_encoder, tmp_path / "model"))
        (model / "1_Pooling").mkdir()
        modes = {"pooling_mode_max_tokens": True}
        (model / "1_Pooling" / "config.json").write_text(json.dumps(modes), "utf-8")
        with pytest.raises(ModelError, match=r"asks for \['max'\]; cls or mean"):
            OnnxEncoder(model, options=OnnxOptions(precision="int8")).load()

    def test_one_head_of_two_is_a_damage(self, sentence_encoder, tiny_m3, tmp_path):
        model = Path(shutil.copytree(sentence_encoder, tmp_path / "model"))
        shutil.copy(tiny_m3 / "sparse_linear.pt", model)
        with pytest.raises(MissingHeadError, match=r"no colbert_linear\.pt"):
            OnnxEncoder(model).load()


class TestInt8:
    def test_is_near_and_says_how_near(self, exported_m3, exported):
        encoder = OnnxEncoder(exported_m3, options=INT8)
        texts = [ENGLISH, CHINESE, "river", ""]
        for ours, theirs in zip(
            encoder.encode_documents(texts), exported.encode_documents(texts), strict=True
        ):
            assert ours.dense @ theirs.dense > 0.999
            assert (ours.colbert * theirs.colbert).sum(axis=1).min() > 0.995
        assert encoder.info.precision == "int8"
        assert 0.999 < encoder.agreement.dense_cosine_mean < 1
        assert exported.agreement.dense_cosine_mean == pytest.approx(1)

    def test_a_text_does_not_change_its_neighbours(self, exported_m3):
        encoder = OnnxEncoder(exported_m3, options=INT8)
        (alone,) = encoder.encode_documents(["the river"])
        together = encoder.encode_documents(["the river", "🐧 <mask> " * 20, CHINESE])[0]
        assert alone.dense @ together.dense > 0.9999

    def test_a_row_of_zeros_is_a_row_of_zeros(self, tmp_path):
        """Its scale is 0, and so is what it is divided by."""
        from trivec._graphs.graph import Graph
        from trivec._graphs.linear import Int8

        weight = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
        rows = np.random.default_rng(1).normal(size=(5, 64)).astype(np.float32)
        rows[2] = 0
        with (tmp_path / "data").open("wb") as data:
            graph, int8 = Graph(data, "data"), Int8()
            graph.input("rows", "float32", ["tokens", 64])
            count = graph.constant("count", np.array([len(rows)]))
            int8.begin(graph, count)
            product = int8.linear(graph, int8.prepared(graph, "rows", "x"), weight, "layer")
            graph.output(product, "float32", ["tokens", 3])
            path = tmp_path / "graph.onnx"
            path.write_bytes(graph.content())
        session = onnx_session.Session(path, onnx_session.SessionOptions(1, CPU, spinning=False))
        (found,) = session.run([product], {"rows": rows})
        assert not found[2].any()
        np.testing.assert_allclose(found, rows @ weight.T, atol=0.3)


CPU = "CPUExecutionProvider"


class TestHeads:
    def test_colbert_is_not_computed_unless_it_is_asked_for(self, exported):
        exported.load()
        inputs = {
            "input_ids": np.array([[0, 5, 6, 2]]),
            "attention_mask": np.ones((1, 4), np.int64),
        }
        session = exported._session()
        off = session.run(["colbert"], {**inputs, "with_colbert": np.array(False)})
        on = session.run(["colbert"], inputs)  # a graph used by others computes all
        assert off[0].size == 0
        assert on[0].shape == (1, 4, 32)


class TestDamage:
    """A folder that is not as it was exported is refused before anything is loaded."""

    @pytest.mark.parametrize("name", ["model_int8.onnx.data", "model_fp32.onnx", "tokenizer.json"])
    def test_cut_off(self, damaged, name):
        content = (damaged / name).read_bytes()
        (damaged / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ModelError, match="cut off or replaced"):
            OnnxEncoder(damaged).info  # noqa: B018

    @pytest.mark.parametrize("name", ["model_int8.onnx.data", "model_fp32.onnx", "tokenizer.json"])
    def test_changed_at_the_same_size(self, damaged, name):
        content = bytearray((damaged / name).read_bytes())
        content[len(content) // 2] ^= 1
        (damaged / name).write_bytes(content)
        with pytest.raises(ModelError, match=f"{name} has another sha256"):
            OnnxEncoder(damaged).encode_queries(["river"])

    @pytest.mark.parametrize("name", ["model_int8.onnx", "tokenizer.json"])
    def test_missing(self, damaged, name):
        (damaged / name).unlink()
        with pytest.raises(ModelError, match=f"{name} is missing"):
            OnnxEncoder(damaged).load()

    def test_a_manifest_that_was_edited(self, damaged):
        manifest = json.loads((damaged / "manifest.json").read_text("utf-8"))
        manifest["settings"]["pooling"] = "mean"
        (damaged / "manifest.json").write_text(json.dumps(manifest), "utf-8")
        with pytest.raises(ModelError, match="was changed after the export"):
            OnnxEncoder(damaged).info  # noqa: B018

    @pytest.mark.parametrize("text", ["", "[]", "{}", '"manifest"', "{"])
    def test_a_manifest_that_is_none(self, damaged, text):
        (damaged / "manifest.json").write_text(text, "utf-8")
        with pytest.raises(ModelError, match="is damaged"):
            OnnxEncoder(damaged).info  # noqa: B018

    def test_a_format_of_the_future(self, damaged):
        manifest = json.loads((damaged / "manifest.json").read_text("utf-8"))
        manifest["format_version"] = 2
        (damaged / "manifest.json").write_text(json.dumps(manifest), "utf-8")
        with pytest.raises(ModelError, match="this trivec reads"):
            OnnxEncoder(damaged).info  # noqa: B018

    def test_graph_and_weights_of_two_exports(self, damaged, tiny_m3, tmp_path):
        """Files that are whole, but not those that the manifest lists."""
        other = FlagEncoder(tiny_m3, options=FlagOptions(pooling="mean"))
        export_encoder(other, tmp_path / "other", options=ExportOptions(precisions=("int8",)))
        shutil.copy(tmp_path / "other" / "model_int8.onnx", damaged / "model_int8.onnx")
        with pytest.raises(ModelError, match="manifest says"):
            OnnxEncoder(damaged).info  # noqa: B018

    def test_neither_an_export_nor_a_model(self, tmp_path):
        with pytest.raises(ModelError, match=r"is not a model's folder: it has no config\.json"):
            OnnxEncoder(tmp_path).load()
        with pytest.raises(ModelError, match="is not a folder; give a folder in the BGE-M3"):
            OnnxEncoder(tmp_path / "absent").load()

    def test_a_reranker_is_no_encoder(self, exported_reranker, exported_m3):
        with pytest.raises(
            ModelError, match="holds an exported reranker; give an exported encoder"
        ):
            OnnxEncoder(exported_reranker).load()
        with pytest.raises(
            ModelError, match="holds an exported encoder; give an exported reranker"
        ):
            OnnxReranker(exported_m3).load()


class TestPrecision:
    @pytest.fixture
    def cpu(self, monkeypatch):
        """Pretends that int8 was measured to be so many times as fast as float32."""

        def pretend(times):
            product = Int8Product(exact=True, few=times, many=times)
            monkeypatch.setattr(onnx_choice, "measured", lambda: Measured(product, product))

        return pretend

    @pytest.mark.parametrize(("times", "chosen"), [(4.0, "int8"), (1.0, "fp32")])
    def test_auto_follows_the_measurement_and_says_so(
        self, exported_m3, cpu, caplog, times, chosen
    ):
        cpu(times)
        caplog.set_level(logging.INFO, "trivec")
        assert OnnxEncoder(exported_m3).info.precision == chosen
        assert f"precision='auto' is {chosen!r}: int8 with signed weights" in caplog.text
        assert f"{times:.1f} times as fast as fp32" in caplog.text

    def test_auto_takes_what_there_is(self, tiny_m3, tmp_path, cpu):
        options = ExportOptions(precisions=("int8",))
        export_encoder(FlagEncoder(tiny_m3), tmp_path / "int8", options=options)
        cpu(0.5)
        assert OnnxEncoder(tmp_path / "int8").info.precision == "int8"
        with pytest.raises(InputError, match="holds int8; export it again with --precision fp32"):
            OnnxEncoder(tmp_path / "int8", options=FP32).load()

    def test_the_environment_decides_for_auto_alone(self, exported_m3, monkeypatch):
        monkeypatch.setenv("TRIVEC_ONNX_PRECISION", "fp32")
        assert OnnxEncoder(exported_m3).info.precision == "fp32"
        assert OnnxEncoder(exported_m3, options=INT8).info.precision == "int8"


class TestOptions:
    @pytest.mark.parametrize(
        "settings",
        [
            {"precision": "int4"},
            {"threads": -1},
            {"max_batch_tokens": 0},
            {"query_max_length": 2},
            {"passage_max_length": 0},
        ],
    )
    def test_bad_values_are_refused(self, settings):
        with pytest.raises(InputError, match=next(iter(settings))):
            OnnxOptions(**settings)

    def test_more_tokens_than_positions(self, exported_m3):
        options = OnnxOptions(passage_max_length=8193)
        with pytest.raises(InputError, match="positions for 8192 tokens"):
            OnnxEncoder(exported_m3, options=options).load()

    def test_a_provider_that_is_not_there(self, exported_m3):
        encoder = OnnxEncoder(exported_m3, options=OnnxOptions(provider="NoSuchProvider"))
        with pytest.raises(InputError, match=r"this onnxruntime has .*CPUExecutionProvider"):
            encoder.load()

    def test_options_win_over_the_export(self, exported_m3, flag):
        options = replace(FP32, query_instruction="query: ", query_max_length=8)
        ours = OnnxEncoder(exported_m3, options=options).encode_queries([ENGLISH])
        asked = replace(flag.options, query_instruction="query: ", query_max_length=8)
        theirs = FlagEncoder(flag.folder, options=asked).encode_queries([ENGLISH])
        assert ours[0].truncated
        assert_equal_encodings(ours, theirs)


class TestLoading:
    @pytest.mark.parametrize(
        ("variable", "option", "threads"),
        [("3", 0, 3), ("3,2", 0, 3), ("3", 2, 2), ("", 0, 0), ("many", 0, 0)],
    )
    def test_threads(self, exported_m3, monkeypatch, variable, option, threads):
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
        session = Session(
            exported_m3 / "model_fp32.onnx", SessionOptions(option, "CPUExecutionProvider", True)
        )
        assert session._session.get_session_options().intra_op_num_threads == threads

    def test_by_name(self, exported_m3, tiny_m3):
        assert isinstance(load_encoder(exported_m3), OnnxEncoder)
        assert isinstance(load_encoder(str(exported_m3), precision="fp32"), OnnxEncoder)
        assert type(load_encoder(tiny_m3, backend="flag")) is FlagEncoder
        with pytest.raises(InputError, match="device='tpu'"):
            load_encoder(exported_m3, device="tpu")

    def test_a_models_folder_that_holds_an_export(self, exported_m3, tiny_m3, tmp_path):
        folder = shutil.copytree(tiny_m3, tmp_path / "hub")
        shutil.copytree(exported_m3, folder / "onnx")
        assert OnnxEncoder(folder, options=FP32).folder == folder / "onnx"
        assert load_encoder(folder).folder == folder / "onnx"

    def test_constructing_loads_nothing(self):
        assert repr(OnnxEncoder("no/such/folder")) == "OnnxEncoder('no/such/folder')"

    def test_nothing_but_onnxruntime_and_tokenizers(self, exported_m3, exported_reranker):
        """A process in which torch, transformers and FlagEmbedding cannot be imported."""
        program = f"""
import sys

class Forbidden:
    names = {{"torch", "transformers", "FlagEmbedding", "onnx", "safetensors", "huggingface_hub"}}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"{{name}} is forbidden", name=name)

sys.meta_path.insert(0, Forbidden())
import trivec

encoder = trivec.load_encoder({str(exported_m3)!r})
(encoding,) = encoder.encode_queries(["river"])
assert encoding.dense.shape == (32,)
encoder.encode_long("the river flows to the sea", [(0, 9)])
encoder.info, encoder.agreement, encoder.decode_tokens(encoding.sparse.indices)
reranker = trivec.load_reranker({str(exported_reranker)!r})
assert len(reranker.score("river", ["the river", "the sea"])) == 2
assert not Forbidden.names & sys.modules.keys()
"""
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
