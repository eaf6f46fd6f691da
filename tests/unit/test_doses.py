"""Questions whose passages differ in the dose alone: BM25 and the hybrid put the right one first.

Each line is a medicine with its two doses; one question and one passage is made for each.
"""

from __future__ import annotations

import pytest

from trivec import Chunk, HybridIndex, IndexConfig, SearchOptions
from trivec.bm25 import AnalyzerConfig
from trivec.testing import FakeEncoder, MemoryStore

CHINESE = """
氨氯地平 2.5毫克 5毫克
比索洛尔 1.25mg 2.5mg
华法林 2.5 毫克 3.5 毫克
左甲状腺素 12.5微克 25微克
地高辛 0.125毫克 0.25毫克
依那普利 2.5mg 25mg
泼尼松 5毫克 7.5毫克
利尿剂 12.5毫克 50毫克
胰岛素 0.5ml 1.5ml
阿司匹林 ７５毫克 １００毫克
甲氨蝶呤 7.5毫克 15毫克
退热药 37.5度 38.5度
"""
ENGLISH = """
amlodipine 2.5mg 5mg
bisoprolol 1.25 mg 2.5 mg
warfarin 2.5 mg 5.5 mg
digoxin 0.125mg 0.25mg
enalapril 2.5 mg 25 mg
levothyroxine 12.5mcg 25mcg
prednisone 5 mg 7.5 mg
insulin 0.5ml 5ml
methotrexate 7.5mg 15mg
"""


def pairs(listed: str, passage: str) -> list[tuple[str, str]]:
    """Return every medicine's doses in the words of a passage, two after each other."""
    rows = []
    for line in listed.strip().splitlines():
        name, *rest = line.split()
        doses = [" ".join(rest[: len(rest) // 2]), " ".join(rest[len(rest) // 2 :])]
        rows += [(passage.format(name=name, dose=dose), dose) for dose in doses]
    return rows


CASES = {
    "zh": (
        CHINESE,
        "{name}的用法：成人每日{dose}，分2次服用，连用5天，不适随诊。",
        "哪些病人每日用{dose}的{name}？",
    ),
    "en": (
        ENGLISH,
        "Adults take {dose} of {name} twice a day for 5 days, with 2 glasses of water.",
        "Who should take {name} at {dose} a day?",
    ),
}


def found_first(language: str, arms: tuple[str, ...] | None, rules: int) -> int:
    """Return how many questions find the passage with their dose first."""
    listed, passage, question = CASES[language]
    passages = [text for text, _ in pairs(listed, passage)]
    questions = [text for text, _ in pairs(listed, question)]
    config = IndexConfig(arms=("dense", "sparse", "bm25"), analyzer=AnalyzerConfig(rules=rules))
    with HybridIndex.open(MemoryStore(), FakeEncoder(), config=config) as index:
        index.add([Chunk(text, id=str(number)) for number, text in enumerate(passages)])
        results = index.search_batch(questions, k=1, options=SearchOptions(arms=arms))
    return sum(hits[0].id == str(number) for number, hits in enumerate(results))


@pytest.mark.parametrize(("language", "questions"), [("zh", 24), ("en", 18)])
@pytest.mark.parametrize("arms", [("bm25",), None], ids=["bm25", "hybrid"])
def test_the_passage_with_the_dose_comes_first(language, questions, arms):
    assert found_first(language, arms, rules=2) == questions


def test_rules_1_take_one_dose_for_another():
    """What the cases are worth: they can fail."""
    assert found_first("zh", ("bm25",), rules=1) < 24
