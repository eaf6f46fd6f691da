import json

import pytest
from datasets import load_dataset

from trivec.errors import InputError
from trivec.training.data import TrainingExample, read_examples, write_examples

MILK = TrainingExample(
    query="why does milk hurt me?",
    pos=("Lactose is hard to digest.",),
    neg=("牛奶富含钙。", "Cheese keeps long."),
    pos_scores=(0.9,),
    neg_scores=(0.4, 0.25),
    pos_ids=("lactose",),
    neg_ids=("钙", "cheese"),
    source="milk.md",
    id="milk-1",
)
BARE = TrainingExample(query="牛奶？", pos=("乳糖。",))


def test_examples_come_back_as_they_were(tmp_path):
    file = tmp_path / "new" / "train.jsonl"
    assert write_examples(file, iter([MILK, MILK])) == 2
    assert list(read_examples(file)) == [MILK, MILK]
    assert write_examples(file, [BARE]) == 1
    assert list(read_examples(str(file))) == [BARE]


def test_a_line_is_flagembeddings(tmp_path):
    write_examples(tmp_path / "train.jsonl", [MILK])
    record = json.loads((tmp_path / "train.jsonl").read_text(encoding="utf-8"))
    assert record["query"] == MILK.query
    assert record["pos"] == list(MILK.pos)
    assert record["neg"] == list(MILK.neg)
    assert record["pos_scores"] == [0.9]
    assert record["neg_scores"] == [0.4, 0.25]
    assert "prompt" not in record


def test_what_trainers_read_as_a_table_can_be_read_as_one(tmp_path):
    write_examples(tmp_path / "train.jsonl", [MILK, TrainingExample(**fields(MILK, neg=0))])
    table = load_dataset("json", data_files=str(tmp_path / "train.jsonl"), split="train")
    assert table[0]["neg_scores"] == [0.4, 0.25]
    assert table[1]["neg_scores"] == []


def fields(example, *, neg):
    known = {name: getattr(example, name) for name in ("query", "pos", "pos_scores")}
    return {**known, "neg": example.neg[:neg], "neg_scores": example.neg_scores[:neg]}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"query": " \u200b"}, "blank"),
        ({"pos": ()}, "no pos"),
        ({"pos": ("\n",)}, "blank passage"),
        ({"neg": ("x", " ")}, "blank passage"),
        ({"pos": "one text"}, "allowed: a list"),
        ({"pos_scores": (0.5, 0.5)}, "1 pos and 2 pos_scores"),
        ({"neg": ("x",), "neg_ids": ("a", "b")}, "1 neg and 2 neg_ids"),
        ({"neg": ("x",), "pos_scores": (0.5,)}, "scores of pos alone"),
        ({"pos_scores": (float("nan"),)}, "number"),
        ({"query": 7}, "allowed: text"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(changed, said):
    with pytest.raises(InputError, match=said):
        TrainingExample(**{"query": "q?", "pos": ("p",), **changed})


def test_a_lone_surrogate_is_refused_and_the_old_file_stays(tmp_path):
    file = tmp_path / "train.jsonl"
    write_examples(file, [BARE])
    with pytest.raises(InputError, match="clean"):
        write_examples(file, [MILK, TrainingExample(**{**fields(MILK, neg=1), "query": "\ud800?"})])
    assert list(read_examples(file)) == [BARE]
    assert [path.name for path in tmp_path.iterdir()] == ["train.jsonl"]


def test_examples_that_know_different_things_are_not_one_table(tmp_path):
    with pytest.raises(InputError, match="pos_scores"):
        write_examples(tmp_path / "train.jsonl", [MILK, BARE])
    prompted = TrainingExample(query="q", pos=("p",), prompt="Find it: ")
    with pytest.raises(InputError, match="prompt"):
        write_examples(tmp_path / "train.jsonl", [BARE, prompted])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2, is not JSON"),
        ("[1]", "line 2, is not an object"),
        ('{"query": "q"}', "line 2: an example has no pos"),
        ('{"query": "q", "pos": []}', "line 2: the query"),
        ('{"query": "q", "pos": ["p"], "neg": [1]}', "line 2: neg"),
    ],
)
def test_a_line_that_is_no_example_is_named(tmp_path, line, said):
    (tmp_path / "train.jsonl").write_text(f'{{"query": "q", "pos": ["p"]}}\n{line}\n')
    with pytest.raises(InputError, match=said):
        list(read_examples(tmp_path / "train.jsonl"))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        list(read_examples(tmp_path / "none.jsonl"))


def test_foreign_files_may_have_more_and_none(tmp_path):
    line = '{"query": "q", "pos": ["p"], "neg": ["n"], "prompt": null, "pos_scores": null, "x": 1}'
    (tmp_path / "a.jsonl").write_text(f"\n{line}\n\n")
    assert list(read_examples(tmp_path / "a.jsonl")) == [
        TrainingExample(query="q", pos=("p",), neg=("n",))
    ]
