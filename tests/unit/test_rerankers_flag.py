"""FlagReranker against FlagEmbedding on the same folder, and what that does not promise."""

from __future__ import annotations

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from trivec.errors import InputError, MissingDependencyError, ModelError
from trivec.rerankers import FlagReranker, FlagRerankerOptions, RankingOptions, rank

torch = pytest.importorskip("torch")

ENGLISH = "The river rises in the mountains and flows through three countries to the sea."
CHINESE = "这条河发源于山区，流经三个国家，最后注入大海。"
LONG = " ".join([ENGLISH, CHINESE] * 60)  # several times 512 tokens
QUERIES = ["which river flows to the sea?", "这条河流经三个国家？", ""]
PASSAGES = {
    "short": ["river"],
    "english": [ENGLISH],
    "chinese": [CHINESE],
    "specials written out": ["a </s> b <s> c <mask> d <pad> e <unk>"],
    "long": [LONG],
    "long without spaces": [CHINESE * 50],
    "mixed": ["river", ENGLISH, CHINESE, LONG, "she opened the window", ENGLISH * 5, CHINESE * 3],
}
# FlagEmbedding's text round trip loses something of characters that the vocabulary does not know;
# for them, transformers itself is the reference, and the texts above know all of theirs
UNKNOWN_OR_EMPTY = ["", " \n\t ", "🐧 penguins 不会飞 🏔️👩‍👩‍👧", "the 🐧 river", "the\0river"]
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def reranker(tiny_reranker):
    return FlagReranker(tiny_reranker)


@pytest.fixture(scope="module")
def peer(tiny_reranker):
    return flag_embedding(tiny_reranker)


def flag_embedding(folder, **arguments):
    from FlagEmbedding import FlagReranker as Theirs

    return Theirs(str(folder), use_fp16=False, devices="cpu", **arguments)


def with_options(folder, **options):
    return FlagReranker(folder, options=FlagRerankerOptions(**options))


def assert_parity(reranker, peer, query, passages, **arguments):
    expected = peer.compute_score([(query, passage) for passage in passages], **arguments)
    assert reranker.score(query, passages) == pytest.approx(expected, abs=TOLERANCE)


@contextmanager
def forwards(reranker):
    """Collect the inputs of every forward of a reranker's network."""
    reranker.load()
    inputs = []
    handle = reranker._classifier().module.register_forward_pre_hook(
        lambda _module, _args, kwargs: inputs.append(kwargs), with_kwargs=True
    )
    try:
        yield inputs
    finally:
        handle.remove()


def shapes(inputs):
    return [tuple(each["input_ids"].shape) for each in inputs]


class TestParity:
    """Logits and probabilities equal FlagEmbedding's."""

    @pytest.mark.parametrize("query", QUERIES, ids=["english", "chinese", "empty"])
    @pytest.mark.parametrize("passages", PASSAGES.values(), ids=PASSAGES.keys())
    def test_scores(self, reranker, peer, query, passages):
        assert_parity(reranker, peer, query, passages)

    def test_long_query_is_cut_off(self, reranker, peer):
        for query in (ENGLISH * 40, CHINESE * 50):
            assert_parity(reranker, peer, query, PASSAGES["mixed"])

    @pytest.mark.parametrize("lengths", [(24, None), (64, None), (64, 10), (900, 300)])
    def test_other_lengths(self, tiny_reranker, peer, lengths):
        longest, query = lengths
        mine = with_options(tiny_reranker, max_length=longest, query_max_length=query)
        for asked in QUERIES[:2]:
            assert_parity(
                mine,
                peer,
                asked,
                PASSAGES["mixed"],
                max_length=longest,
                query_max_length=query,
            )

    @pytest.mark.parametrize("budget", [1, 100, 2000, 100_000])
    def test_across_batches(self, tiny_reranker, peer, budget):
        passages = [f"{text} {word}" for word in ENGLISH.split()[:8] for text in PASSAGES["mixed"]]
        mine = with_options(tiny_reranker, max_batch_tokens=budget)
        assert_parity(mine, peer, QUERIES[0], passages, batch_size=5)

    @pytest.mark.parametrize(
        "instructions", [("query: ", ""), ("", "passage: "), ("检索，", "段落。")]
    )
    def test_instructions(self, tiny_reranker, instructions):
        query, passage = instructions
        mine = with_options(tiny_reranker, query_instruction=query, passage_instruction=passage)
        theirs = flag_embedding(
            tiny_reranker,
            query_instruction_for_rerank=query or None,
            passage_instruction_for_rerank=passage or None,
        )
        assert_parity(mine, theirs, QUERIES[0], PASSAGES["mixed"])

    def test_probabilities(self, reranker, peer):
        passages = PASSAGES["mixed"]
        expected = peer.compute_score([(QUERIES[0], each) for each in passages], normalize=True)
        ranked = rank(reranker, QUERIES[0], passages, RankingOptions(normalize=True))
        mine = {one.position: one.score for one in ranked}
        assert [mine[i] for i in range(len(passages))] == pytest.approx(expected, abs=TOLERANCE)

    def test_unknown_characters_and_empty_texts_as_transformers_reads_them(self, tiny_reranker):
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(tiny_reranker)
        model = AutoModelForSequenceClassification.from_pretrained(tiny_reranker).eval()
        for query in [*QUERIES, "🐧"]:
            pairs = [(query, passage) for passage in UNKNOWN_OR_EMPTY]
            inputs = tokenizer(pairs, padding=True, return_tensors="pt")
            with torch.no_grad():
                expected = model(**inputs).logits.view(-1).tolist()
            mine = FlagReranker(tiny_reranker).score(query, UNKNOWN_OR_EMPTY)
            assert mine == pytest.approx(expected, abs=TOLERANCE)

    def test_bert_is_told_its_segments(self, tmp_path):
        folder = build_tiny_bert(tmp_path)
        mine = with_options(folder, max_length=32)
        passages = ["the river flows", "the sea", "the river " * 30]
        with forwards(mine) as inputs:
            mine.score("the river", passages)
        assert set(inputs[0]["token_type_ids"].flatten().tolist()) == {0, 1}
        assert_parity(mine, flag_embedding(folder), "the river", passages, max_length=32)


