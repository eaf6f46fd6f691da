"""OnnxReranker against FlagReranker on the model that was exported."""

from __future__ import annotations

import pytest

from trivec.errors import InputError
from trivec.exporting import ExportOptions, export_reranker
from trivec.loading import load_reranker
from trivec.mini import MiniReranker
from trivec.rerankers import FlagReranker, FlagRerankerOptions, OnnxReranker, OnnxRerankerOptions

pytest.importorskip("onnx")

QUERY = "which river flows to the sea?"
PASSAGES = [
    "The river flows to the sea.",
    "",
    "企鹅不会飞，但是它们游得很快。",
    "a <pad> b </s> c",
    "river " * 400,
    "nul \0 and \ud800 surrogate",
]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIVEC_CACHE_DIR", str(tmp_path / "cache"))


def fp32(**settings):
    return OnnxRerankerOptions(precision="fp32", threads=1, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"max_length": 32},
        {"max_length": 48, "window_overlap": 8},
        {"query_max_length": 4, "query_instruction": "find: ", "passage_instruction": "text: "},
    ],
    ids=["default", "cut off", "windows", "instructions"],
)
def test_scores_equal_those_of_the_exported_model(tiny_reranker, exported_reranker, settings):
    flag = FlagReranker(tiny_reranker, options=FlagRerankerOptions(**settings))
    exported = OnnxReranker(exported_reranker, options=fp32(**settings))
    expected = pytest.approx(flag.score(QUERY, PASSAGES), abs=1e-4)
    assert exported.score(QUERY, PASSAGES) == expected


def test_int8_is_near_and_says_how_near(tiny_reranker, exported_reranker):
    exported = OnnxReranker(exported_reranker, options=OnnxRerankerOptions(precision="int8"))
    expected = FlagReranker(tiny_reranker).score(QUERY, PASSAGES)
    assert exported.precision == "int8"
    assert exported.score(QUERY, PASSAGES) == pytest.approx(expected, abs=0.15)
    assert 0 < exported.agreement.score_difference < 0.15


def test_instructions_and_lengths_go_with_the_export(tiny_reranker, tmp_path):
    options = FlagRerankerOptions(max_length=24, query_instruction="find: ")
    flag = FlagReranker(tiny_reranker, options=options)
    export_reranker(flag, tmp_path / "out", options=ExportOptions(precisions=("fp32",)))
    found = OnnxReranker(tmp_path / "out").score(QUERY, PASSAGES)
    assert found == pytest.approx(flag.score(QUERY, PASSAGES), abs=1e-4)


def test_a_bert_that_is_told_segments(tiny_reranker, tmp_path):
    """Its pooler, its counted positions and its token types are BERT's own."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(tiny_reranker))
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=1,
        initializer_range=0.2,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.BertForSequenceClassification(config)
    model.save_pretrained(tmp_path / "bert")
    backend = tokenizer.backend_tokenizer
    backend.post_processor = segments(tokenizer)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **tokenizer.special_tokens_map,
    ).save_pretrained(tmp_path / "bert")
    flag = FlagReranker(tmp_path / "bert", options=FlagRerankerOptions(max_length=64))
    manifest = export_reranker(
        flag, tmp_path / "out", options=ExportOptions(precisions=("fp32", "int8"))
    )
    assert manifest.has_types
    exported = OnnxReranker(tmp_path / "out", options=fp32())
    assert exported.score(QUERY, PASSAGES) == pytest.approx(flag.score(QUERY, PASSAGES), abs=1e-4)


def segments(tokenizer):
    from tokenizers.processors import TemplateProcessing

    specials = [("<s>", tokenizer.bos_token_id), ("</s>", tokenizer.eos_token_id)]
    return TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=specials
    )


@pytest.mark.parametrize(
    "settings", [{"precision": "fp16"}, {"threads": -1}, {"max_length": 2}, {"window_overlap": -1}]
)
def test_bad_options_are_refused(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        OnnxRerankerOptions(**settings)


def test_more_tokens_than_positions(exported_reranker):
    with pytest.raises(InputError, match="positions for 8192 tokens"):
        OnnxReranker(exported_reranker, options=fp32(max_length=9000)).load()


def test_constructing_loads_nothing():
    assert repr(OnnxReranker("no/such/folder")) == "OnnxReranker('no/such/folder')"


def test_by_name(exported_reranker, tiny_reranker):
    assert type(load_reranker(exported_reranker)) is OnnxReranker
    assert type(load_reranker(str(tiny_reranker))) is OnnxReranker
    assert type(load_reranker(str(tiny_reranker), backend="flag")) is FlagReranker
    assert type(load_reranker("BAAI/bge-reranker-v2-m3", device="cuda:1")) is FlagReranker
    assert type(load_reranker("./mini")) is OnnxReranker
    assert type(load_reranker("mini")) is MiniReranker
    with pytest.raises(InputError, match=r"device='tpu'.*cpu, cuda"):
        load_reranker(exported_reranker, device="tpu")
