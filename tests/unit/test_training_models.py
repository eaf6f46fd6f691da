"""Models mixed and pruned: what is kept of them, and that every loader takes them."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("FlagEmbedding")

from trivec.encoders import FlagEncoder, OnnxEncoder, OnnxOptions  # noqa: E402
from trivec.errors import InputError, ModelError  # noqa: E402
from trivec.testing import build_tiny_m3  # noqa: E402
from trivec.testing.backbone import SENTENCES  # noqa: E402
from trivec.training import mix_models, prune_model  # noqa: E402

CHINESE, ENGLISH = SENTENCES[8:], SENTENCES[:8]


def weights_of(folder):
    from safetensors.torch import load_file

    heads = {
        name: torch.load(folder / name, weights_only=True)["weight"]
        for name in ("sparse_linear.pt", "colbert_linear.pt")
    }
    return {**load_file(folder / "model.safetensors"), **heads}


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_mix_is_the_weighted_mean_heads_included(tiny_m3, tmp_path, share):
    other = build_tiny_m3(tmp_path / "other", seed=1)
    mixed = mix_models(tiny_m3, other, tmp_path / "mixed", share=share)
    base, tuned, found = (weights_of(one) for one in (tiny_m3, other, mixed))
    assert base.keys() == found.keys()
    for name, one in base.items():
        torch.testing.assert_close(found[name], one * (1 - share) + tuned[name] * share)
    assert FlagEncoder(mixed).encode_queries(["a river"])[0].dense is not None


def test_models_of_two_shapes_cannot_be_mixed(tiny_m3, tmp_path):
    other = build_tiny_m3(tmp_path / "other", hidden_size=16)
    with pytest.raises(InputError, match="shape"):
        mix_models(tiny_m3, other, tmp_path / "mixed")
    assert not (tmp_path / "mixed").exists()
    with pytest.raises(InputError, match="exists already"):
        mix_models(tiny_m3, tiny_m3, tmp_path / "other")


def by_token(encoder, text):
    sparse = encoder.encode_documents([text])[0].sparse
    tokens = [encoder.tokenizer.id_to_token(int(one)) for one in sparse.indices]
    return dict(zip(tokens, sparse.values.tolist(), strict=True))


@pytest.mark.parametrize("texts", [ENGLISH, CHINESE], ids=["english", "chinese"])
def test_texts_of_kept_tokens_have_the_same_vectors(tiny_m3, tmp_path, texts):
    pruned = prune_model(tiny_m3, tmp_path / "small", texts)
    assert pruned.in_corpus < pruned.tokens < pruned.of
    assert pruned.weight_bytes < pruned.bytes_before
    whole = FlagEncoder(tiny_m3)
    for small in (
        FlagEncoder(pruned.folder),
        OnnxEncoder(pruned.folder, options=OnnxOptions(precision="fp32")),
    ):
        for text in texts:
            one, other = whole.encode_documents([text])[0], small.encode_documents([text])[0]
            np.testing.assert_allclose(one.dense, other.dense, atol=1e-5)
            np.testing.assert_allclose(one.colbert, other.colbert, atol=1e-5)
            assert by_token(whole, text) == pytest.approx(by_token(small, text), abs=1e-5)


def test_a_corpus_keeps_the_other_words_of_its_languages(tiny_m3, tmp_path):
    wide = prune_model(tiny_m3, tmp_path / "wide", ENGLISH[:3])
    close = prune_model(tiny_m3, tmp_path / "close", ENGLISH[:3], corpus_only=True)
    assert close.in_corpus == wide.in_corpus
    assert close.tokens < wide.tokens
    names = set(FlagEncoder(wide.folder).tokenizer.get_vocab())
    assert not [name for name in names if "\u4e00" < name[0] < "\u9fff"]
    # words that the corpus lacks, of letters that it has
    assert "\u2581the" in names
    chinese = prune_model(tiny_m3, tmp_path / "chinese", CHINESE[:1])
    kept = set(FlagEncoder(chinese.folder).tokenizer.get_vocab())
    assert {"企", "鹅"} <= kept  # one Chinese text is enough for all Chinese characters


def test_the_folder_agrees_with_itself(tiny_m3, tmp_path):
    folder = prune_model(tiny_m3, tmp_path / "small", ENGLISH).folder
    config = json.loads((folder / "config.json").read_text())
    rows = weights_of(folder)["embeddings.word_embeddings.weight"].shape[0]
    tokenizer = FlagEncoder(folder).tokenizer
    assert config["vocab_size"] == rows == tokenizer.get_vocab_size()
    assert tokenizer.token_to_id("<pad>") == config["pad_token_id"]
    assert tokenizer.encode("the river").ids[0] == tokenizer.token_to_id("<s>")
    assert tokenizer.encode("☃").ids[1:-1]  # what is unknown is still a token


def test_what_cannot_be_pruned_is_refused(tiny_m3, tmp_path):
    with pytest.raises(InputError, match="no texts"):
        prune_model(tiny_m3, tmp_path / "small", [])
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tiny_m3.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    content = json.loads((copy / "tokenizer.json").read_text())
    content["model"]["type"] = "BPE"
    (copy / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match="BPE"):
        prune_model(copy, tmp_path / "small", ENGLISH)
    assert not (tmp_path / "small").exists()


def test_transformers_4_knows_the_tokenizer_of_a_random_model(tiny_m3):
    """Version 5 writes a class of its own, which 4 takes for code that is missing."""
    config = json.loads((tiny_m3 / "tokenizer_config.json").read_text("utf-8"))
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert "backend" not in config