def build_tiny_bert(folder):
    from tokenizers import Tokenizer, pre_tokenizers, processors
    from tokenizers.models import WordLevel
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "river", "flows", "sea"]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",  # noqa: S106  # no password
        unk_token="[UNK]",  # noqa: S106
        cls_token="[CLS]",  # noqa: S106
        sep_token="[SEP]",  # noqa: S106
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
        num_labels=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertForSequenceClassification(config).save_pretrained(folder)
    return folder


class TestForwards:
    """One forward for a batch, in batches that keep to the budget."""

    def test_one_forward_for_what_fits(self, reranker):
        with forwards(reranker) as inputs:
            reranker.score(QUERIES[0], [ENGLISH, CHINESE, "river"])
        assert [rows for rows, _ in shapes(inputs)] == [3]

    def test_none_for_nothing(self, tiny_reranker):
        fresh = FlagReranker(tiny_reranker)
        assert fresh.score("river", []) == []
        assert not fresh._classifier.ready

    def test_budget_is_kept_and_every_pair_is_read_once(self, tiny_reranker):
        passages = [f"{number} {ENGLISH * (1 + number % 7)}" for number in range(40)]
        mine = with_options(tiny_reranker, max_batch_tokens=1000)
        with forwards(mine) as inputs:
            mine.score(QUERIES[0], passages)
        assert sum(rows for rows, _ in shapes(inputs)) == len(passages)
        assert all(rows * width <= 1000 or rows == 1 for rows, width in shapes(inputs))
        real = sum(int(each["attention_mask"].sum()) for each in inputs)
        assert sum(rows * width for rows, width in shapes(inputs)) < 1.3 * real  # sorted by length

    def test_equal_passages_are_read_once(self, reranker):
        with forwards(reranker) as inputs:
            first, _, last = reranker.score("river", [ENGLISH, CHINESE, ENGLISH])
        assert first == last
        assert shapes(inputs)[0][0] == 2


