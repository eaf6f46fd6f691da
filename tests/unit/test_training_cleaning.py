"""Near duplicates, the rules that drop pairs, and the split by document."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from trivec.errors import InputError
from trivec.training.data import CleaningOptions, CorpusPassage, Pair, SplitOptions
from trivec.training.data.cleaning import cleaned
from trivec.training.data.likeness import near_duplicates, origin_of, signatures_of
from trivec.training.data.splitting import separated, splits_of

MILK = (
    "Lactose is the sugar of milk. Who lacks the enzyme lactase cannot digest it, and gets cramps "
    "and bloating after a glass of milk."
)
LACTOSE = "乳糖是牛奶中的糖分。缺乏乳糖酶的人无法消化它，喝一杯牛奶之后会出现腹痛和腹胀等不适症状。"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (MILK, MILK.upper().replace(".", " !"), True),
        (MILK, MILK.replace("a glass", "one glass"), True),
        (MILK, "Honey is made by bees, who gather nectar and thicken it in combs.", False),
        (LACTOSE, LACTOSE.replace("，", "、").replace("。", "！"), True),
        (LACTOSE, LACTOSE.replace("一杯", "两杯"), True),
        (LACTOSE, "蜂蜜由蜜蜂采集花蜜酿成，在蜂巢中逐渐浓缩，可以保存很多年而不变质。", False),
        ("ＢＧＥ－Ｍ３ reads 8192 tokens", "bge m3 reads 8192 tokens", True),
        ("", "a", False),
        ("\ud800 lone", "\ud800 lone", True),
    ],
)
def test_nearly_the_same(one, other, same):
    found = near_duplicates(["something else entirely", one, other], threshold=0.8)
    assert found == ({2: 1} if same else {})


def test_numbers_tell_questions_apart():
    asked = ["What was the profit of the firm in 2019?", "What was the profit of the firm in 2020?"]
    assert near_duplicates(asked, threshold=0.7) == {1: 0}
    assert near_duplicates(asked, threshold=0.7, same_numbers=True) == {}


def test_a_thousand_copies_are_found_at_once():
    texts = [f"{MILK} {MILK} Copy {number}." for number in range(300)]
    found = near_duplicates(texts, threshold=0.8)
    assert len(found) == 299
    assert {origin_of(found, at) for at in found} == {0}


def test_known_signatures_change_nothing():
    texts = [MILK, LACTOSE, MILK.replace("sugar", "Sugar")[:-4], LACTOSE[:-1]]
    known = signatures_of(texts)
    assert near_duplicates(texts, threshold=0.8, signatures=known) == near_duplicates(
        texts, threshold=0.8
    )
    assert known.shape == (4, 128)
    assert known.dtype == np.uint32


CORPUS = {
    "milk": CorpusPassage("milk", MILK, "a.md", 0),
    "乳糖": CorpusPassage("乳糖", LACTOSE, "b.md", 0),
    "bees": CorpusPassage("bees", "Bees turn nectar into honey, which keeps for years.", "c.md", 0),
}
GOOD = "Why does a glass of milk give some people cramps?"


def pair(question, *positives, number=[0], **fields):  # noqa: B006  # counts on purpose
    number[0] += 1
    fields = {"origin": "test", **fields}
    return Pair(f"p{number[0]}", question, positives or ("milk",), **fields)


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (pair(" \u200b"), "blank"),
        (pair("Why does honey keep?", "nowhere"), "unknown passage"),
        (pair(GOOD.upper()), "duplicate"),
        (pair(GOOD.replace("Why does", "So why does")), "near duplicate"),
        (pair("why milk?"), "too short"),
        (pair(" ".join(["why"] * 65)), "too long"),
        (pair("为什么有些人喝牛奶以后会肚子疼？", "milk"), "other language"),
        (pair("Why do people get cramps and bloating after drinking?", "乳糖"), "other language"),
        (pair("Почему у некоторых людей болит живот после молока?"), "other language"),
        (pair("Who lacks the enzyme lactase cannot digest it?"), "copied"),
        (pair("缺乏乳糖酶的人无法消化它", "乳糖"), "copied"),
    ],
)
def test_each_rule_drops_and_can_be_switched_off(bad, rule):
    given = [pair(GOOD), bad]
    kept, dropped = cleaned(given, CORPUS, CleaningOptions())
    assert [(one.pair.id, one.rule) for one in dropped] == [(bad.id, rule)]
    assert len(kept) == 1
    if rule in {"blank", "unknown passage"}:
        with pytest.raises(InputError, match="cannot be trained on"):
            CleaningOptions(without=(rule,))
        return
    without = (rule, "near duplicate") if rule == "duplicate" else (rule,)
    kept, dropped = cleaned(given, CORPUS, CleaningOptions(without=without))
    assert len(kept) == 2
    assert not dropped


def test_jargon_is_no_other_language():
    text = "A drumlin forms under glacier till: moraine striation esker cirque fjord tarn horn."
    corpus = {"ice": CorpusPassage("ice", text, "ice.md")}
    asked = [pair("where does a drumlin form?", "ice"), pair("esker moraine drumlin?", "ice")]
    assert cleaned(asked, corpus, CleaningOptions()) == ([*(replaced(one) for one in asked)], [])


def replaced(one):
    return replace(one, document="ice.md")


def test_what_repeats_a_question_gives_it_its_passage():
    given = [pair(GOOD, "milk"), pair(GOOD, "乳糖"), pair(f"So {GOOD}", "bees")]
    kept, dropped = cleaned(given, CORPUS, CleaningOptions(without=("other language",)))
    assert kept[0].positives == ("milk", "乳糖")
    assert kept[0].apart == ("bees",)
    assert [one.rule for one in dropped] == ["duplicate", "near duplicate"]


def test_a_bad_verdict_counts_against_a_generated_question():
    said = Pair("f", GOOD, (), "feedback", rejected=("milk",))
    kept, dropped = cleaned([pair(GOOD, "milk"), said], CORPUS, CleaningOptions())
    assert kept == []
    assert Counter(one.rule for one in dropped) == {"rejected": 2}


def test_documents_are_split_whole_and_always_alike():
    names = [f"{number}.md" for number in range(50)]
    splits = splits_of(names, SplitOptions(dev=0.1, test=0.2))
    assert Counter(splits.values()) == {"train": 35, "test": 10, "dev": 5}
    assert splits_of(reversed(names), SplitOptions(dev=0.1, test=0.2)) == splits
    assert splits_of(names, SplitOptions(seed=1)) != splits
    with pytest.raises(InputError, match="2 documents, too few"):
        splits_of(["a", "b"], SplitOptions())
    with pytest.raises(InputError, match="leave nothing"):
        SplitOptions(dev=0.5, test=0.5)


def split_pairs(corpus, pairs, splits, **options):
    signatures = signatures_of(passage.text for passage in corpus.values())
    return separated(pairs, corpus, splits, signatures, CleaningOptions(**options))


def test_what_judges_the_model_is_not_trained_on_under_any_id():
    corpus = {
        "test": CorpusPassage("test", MILK, "test.md"),
        "copy": CorpusPassage("copy", MILK.replace("glass", "cup"), "train.md"),
        "train": CorpusPassage("train", "Bees turn nectar into honey.", "train.md"),
        "free": CorpusPassage("free", "Wax is made by young bees.", "train.md"),
        "judged": CorpusPassage("judged", "Cheese keeps longer than milk does.", "test.md"),
    }
    pairs = [
        pair(GOOD, "test", document="test.md"),
        pair("What does the sugar of milk do?", "copy", document="train.md"),
        pair(GOOD.replace("Why does", "Why, does"), "train", document="train.md"),
        pair("How do bees make honey?", "train", "judged", document="train.md"),
    ]
    splits = {"test.md": "test", "train.md": "train"}
    parts = split_pairs(corpus, pairs, splits)
    assert [one.pair for one in parts.dropped] == pairs[1:3]
    assert {one.rule for one in parts.dropped} == {"held out"}
    assert [one.positives for one in parts.pairs["train"]] == [("train",)]
    assert parts.pool == {"train", "free"}
    loose = split_pairs(corpus, pairs, splits, without=("held out",))
    assert len(loose.pairs["train"]) == 3
    assert loose.pool == {"copy", "train", "free"}
