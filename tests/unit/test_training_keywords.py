"""Chats that teach a language model the words by which documents are found."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.errors import InputError
from trivec.rewriting import KeywordRewriter, parse_keywords
from trivec.testing import FakeEncoder
from trivec.training.data import (
    KeywordOptions,
    TrainingExample,
    build_keyword_dataset,
    write_examples,
)
from trivec.types import ChatReply

LACTASE = "Lactase splits lactose; without lactase, lactose ferments and causes bloating."
ENZYME = "乳糖酶分解乳糖；缺乏乳糖酶时，乳糖发酵并引起腹胀。"
OTHERS = [
    f"The {word} is fed at {hour} in the morning." for hour, word in enumerate(("cow", "hen"))
]


@pytest.fixture
def index(tmp_path):
    with HybridIndex.open(tmp_path / "kb", FakeEncoder()) as opened:
        opened.add([Chunk(LACTASE, id="lactase"), Chunk(ENZYME, id="酶")])
        opened.add(Chunk(text, id=f"other-{at}") for at, text in enumerate(OTHERS))
        yield opened


def example(question, text, key):
    return TrainingExample(query=question, pos=(text,), pos_ids=(key,))


def built(index, tmp_path, *examples, **options):
    write_examples(tmp_path / "train.jsonl", examples)
    report = build_keyword_dataset(
        index, tmp_path / "train.jsonl", tmp_path / "chats.jsonl", KeywordOptions(**options)
    )
    lines = (tmp_path / "chats.jsonl").read_text("utf-8").splitlines()
    return report, [json.loads(line)["messages"] for line in lines]


def test_a_chat_answers_with_the_words_of_the_passage(index, tmp_path):
    report, (milk, stomach) = built(
        index,
        tmp_path,
        example("why does milk hurt my tummy?", LACTASE, "lactase"),
        example("为什么喝牛奶肚子疼？", ENZYME, "酶"),
        count=3,
    )
    assert report.given == report.written == 2
    assert report.after > report.before
    assert [message["role"] for message in milk] == ["system", "user", "assistant"]
    assert milk[1]["content"] == "why does milk hurt my tummy?"
    words = json.loads(milk[2]["content"])["keywords"]
    assert "lactase" in [word.lower() for word in words]
    assert len(words) <= 3
    assert "检索关键词" in stomach[0]["content"]
    assert any("乳糖" in word for word in json.loads(stomach[2]["content"])["keywords"])
    assert parse_keywords(milk[2]["content"], limit=3) == tuple(words)


def test_the_rewriter_asks_in_the_same_words(index, tmp_path):
    _, (milk,) = built(
        index, tmp_path, example("why does milk hurt my tummy?", LACTASE, "lactase"), count=3
    )

    class Tuned:
        def chat(self, messages, **_):
            assert list(messages) == milk[:2]
            return ChatReply(milk[2]["content"])

        def stream(self, messages):
            yield self.chat(messages)

    rewritten = KeywordRewriter(Tuned(), examples=(), max_keywords=3).rewrite(milk[1]["content"])
    assert list(rewritten.keywords) == json.loads(milk[2]["content"])["keywords"]


def test_words_that_do_not_find_the_passage_are_not_taught(index, tmp_path):
    fed = example("when is the cow fed in the morning?", OTHERS[0], "nowhere")
    same = example(LACTASE, LACTASE, "lactase")
    lost = replace(example("why milk?", LACTASE, "lactase"), pos_ids=("lactase",))
    report, chats = built(index, tmp_path, fed, same, lost)
    assert report.given == 3
    assert (report.written, report.no_words) == (1, 2)
    assert report.written + report.no_words + report.not_found + report.no_better == 3
    assert len(chats) == 1
    with pytest.raises(InputError, match="none of 1 questions"):
        built(index, tmp_path, fed)
    assert len((tmp_path / "chats.jsonl").read_text("utf-8").splitlines()) == 1


def test_an_index_without_words_has_none_to_teach(tmp_path):
    with HybridIndex.open(
        tmp_path / "dense", FakeEncoder(), config=IndexConfig(arms=("dense",))
    ) as index:
        index.add([Chunk(LACTASE, id="lactase")])
        with pytest.raises(InputError, match="keywords need one of"):
            built(index, tmp_path, example("why?", LACTASE, "lactase"))


def test_a_tiny_chat_model_learns_from_the_file(index, tmp_path):
    """Transformers and datasets take it as it is, and the loss falls."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from datasets import load_dataset
    from tokenizers import Tokenizer, models, pre_tokenizers

    questions = ("why does milk hurt my tummy?", "what makes people feel bad after milk?")
    built(index, tmp_path, *(example(question, LACTASE, "lactase") for question in questions))
    table = load_dataset("json", data_files=str(tmp_path / "chats.jsonl"), split="train")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    plain = Tokenizer(
        models.BPE(vocab={letter: at for at, letter in enumerate(alphabet)}, merges=[])
    )
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=plain)
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message.role + ': ' + message.content + '\\n' }}"
        "{% endfor %}"
    )
    texts = [tokenizer.apply_chat_template(row["messages"], tokenize=False) for row in table]
    assert all("assistant: " in text and "keywords" in text for text in texts)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(alphabet),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=1024,
    )
    model = transformers.LlamaForCausalLM(config)
    rows = [tokenizer(text, return_tensors="pt")["input_ids"] for text in texts]
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(12):
        total = 0.0
        for row in rows:
            loss = model(input_ids=row, labels=row).loss
            loss.backward()
            total += float(loss.detach())
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total / len(rows))
    assert losses[-1] < 0.85 * losses[0]