class TestWindows:
    """A long passage is read whole, and its best window counts."""

    @pytest.mark.parametrize("overlap", [0, 16, 1000])
    def test_score_is_the_maximum_of_the_windows(self, tiny_reranker, overlap):
        mine = with_options(tiny_reranker, max_length=96, window_overlap=overlap)
        with forwards(mine) as inputs:
            (score,) = mine.score(QUERIES[0], [LONG])
        module = mine._classifier().module
        with torch.no_grad():
            logits = torch.cat([module(**batch).logits.view(-1) for batch in inputs])
        assert len(logits) > 10
        assert score == pytest.approx(logits.max().item(), abs=TOLERANCE)
        assert logits.max() - logits.min() > 10 * TOLERANCE

    @pytest.mark.parametrize("overlap", [0, 16, 1000])
    def test_every_token_is_in_a_window_and_windows_overlap(self, tiny_reranker, overlap):
        mine = with_options(tiny_reranker, max_length=96, window_overlap=overlap)
        mine.load()
        tokenizer = mine._tokenizer()
        backend = tokenizer._backend
        passage = backend.encode(LONG, add_special_tokens=False).ids
        before = len(backend.encode(QUERIES[0]).ids) + 1  # <s> query </s> </s>
        windows = [pair.ids[before:-1].tolist() for pair in tokenizer.read(QUERIES[0], [LONG])]
        room = 96 - before - 1
        shared = min(overlap, room // 2)
        assert [len(window) for window in windows[:-1]] == [room] * (len(windows) - 1)
        assert len(windows[-1]) > shared  # the last one brings something new
        joined = windows[0]
        for window in windows[1:]:
            assert joined[len(joined) - shared :] == window[:shared]
            joined = joined + window[shared:]
        assert joined == passage

    def test_short_passages_are_scored_as_without(self, tiny_reranker, reranker):
        mine = with_options(tiny_reranker, window_overlap=32)
        passages = [ENGLISH, CHINESE, ""]
        assert mine.score(QUERIES[0], passages) == reranker.score(QUERIES[0], passages)

    def test_windows_of_several_passages_are_kept_apart(self, tiny_reranker):
        mine = with_options(tiny_reranker, max_length=64, window_overlap=8, max_batch_tokens=300)
        passages = [LONG, "river", CHINESE * 20, ENGLISH * 20]
        alone = [mine.score(QUERIES[0], [passage])[0] for passage in passages]
        assert mine.score(QUERIES[0], passages) == pytest.approx(alone, abs=TOLERANCE)


class TestOutOfMemory:
    """Memory that ran out halves the batch; nothing else does."""

    @staticmethod
    @contextmanager
    def failing(reranker, error, *, above):
        reranker.load()

        def refuse(module, args, kwargs):
            if kwargs["input_ids"].shape[0] > above:
                raise error

        module = reranker._classifier().module
        handle = module.register_forward_pre_hook(refuse, with_kwargs=True)
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
    def test_batch_is_halved_until_it_fits(self, tiny_reranker, error):
        passages = [f"{ENGLISH} {number}" for number in range(9)]
        expected = FlagReranker(tiny_reranker).score("river", passages)
        mine = FlagReranker(tiny_reranker)
        with self.failing(mine, error, above=2), forwards(mine) as inputs:
            assert mine.score("river", passages) == pytest.approx(expected, abs=TOLERANCE)
        # the hook that fails runs first: forwards sees what went through
        assert max(rows for rows, _ in shapes(inputs)) == 2

    def test_one_pair_that_does_not_fit_is_an_error(self, tiny_reranker):
        mine = FlagReranker(tiny_reranker)
        error = torch.OutOfMemoryError("CUDA out of memory")
        with (
            self.failing(mine, error, above=0),
            pytest.raises(ModelError, match="does not fit into the memory of cpu; lower max_len"),
        ):
            mine.score("river", [ENGLISH, CHINESE])

    def test_other_errors_are_raised_at_once(self, tiny_reranker):
        mine = FlagReranker(tiny_reranker)
        attempts = []
        mine.load()

        def refuse(*_):
            attempts.append(1)
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

        mine._classifier().module.register_forward_pre_hook(refuse)
        with pytest.raises(RuntimeError, match="mat1 and mat2"):
            mine.score("river", [f"{ENGLISH} {number}" for number in range(8)])
        assert len(attempts) == 1


class TestThreads:
    """Several threads share a reranker."""

    def test_same_results_from_eight_threads(self, tiny_reranker):
        passages = PASSAGES["mixed"] + UNKNOWN_OR_EMPTY
        expected = {query: FlagReranker(tiny_reranker).score(query, passages) for query in QUERIES}
        fresh = FlagReranker(tiny_reranker)  # the threads race to load it, too
        asked = QUERIES * 8
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda query: fresh.score(query, passages), asked))
        for query, scores in zip(asked, found, strict=True):
            assert scores == pytest.approx(expected[query], abs=1e-5)


