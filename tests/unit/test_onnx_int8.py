"""Bytes are multiplied exactly or not at all, and what runs here was measured, not guessed.

No test depends on how fast this machine is: speeds are given, and only exactness is measured.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from trivec import cli
from trivec._models import onnx_choice, onnx_measuring
from trivec._models.onnx_choice import best_precision, choose_layout, choose_precision, describe
from trivec._models.onnx_measuring import LAYOUTS, Int8Product, Measured
from trivec._models.onnx_proto import message
from trivec._models.onnx_session import Session, SessionOptions
from trivec._models.onnx_unsigned import UnsignedGraph
from trivec.encoders import OnnxEncoder, OnnxOptions
from trivec.errors import InputError, ModelError
from trivec.rerankers import OnnxReranker, OnnxRerankerOptions

onnx = pytest.importorskip("onnx")

CPU = "CPUExecutionProvider"
BOTH = ("fp32", "int8")
PLACE = Path("m3-onnx")


def product(exact=True, few=2.0, many=2.0):
    return Int8Product(exact, few, many)


VNNI = Measured(signed=product(few=4.0, many=4.0), unsigned=product(few=2.5, many=2.0))
AVX2 = Measured(signed=product(exact=False, few=2.2, many=2.1), unsigned=product(few=1.8, many=1.5))
SLOW = Measured(signed=product(exact=False), unsigned=product(few=1.1, many=0.9))
NEITHER = Measured(signed=product(exact=False), unsigned=product(exact=False))


@pytest.fixture(autouse=True)
def plain(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIVEC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("TRIVEC_ONNX_PRECISION", raising=False)
    monkeypatch.delenv("TRIVEC_INT8_WEIGHTS", raising=False)


@pytest.fixture
def machine(monkeypatch):
    """Pretends that this machine is one of those above."""
    return lambda kind: monkeypatch.setattr(onnx_choice, "measured", lambda: kind)


@pytest.fixture
def unmeasured(monkeypatch):
    """Nothing may be measured."""

    def fail():
        pytest.fail("measured without need")

    monkeypatch.setattr(onnx_choice, "measured", fail)


def bytes_and_weight(outputs=64):
    """Return rows and a weight whose neighbouring products leave 16 bits in both directions."""
    random = np.random.default_rng(3)
    rows = random.integers(0, 256, (onnx_measuring.MANY, 96), np.uint8)
    weight = random.integers(-127, 128, (96, outputs), np.int8)
    rows[0], rows[1] = 255, 0
    weight[:, 0], weight[:, 1] = 127, -127
    return rows, weight


def saturating(rows, weight):
    """Multiply as ``vpmaddubsw`` does: the sum of two neighbours is cut off at 16 bits."""
    terms = rows[:, :, None].astype(np.int32) * weight[None].astype(np.int32)
    pairs = np.clip(terms[:, ::2] + terms[:, 1::2], -(2**15), 2**15 - 1)
    return (pairs.sum(axis=1) - 128 * weight.astype(np.int32).sum(axis=0)).astype(np.float32)


class TestExactness:
    def test_a_saturating_product_is_found_out(self):
        rows, weight = bytes_and_weight()
        found = saturating(rows, weight)
        assert not onnx_measuring._is_exact(lambda count: found[:count], rows, weight)

    def test_seven_bits_do_not_saturate_and_pass(self):
        """The check is of the arithmetic, not of a name."""
        rows, weight = bytes_and_weight()
        found = saturating(rows, weight // 2)
        assert onnx_measuring._is_exact(lambda count: found[:count], rows, weight // 2)

    @pytest.mark.parametrize("row", [0, 5, 100])
    def test_one_wrong_integer_is_enough(self, row):
        rows, weight = bytes_and_weight()
        found = (rows.astype(np.int64) - 128) @ weight.astype(np.int64)
        assert onnx_measuring._is_exact(lambda count: found[:count], rows, weight)
        found[row, 7] += 1
        assert not onnx_measuring._is_exact(lambda count: found[:count], rows, weight)

    def test_what_cannot_run_is_not_exact_and_stops_nothing(self, monkeypatch, caplog):
        session = onnx_measuring._session
        signed = onnx_measuring.ELEMENT_TYPES["int8"]

        def refuse(model):
            whole = message("Model")
            whole.ParseFromString(model)
            if any(tensor.data_type == signed for tensor in whole.graph.initializer):
                raise RuntimeError("no kernel")
            return session(model)

        monkeypatch.setattr(onnx_measuring, "_session", refuse)
        found = onnx_measuring.measure()
        assert found.signed == Int8Product(exact=False, few=0.0, many=0.0)
        assert found.unsigned.few > 0
        assert "cannot multiply signed weights" in caplog.text

    def test_this_machine_has_an_exact_layout(self):
        found = onnx_measuring.measure()
        assert found.layout in LAYOUTS
        assert found.of(found.layout).exact
        assert all(found.of(layout).few > 0 < found.of(layout).many for layout in LAYOUTS)

    def test_the_products_are_valid_onnx(self):
        _, weight = bytes_and_weight()
        for kind in (weight, weight.view(np.uint8), weight.astype(np.float32)):
            model = onnx_measuring.product_model(kind)
            assert onnx.load_from_string(model).graph.output[0].name == "product"


class TestChoice:
    @pytest.mark.parametrize(
        ("kind", "layout", "precision"),
        [
            (VNNI, "signed", "int8"),
            (AVX2, "unsigned", "int8"),
            (SLOW, "unsigned", "fp32"),
            (NEITHER, None, "fp32"),
            # hardly faster: as stored
            (Measured(product(), product(few=2.1, many=2.1)), "signed", "int8"),
            (Measured(product(), product(few=2.5, many=2.5)), "unsigned", "int8"),
            (Measured(product(few=1.19, many=1.19), product(few=1, many=1)), "signed", "fp32"),
            (Measured(product(few=0.8, many=2.0), product(few=1, many=1)), "signed", "int8"),
            (Measured(product(), product(exact=False, few=9, many=9)), "signed", "int8"),
        ],
    )
    def test_the_fastest_exact_one(self, machine, caplog, kind, layout, precision):
        caplog.set_level(logging.INFO, "trivec")
        machine(kind)
        assert kind.layout == layout
        assert best_precision(kind) == precision
        assert choose_precision("auto", BOTH, PLACE) == precision
        assert f"precision='auto' is {precision!r}" in caplog.text
        if layout is not None:
            assert choose_layout("auto") == layout
            assert f"int8 with {layout} weights" in caplog.text

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_a_layout_by_name_is_exact_or_refused(self, machine, layout):
        machine(VNNI)
        assert choose_layout(layout) == layout
        machine(AVX2)
        if layout == "unsigned":
            assert choose_layout(layout) == layout
        else:
            with pytest.raises(InputError, match=r"int8_weights='signed'.*take 'unsigned'"):
                choose_layout(layout)

    @pytest.mark.parametrize("asked", ["auto", *LAYOUTS])
    def test_int8_that_would_be_wrong_is_refused(self, machine, asked):
        machine(NEITHER)
        with pytest.raises(ModelError, match="precision='fp32'"):
            choose_layout(asked)

    def test_the_environment_decides_what_no_option_says(self, machine, monkeypatch):
        machine(VNNI)
        monkeypatch.setenv("TRIVEC_ONNX_PRECISION", "fp32")
        monkeypatch.setenv("TRIVEC_INT8_WEIGHTS", "unsigned")
        assert choose_precision("auto", BOTH, PLACE) == "fp32"
        assert choose_precision("int8", BOTH, PLACE) == "int8"
        assert choose_layout("auto") == "unsigned"
        assert choose_layout("signed") == "signed"
        assert (describe()["precision"], describe()["int8_weights"]) == ("fp32", "unsigned")
        assert "TRIVEC_ONNX_PRECISION='fp32'" in describe()["why"]

    def test_the_environment_is_checked(self, machine, monkeypatch):
        machine(AVX2)
        monkeypatch.setenv("TRIVEC_ONNX_PRECISION", "int4")
        monkeypatch.setenv("TRIVEC_INT8_WEIGHTS", "7bit")
        with pytest.raises(InputError, match=r"TRIVEC_ONNX_PRECISION='int4'; allowed: auto, fp32"):
            choose_precision("auto", BOTH, PLACE)
        with pytest.raises(InputError, match=r"TRIVEC_INT8_WEIGHTS='7bit'; allowed: auto, signed"):
            choose_layout("auto")
        monkeypatch.setenv("TRIVEC_ONNX_PRECISION", "int8")
        with pytest.raises(InputError, match=r"TRIVEC_ONNX_PRECISION='int8', but .* holds fp32"):
            choose_precision("auto", ("fp32",), PLACE)
        monkeypatch.setenv("TRIVEC_INT8_WEIGHTS", "signed")
        with pytest.raises(InputError, match=r"TRIVEC_INT8_WEIGHTS='signed', but onnxruntime"):
            choose_layout("auto")

    @pytest.mark.usefixtures("unmeasured")
    def test_nothing_is_measured_where_there_is_no_choice(self):
        assert choose_precision("auto", ("int8",), PLACE) == "int8"
        assert choose_precision("auto", ("fp32",), PLACE) == "fp32"
        assert choose_precision("fp32", BOTH, PLACE) == "fp32"
        assert choose_precision("auto", BOTH, PLACE, "CUDAExecutionProvider") == "fp32"

    def test_bad_options(self):
        for options in (OnnxOptions, OnnxRerankerOptions):
            with pytest.raises(InputError, match="int8_weights='both'; allowed: auto, signed"):
                options(int8_weights="both")


class TestMemory:
    """A CPU is measured once, and again where it, onnxruntime or the rules are others."""

    @pytest.fixture
    def measurements(self, monkeypatch):
        done = []

        def measure():
            done.append(AVX2)
            return AVX2

        monkeypatch.setattr(onnx_choice, "measure", measure)
        return done

    @pytest.fixture
    def file(self, tmp_path):
        return tmp_path / "cache" / "onnx-products.json"

    def test_it_is_remembered(self, measurements, file):
        assert onnx_choice._recall() == onnx_choice._recall() == AVX2
        assert len(measurements) == 1
        assert [name.name for name in file.parent.iterdir()] == [file.name]

    @pytest.mark.parametrize("what", ["runtime", "rules", "flags", "model"])
    def test_another_machine_or_version_is_measured(
        self, measurements, file, monkeypatch, tmp_path, what
    ):
        info = "model name : CPU\nflags : avx2 fma\n\nprocessor : 1\n"
        (tmp_path / "cpuinfo").write_text(info, "ascii")
        monkeypatch.setattr(onnx_choice, "_CPU_INFO", tmp_path / "cpuinfo")
        onnx_choice._recall()
        if what == "runtime":
            monkeypatch.setattr(onnx_choice, "_runtime", lambda: "99.0")
        elif what == "rules":
            monkeypatch.setattr(onnx_choice, "_RULES", 0)
        else:
            new = info.replace("fma", "fma avx_vnni") if what == "flags" else info + "stepping: 2"
            new = info.replace("CPU", "CPU 2") if what == "model" else new
            (tmp_path / "cpuinfo").write_text(new, "ascii")
        onnx_choice._recall()
        assert len(measurements) == 2
        assert len(json.loads(file.read_text("utf-8"))) == 2
        onnx_choice._recall()
        assert len(measurements) == 2

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda _: "",
            lambda text: text[: len(text) // 2],
            lambda _: "[]",
            lambda text: text.replace("signed", "sealed"),
            lambda text: text.replace("false", '"no"'),
            lambda text: text.replace("1.8", "-1.8"),
            lambda text: text.replace("1.8", "NaN"),
            lambda text: text.replace("1.8", "null"),
            lambda text: json.dumps(dict.fromkeys(json.loads(text), 3)),
        ],
    )
    def test_a_damaged_memory_is_none(self, measurements, file, spoil):
        onnx_choice._recall()
        file.write_text(spoil(file.read_text("utf-8")), "utf-8")
        assert onnx_choice._recall() == AVX2
        assert len(measurements) == 2
        assert onnx_choice._recall() == AVX2
        assert len(measurements) == 2

    def test_a_folder_that_cannot_be_written(self, measurements, monkeypatch, tmp_path, caplog):
        (tmp_path / "file").write_text("", "ascii")
        monkeypatch.setenv("TRIVEC_CACHE_DIR", str(tmp_path / "file" / "cache"))
        monkeypatch.setattr(onnx_choice, "_measured", type(onnx_choice._measured)(_recall))
        assert onnx_choice._measured() == onnx_choice._measured() == AVX2
        assert len(measurements) == 1
        assert "cannot remember in" in caplog.text

    def test_a_writer_that_died_in_the_middle(self, measurements, file):
        file.parent.mkdir()
        (file.parent / f"{file.name}abc.part").write_text('{"CPU', "ascii")
        assert onnx_choice._recall() == onnx_choice._recall() == AVX2
        assert len(measurements) == 1

    def test_many_at_once(self, measurements, file):
        threads = [threading.Thread(target=onnx_choice._recall) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(json.loads(file.read_text("utf-8"))) == 1
        count = len(measurements)
        assert onnx_choice._recall() == AVX2
        assert len(measurements) == count


def _recall():
    return onnx_choice._recall()


class TestCpu:
    @pytest.mark.parametrize(
        ("text", "model", "instructions"),
        [
            (
                "cpu family : 25\nmodel : 1\nmodel name : AMD EPYC\nflags : avx2\n\nflags : fma\n",
                "AMD EPYC 25 1",
                ("avx2",),
            ),
            (
                "Features : fp asimd asimddp i8mm\nCPU implementer : 0x41\nCPU part : 0xd40\n",
                "0x41 0xd40",
                ("asimd", "asimddp", "i8mm"),
            ),
            (
                "flags : avx512f avx_vnni amx_int8 avx512_vnni avx2\nmodel name : Xeon\n",
                "Xeon",
                ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"),
            ),
        ],
    )
    def test_what_linux_says(self, tmp_path, monkeypatch, text, model, instructions):
        (tmp_path / "cpuinfo").write_text(text, "ascii")
        monkeypatch.setattr(onnx_choice, "_CPU_INFO", tmp_path / "cpuinfo")
        found = onnx_choice.find_cpu()
        assert (found.model, found.instructions) == (model, instructions)

    def test_elsewhere(self, tmp_path, monkeypatch):
        monkeypatch.setattr(onnx_choice, "_CPU_INFO", tmp_path / "absent")
        assert onnx_choice.find_cpu().model
        monkeypatch.setattr("platform.system", lambda: "Darwin")
        monkeypatch.setattr("platform.machine", lambda: "arm64")
        assert onnx_choice.find_cpu().model  # where sysctl cannot be run too


def write_products(folder, weights, *, shared=False):
    """Write a graph that multiplies the same rows by each weight, as an export does."""
    from trivec._graphs.graph import Graph
    from trivec._graphs.linear import Int8

    with (folder / "graph.onnx.data").open("wb") as data:
        graph, int8 = Graph(data, "graph.onnx.data"), Int8()
        inputs = weights[0].shape[1]
        graph.input("rows", "float32", ["tokens", inputs])
        int8.begin(graph, graph.constant("count", np.array([5])))
        prepared = int8.prepared(graph, "rows", "x")
        for number, weight in enumerate(weights):
            name = int8.linear(graph, prepared, weight, f"layer{number}")
            graph.output(name, "float32", ["tokens", len(weight)])
        if shared:
            same = int8.linear(graph, prepared, weights[0], "layer0.again")
            again = graph._nodes[-2]
            again.input[1], again.input[3] = "layer0.weight", "layer0.scale"
            graph.output(same, "float32", ["tokens", len(weights[0])])
        path = folder / "graph.onnx"
        path.write_bytes(graph.content())
    return path


def expected_products(rows, weights):
    """Return what 8 bits give where the integers are right."""
    from trivec._graphs.linear import quantized_rows

    scale = np.abs(rows).max(axis=1, keepdims=True) * np.float32(1 / 127)
    integers = np.rint(rows / scale).astype(np.int64)
    found = []
    for weight in weights:
        quantized, factor = quantized_rows(weight)
        found.append((integers @ quantized.T.astype(np.int64)) * factor * scale)
    return found


def steep(random, outputs, inputs):
    """Return a weight with neighbours that saturate: large and of one sign."""
    weight = random.normal(size=(outputs, inputs)).astype(np.float32)
    weight[0], weight[1] = 1, -1
    return weight


class TestUnsigned:
    @pytest.fixture
    def rows(self):
        rows = np.random.default_rng(1).normal(size=(5, 64)).astype(np.float32)
        rows[0], rows[1] = 1, -1
        return rows

    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("shared", [False, True])
    def test_each_exact_layout_gives_the_same_integers(self, tmp_path, rows, layout, shared):
        """Weights in the graph and beside it, one of two products, and each CPU's own layouts."""
        random = np.random.default_rng(0)
        weights = [steep(random, 3, 64), steep(random, 200, 64)]
        path = write_products(tmp_path, weights, shared=shared)
        before = {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
        if not onnx_measuring.measure().of(layout).exact:
            with pytest.raises(InputError, match="does not multiply"):
                choose_layout(layout)
            return
        session = Session(path, SessionOptions(1, CPU, False, layout))
        names = ["layer0.product", "layer1.product"] + ["layer0.again.product"] * shared
        found = session.run(names, {"rows": rows})
        expected = expected_products(rows, [*weights, *weights[:1] * shared])
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
        assert all(file.read_bytes() == content for file, content in before.items())

    def test_what_is_not_int8_stays(self, exported_m3):
        graph = UnsignedGraph(exported_m3 / "model_fp32.onnx")
        assert graph.weights() == {}

    def test_only_the_matrices_are_flipped(self, exported_m3, tmp_path):
        """The rows of the vocabulary are not multiplied."""
        file = exported_m3 / "model_int8.onnx"
        graph = UnsignedGraph(file)
        signed = onnx.load(file)
        stored = {
            tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in signed.graph.initializer
        }
        flipped = graph.weights()
        assert set(flipped) == {
            name
            for name, array in stored.items()
            if array.dtype == np.int8 and "word_embeddings" not in name and array.nbytes > 1024
        }
        for name, array in flipped.items():
            np.testing.assert_array_equal(array.astype(np.int16) - 128, stored[name])
        rewritten = onnx.load_from_string(graph.model)
        shutil.copy(exported_m3 / "model_int8.onnx.data", tmp_path)
        (tmp_path / "unsigned.onnx").write_bytes(graph.model)
        onnx.checker.check_model(str(tmp_path / "unsigned.onnx"))
        kinds = {tensor.name: tensor.data_type for tensor in rewritten.graph.initializer}
        assert all(kinds[name] == onnx.TensorProto.UINT8 for name in flipped)
        assert kinds["embeddings.word_embeddings.weight"] == onnx.TensorProto.INT8
        products = [node for node in rewritten.graph.node if node.op_type == "MatMulIntegerToFloat"]
        assert len(products) == len({node.input[1] for node in products}) == 8
        assert {node.input[5] for node in products} == {"unsigned_weight_zero"}
        assert kinds["unsigned_weight_zero"] == onnx.TensorProto.UINT8

    def test_a_graph_that_cannot_be_read(self, tmp_path):
        (tmp_path / "graph.onnx").write_bytes(b"\xff\xff no graph")
        with pytest.raises(ModelError, match="export the model again"):
            Session(tmp_path / "graph.onnx", SessionOptions(1, CPU, False, "unsigned"))

    def test_weights_that_are_cut_off(self, tmp_path):
        path = write_products(tmp_path, [steep(np.random.default_rng(0), 200, 64)])
        data = tmp_path / "graph.onnx.data"
        data.write_bytes(data.read_bytes()[:2000])
        with pytest.raises(ModelError, match="export the model again"):
            Session(path, SessionOptions(1, CPU, False, "unsigned"))


class TestModels:
    """What is promised of int8 is so in every layout that this CPU may take."""

    TEXTS = ("The river rises in the mountains.", "这条河发源于山区。", "river", "")

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_an_encoder(self, exported_m3, layout):
        options = OnnxOptions(precision="int8", int8_weights=layout, threads=1)
        encoder = OnnxEncoder(exported_m3, options=options)
        if not onnx_measuring.measure().of(layout).exact:
            with pytest.raises(InputError, match=f"int8_weights='{layout}'.*exactly"):
                encoder.encode_queries(["river"])
            return
        exact = OnnxEncoder(exported_m3, options=OnnxOptions(precision="fp32", threads=1))
        chosen = OnnxEncoder(exported_m3, options=OnnxOptions(precision="int8", threads=1))
        for ours, theirs, same in zip(
            *(each.encode_documents(self.TEXTS) for each in (encoder, exact, chosen)), strict=True
        ):
            assert ours.dense @ theirs.dense > 0.999
            np.testing.assert_allclose(ours.dense, same.dense, atol=1e-5)
            np.testing.assert_allclose(ours.colbert, same.colbert, atol=1e-4)
        assert encoder.info == chosen.info  # the fingerprint knows no layout

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_a_reranker(self, exported_reranker, layout):
        options = OnnxRerankerOptions(precision="int8", int8_weights=layout, threads=1)
        reranker = OnnxReranker(exported_reranker, options=options)
        if not onnx_measuring.measure().of(layout).exact:
            with pytest.raises(InputError, match=f"int8_weights='{layout}'.*exactly"):
                reranker.score("river", self.TEXTS)
            return
        exact = OnnxReranker(exported_reranker, options=OnnxRerankerOptions(precision="fp32"))
        expected = pytest.approx(exact.score("river", self.TEXTS), abs=0.15)
        assert reranker.score("river", self.TEXTS) == expected

    def test_links_into_another_folder(self, exported_m3, tmp_path):
        """A hub's snapshot is one of links."""
        folder = tmp_path / "snapshot"
        folder.mkdir()
        for number, file in enumerate(exported_m3.iterdir()):
            blob = tmp_path / "blobs" / str(number)
            blob.parent.mkdir(exist_ok=True)
            shutil.copy(file, blob)
            (folder / file.name).symlink_to(blob)
        for precision in BOTH:
            encoder = OnnxEncoder(folder, options=OnnxOptions(precision=precision))
            assert encoder.encode_queries(["river"])[0].dense is not None


class TestCommand:
    """``trivec info`` says what runs here and why."""

    @pytest.fixture
    def run(self, monkeypatch, capsys):
        def call(*arguments):
            monkeypatch.setattr(sys, "argv", ["trivec", *map(str, arguments)])
            with pytest.raises(SystemExit) as ending:
                cli.main()
            return int(ending.value.code or 0), *capsys.readouterr()

        return call

    @pytest.mark.parametrize("kind", [VNNI, AVX2, SLOW, NEITHER], ids=str)
    def test_this_machine(self, run, machine, kind):
        machine(kind)
        code, out, _ = run("info", "--json")
        said = json.loads(out)["machine"]
        assert code == 0
        assert said["precision"] == best_precision(kind)
        assert said["int8_weights"] == kind.layout
        assert ("signed weights are not exact" in said["why"]) == (kind in (AVX2, SLOW))
        assert said["cpu"]
        code, out, _ = run("info")
        assert code == 0
        assert best_precision(kind) in out

    def test_an_index_of_an_exported_model(self, run, machine, exported_m3, tmp_path):
        (tmp_path / "bees.md").write_text("Bees make honey.", "utf-8")
        machine(AVX2)
        place = tmp_path / "kb"
        assert run("index", tmp_path / "bees.md", "--to", place, "--model", exported_m3)[0] == 0
        said = json.loads(run("info", place, "--json")[1])
        assert said["machine"]["int8_weights"] == "unsigned"
        assert said["schema"]["fingerprint"]["encoder"]["precision"] == "int8"
        assert "2.2" not in run("info", place)[1]
        assert "unsigned" in run("info", place)[1]

    def test_what_the_environment_may_not_ask_is_one_line(self, run, machine, monkeypatch):
        machine(AVX2)
        monkeypatch.setenv("TRIVEC_INT8_WEIGHTS", "signed")
        code, _, err = run("info")
        assert code == 1
        assert err.count("\n") == 1
        assert "TRIVEC_INT8_WEIGHTS='signed'" in err

    @pytest.mark.parametrize("kind", [AVX2, SLOW], ids=["fast", "slow"])
    def test_an_export_of_what_runs_best(self, run, machine, tiny_m3, tmp_path, kind):
        machine(kind)
        code, out, _ = run("export", tiny_m3, tmp_path / "out", "--precision", "auto")
        assert code == 0
        assert f"encoder in {best_precision(kind)}" in out
