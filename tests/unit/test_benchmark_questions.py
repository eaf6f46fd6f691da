import pytest
from benchmarks import questions as benchmark
from benchmarks.quality import Corpus

from trivec import Chunk
from trivec.testing import FakeEncoder

WORDS = ["river", "honey", "engine", "violin"]


def corpus(language):
    names = [f"q{n}" for n in range(8)]
    asked = {name: f"{language}{at} {WORDS[at // 2]}?" for at, name in enumerate(names)}
    asked["q7"] = "is the river a thing?"  # whose answer no search can know
    return Corpus(
        f"test.{language}",
        tuple(Chunk(f"the {word} is a thing", id=f"p{at}") for at, word in enumerate(WORDS)),
        asked,
        {name: f"p{at // 2}" for at, name in enumerate(names)},
    )


@pytest.fixture(scope="module")
def rows():
    return benchmark.measure(corpus("x"), corpus("y"), FakeEncoder())


def test_every_group_is_searched_in_every_way(rows):
    groups = {}
    for row in rows:
        groups.setdefault(row.asked, []).append((row.variant, row.questions))
    assert groups[benchmark.OTHERS] == [(variant, 4) for variant in benchmark.VARIANTS]
    assert groups[benchmark.SAME] == [(variant, 8) for variant in benchmark.VARIANTS]
    assert [count for _, count in groups[benchmark.JUDGED]] == [1, 1]
    assert [count for _, count in groups[benchmark.RIGHT]] == [7, 7]
    assert all(0 <= row.recall_at_1 <= row.ndcg_at_10 <= 1 for row in rows)


def test_goals_compare_the_last_way_with_the_first():
    def row(asked, variant, recall):
        return benchmark.Measurement("c", asked, variant, 9, recall, recall)

    def judge(asked, before, after):
        return benchmark.missed_goals([row(asked, "a", before), row(asked, "b", after)])

    assert judge(benchmark.SAME, 0.5, 0.6) == []
    assert judge(benchmark.SAME, 0.5, 0.51)[0].startswith("c, the same, in the other language")
    assert judge(benchmark.OTHERS, 0.9, 0.899) == []
    assert len(judge(benchmark.OTHERS, 0.9, 0.85)) == 1
    assert judge(benchmark.REPEATED, 0.0, 0.0) == []  # reported, no goal