class TestInput:
    """Texts of every kind, and arguments that cannot be used."""

    def test_lone_surrogates_are_replacement_characters(self, reranker):
        broken = reranker.score("sea \udc00", ["river \ud83d sea", "\ud83d\udc27 river"])
        clean = reranker.score("sea \ufffd", ["river \ufffd sea", "🐧 river"])
        assert broken == clean

    def test_two_megabytes(self, reranker):
        (score,) = reranker.score(QUERIES[0], [ENGLISH * (2_000_000 // len(ENGLISH))])
        assert np.isfinite(score)

    def test_bf16_is_near_and_not_the_same(self, tiny_reranker, reranker):
        near = with_options(tiny_reranker, precision="bf16").score("river", [ENGLISH, CHINESE])
        exact = reranker.score("river", [ENGLISH, CHINESE])
        assert near == pytest.approx(exact, abs=0.05)
        assert near != exact

    @pytest.mark.parametrize(
        ("query", "passages", "message"),
        [
            ("river", "a passage", "list of texts"),
            ("river", ["a", None], "None"),
            (b"river", ["a"], r"query=b.river.; allowed: text"),
        ],
    )
    def test_bad_arguments(self, reranker, query, passages, message):
        with pytest.raises(InputError, match=message):
            reranker.score(query, passages)

    @pytest.mark.parametrize(
        "values",
        [
            {"precision": "int4"},
            {"max_length": 2},
            {"max_length": 12.5},
            {"query_max_length": 0},
            {"window_overlap": -1},
            {"max_batch_tokens": 0},
        ],
    )
    def test_bad_options(self, values):
        (name,) = values
        with pytest.raises(InputError, match=name):
            FlagRerankerOptions(**values)

    def test_query_that_leaves_no_room(self, tiny_reranker):
        mine = with_options(tiny_reranker, max_length=64, query_max_length=60)
        with pytest.raises(InputError, match="set query_max_length to at most 59"):
            mine.score("river", ["sea"])
        assert with_options(tiny_reranker, max_length=64, query_max_length=59).score(
            ENGLISH * 9, ["sea"]
        )


class TestModelFolders:
    """A folder that is not a whole reranker is refused before weights are loaded."""

    @pytest.fixture
    def folder(self, tiny_reranker, tmp_path):
        return shutil.copytree(tiny_reranker, tmp_path / "model")

    def refused(self, folder, error, match):
        reranker = FlagReranker(folder)
        for use in (lambda: reranker.folder, lambda: reranker.score("q", ["p"])):
            with pytest.raises(error, match=match):
                use()
        assert not reranker._classifier.ready

    @staticmethod
    def change(folder, **values):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **values}))

    def test_encoder_without_a_classifier(self, tiny_m3):
        self.refused(tiny_m3, ModelError, "no head that scores a pair")

    @pytest.mark.parametrize("labels", [{"0": "no", "1": "yes"}, None])
    def test_several_labels(self, folder, labels):
        self.change(folder, id2label=labels)  # unnamed, they are two
        self.refused(folder, ModelError, "2 outputs")

    def test_labels_that_are_counted_only(self, folder):
        self.change(folder, id2label=None, num_labels=1)
        assert FlagReranker(folder).folder == folder

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
        self.refused(tmp_path, ModelError, "not a model's folder.*bge-reranker-v2-m3")

    @pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere"])
    def test_no_folder(self, name):
        self.refused(name, ModelError, "is not a folder")

    def test_length_beyond_the_positions(self, folder):
        self.change(folder, max_position_embeddings=258)
        self.refused(folder, InputError, "positions for 256 tokens")

    def test_damaged_weights(self, folder):
        (folder / "model.safetensors").write_bytes(b"\0" * 100)
        with pytest.raises(ModelError, match="cannot load"):
            FlagReranker(folder).load()

    def test_hub_that_is_not_downloaded(self, tmp_path):
        mine = with_options("somebody/some-model", local_files_only=True, cache_dir=tmp_path)
        with pytest.raises(ModelError, match="give the path of a downloaded folder"):
            mine.load()

    def test_missing_flag_embedding(self, tiny_reranker, monkeypatch):
        monkeypatch.setitem(sys.modules, "FlagEmbedding", None)
        with pytest.raises(MissingDependencyError, match=r"trivec\[flag\]"):
            FlagReranker(tiny_reranker).load()

    def test_old_flag_embedding(self, tiny_reranker, monkeypatch):
        monkeypatch.setattr("importlib.metadata.version", lambda _: "1.3.5")
        with pytest.raises(ModelError, match=r"FlagEmbedding 1\.3\.5 .* 1\.4\.2 or newer"):
            FlagReranker(tiny_reranker).load()


class TestTinyReranker:
    """The builder of random folders."""

    def test_equal_arguments_give_equal_files(self, tiny_reranker, tmp_path):
        from trivec.testing import build_tiny_reranker

        again = build_tiny_reranker(tmp_path / "again")
        other = build_tiny_reranker(tmp_path / "other", seed=1)
        for name in ("model.safetensors", "tokenizer.json", "config.json"):
            assert (again / name).read_bytes() == (tiny_reranker / name).read_bytes()
        weights = "model.safetensors"
        assert (other / weights).read_bytes() != (again / weights).read_bytes()

    def test_sizes_that_do_not_fit(self, tmp_path):
        from trivec.testing import build_tiny_reranker

        with pytest.raises(InputError, match="multiple of attention_heads=3"):
            build_tiny_reranker(tmp_path, attention_heads=3)
