"""A folder's tokenizer without transformers is the one that transformers loads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from trivec._models.folder_tokenizer import read_tokenizer
from trivec.errors import ModelError

transformers = pytest.importorskip("transformers")
TEXTS = ["The river flows to the sea.", "", "企鹅不会飞 🐧", "a </s> b <mask> c", " two  spaces "]
ROLES = ("pad", "cls", "eos", "unk")


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """BERT's tokenizer as the hub's models have it: WordPiece, with segments."""
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "river", "flow", "##s", "sea"]
    (folder / "vocab.txt").write_text("\n".join(words), "utf-8")
    made = transformers.BertTokenizerFast(str(folder / "vocab.txt"))
    made.save_pretrained(folder)
    config = transformers.BertConfig(vocab_size=len(words))
    config.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", ["tiny_m3", "tiny_reranker", "bert"])
def test_ids_and_special_tokens(request, name):
    folder = request.getfixturevalue(name)
    found = read_tokenizer(folder, expected="a folder")
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        assert found.backend.encode(text).ids == theirs(text)["input_ids"]
        pair = found.backend.encode(text, "the river")
        assert pair.ids == theirs(text, "the river")["input_ids"]
    assert found.special_tokens == {role: getattr(theirs, f"{role}_token_id") for role in ROLES}
    assert found.has_types == (name == "bert")


@pytest.mark.parametrize("token", ["<pad>", {"content": "<pad>", "lstrip": False}])
def test_a_special_token_is_a_text_or_an_object(tiny_m3, tmp_path, token):
    folder = Path(shutil.copytree(tiny_m3, tmp_path / "model"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": token}), "utf-8")
    assert read_tokenizer(folder, expected="a folder").special_tokens["pad"] == 1


@pytest.mark.parametrize(
    ("file", "content", "match"),
    [
        ("tokenizer.json", None, r"has no tokenizer\.json; .*save_pretrained"),
        ("tokenizer.json", "{", "cannot be read"),
        ("tokenizer_config.json", "[]", "is not a JSON object"),
        ("tokenizer_config.json", "{", "cannot be read"),
    ],
)
def test_what_is_absent_or_damaged(tiny_m3, tmp_path, file, content, match):
    folder = Path(shutil.copytree(tiny_m3, tmp_path / "model"))
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content, "utf-8")
    with pytest.raises(ModelError, match=match):
        read_tokenizer(folder, expected="a folder")
