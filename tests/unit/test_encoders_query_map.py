"""The map of queries: what it does to a vector, where it is kept, and who applies it."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from trivec.encoders import FlagEncoder, OnnxEncoder, OnnxOptions
from trivec.encoders.query_map import QUERY_MAP, QueryMap, read_query_map
from trivec.errors import ModelError
from trivec.exporting import ExportOptions, export_encoder

WIDTH = 32
TEXTS = ["the river rises in the mountains", "企鹅不会飞", ""]
HALF = QueryMap(
    np.zeros(3, np.float32), np.eye(3, dtype=np.float32)[:1], np.array([0.5], np.float32)
)


def tensors(width=WIDTH, **other):
    random = np.random.default_rng(0)
    directions = np.linalg.qr(random.normal(size=(width, 4)))[0].T.astype(np.float32)
    offset = (0.05 * random.normal(size=width)).astype(np.float32)
    shares = np.array([0.9, 0.5, 0.2, 0.1], np.float32)
    return {
        "offset": offset,
        "directions": np.ascontiguousarray(directions),
        "shares": shares,
        **other,
    }


class TestMapped:
    def test_a_vector_is_shortened_along_the_directions_and_keeps_its_length(self):
        mapped = HALF.mapped(np.array([6, 8, 0], np.float32))
        np.testing.assert_allclose(np.linalg.norm(mapped), 10, rtol=1e-6)
        np.testing.assert_allclose(mapped[0] / mapped[1], 3 / 8, rtol=1e-6)

    def test_what_lies_across_the_directions_stays(self):
        across = np.array([0, 3, 4], np.float32)
        np.testing.assert_allclose(HALF.mapped(across), across, rtol=1e-6)

    def test_the_offset_is_taken_at_unit_length(self):
        moving = QueryMap(
            np.array([0, 0.5, 0], np.float32), np.zeros((0, 3), np.float32), np.zeros(0, np.float32)
        )
        wanted = np.array([1, -0.5, 0], np.float32)
        for length in (1, 1e-3, 1e3):
            mapped = moving.mapped(np.array([length, 0, 0], np.float32))
            np.testing.assert_allclose(mapped, length * wanted / np.linalg.norm(wanted), rtol=1e-5)

    def test_zero_and_what_the_map_makes_zero_stay(self):
        zero = np.zeros(3, np.float32)
        assert HALF.mapped(zero) is zero
        gone = QueryMap(np.array([1, 0, 0], np.float32), HALF.directions, HALF.shares)
        np.testing.assert_array_equal(gone.mapped(np.array([2, 0, 0], np.float32)), [2, 0, 0])


class TestRead:
    def test_a_folder_without_one_has_none(self, tmp_path):
        assert read_query_map(tmp_path, WIDTH) is None

    @pytest.mark.parametrize(
        "other",
        [
            {"offset": np.zeros(7, np.float32)},
            {"shares": np.zeros(3, np.float32)},
            {"further": np.zeros(3, np.float32)},
            {"directions": np.full((4, WIDTH), np.nan, np.float32)},
        ],
        ids=["offset", "shares", "further", "nan"],
    )
    def test_another_models_or_a_damaged_one_is_refused(self, tmp_path, other):
        save_file(tensors(**other), tmp_path / QUERY_MAP)
        with pytest.raises(ModelError, match=r"query_map\.safetensors"):
            read_query_map(tmp_path, WIDTH)

    def test_a_file_cut_off_is_refused(self, tmp_path):
        save_file(tensors(), tmp_path / QUERY_MAP)
        whole = (tmp_path / QUERY_MAP).read_bytes()
        (tmp_path / QUERY_MAP).write_bytes(whole[:-5])
        with pytest.raises(ModelError):
            read_query_map(tmp_path, WIDTH)

    def test_that_of_mini_is_a_map(self):
        with_map = read_query_map(Path(str(files("trivec.mini"))), 384)
        assert with_map is not None
        products = with_map.directions @ with_map.directions.T
        np.testing.assert_allclose(products, np.eye(len(products)), atol=1e-5)
        assert ((with_map.shares > 0) & (with_map.shares < 1)).all()


class TestFolders:
    """A folder that has a map: every road applies it to queries, and to their dense vectors."""

    @pytest.fixture
    def folder(self, tiny_m3, tmp_path):
        copy = Path(shutil.copytree(tiny_m3, tmp_path / "mapped"))
        width = json.loads((copy / "config.json").read_text("utf-8"))["hidden_size"]
        save_file(tensors(width), copy / QUERY_MAP)
        return copy

    @pytest.fixture(autouse=True)
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TRIVEC_CACHE_DIR", str(tmp_path / "cache"))

    def assert_maps(self, encoder, plain, folder):
        info = encoder.info
        own = read_query_map(folder, info.dense_dim)
        asked, before = encoder.encode_queries(TEXTS), plain.encode_queries(TEXTS)
        for query, raw in zip(asked, before, strict=True):
            np.testing.assert_allclose(query.dense, own.mapped(raw.dense), atol=1e-4)
            assert np.linalg.norm(query.dense - raw.dense) > 0.01
            np.testing.assert_allclose(query.sparse.values, raw.sparse.values, atol=1e-4)
            np.testing.assert_allclose(query.colbert, raw.colbert, atol=1e-4)
        told, raws = encoder.encode_documents(TEXTS), plain.encode_documents(TEXTS)
        for passage, raw in zip(told, raws, strict=True):
            np.testing.assert_allclose(passage.dense, raw.dense, atol=1e-4)

    def test_through_flagembedding(self, folder, tiny_m3):
        self.assert_maps(FlagEncoder(folder), FlagEncoder(tiny_m3), folder)

    def test_through_onnx_runtime(self, folder, tiny_m3):
        options = OnnxOptions(precision="fp32")
        self.assert_maps(OnnxEncoder(folder, options=options), FlagEncoder(tiny_m3), folder)

    def test_an_export_takes_it_along(self, folder, tiny_m3, tmp_path):
        export_encoder(
            FlagEncoder(folder), tmp_path / "export", options=ExportOptions(precisions=("fp32",))
        )
        exported = OnnxEncoder(tmp_path / "export", options=OnnxOptions(precision="fp32"))
        self.assert_maps(exported, FlagEncoder(tiny_m3), folder)

    def test_a_graph_is_made_again_when_it_changes(self, folder):
        options = OnnxOptions(precision="fp32")
        with_map = OnnxEncoder(folder, options=options).folder
        (folder / QUERY_MAP).unlink()
        assert OnnxEncoder(folder, options=options).folder != with_map
