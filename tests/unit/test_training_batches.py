"""Batches of a training: no text twice, every example once an epoch, drawn from the seed alone."""

from __future__ import annotations

import pytest

from trivec.training.batches import Candidate, batches_of_epoch


def example(query: int, *positives: int, negatives: tuple[int, ...] = ()) -> Candidate:
    scores = tuple(float(one) for one in (*positives, *negatives))
    return Candidate(query, positives, negatives, scores)


EXAMPLES = [example(at, 100 + at, negatives=(100 + (at + 1) % 9, 200 + at)) for at in range(9)]


def of_epoch(examples, *, size=4, negatives=1, seed=0, epoch=0):
    return batches_of_epoch(examples, size=size, negatives=negatives, seed=seed, epoch=epoch)


def test_every_example_stands_in_one_batch():
    batches = of_epoch(EXAMPLES)
    assert sorted(query for batch in batches for query in batch.queries) == list(range(9))
    for batch in batches:
        assert batch.passages[: len(batch.queries)] == tuple(100 + one for one in batch.queries)


def test_no_text_stands_twice_in_a_batch():
    pairs = [(0, 100), (1, 100), (0, 101), (2, 102), (3, 103), (1, 104)]
    shared = [example(*pair, negatives=(200 + at,)) for at, pair in enumerate(pairs)]
    batches = of_epoch(shared, size=6)
    assert sum(len(batch.queries) for batch in batches) == 6
    assert len(batches) > 1
    for batch in batches:
        assert len(set(batch.queries)) == len(batch.queries)
        assert len(set(batch.passages)) == len(batch.passages)


def test_an_answer_of_a_query_is_never_a_negative_of_it():
    # 101 answers both queries; losses leave out what is known to answer
    for batch in of_epoch([example(0, 101), example(1, 102, 101)], size=2, negatives=0, seed=3):
        known = dict(zip(batch.queries, batch.known, strict=True))
        assert known.get(1, {101, 102}) == {101, 102}
        assert known.get(0, {101}) == {101}


def test_the_seed_and_the_epoch_give_the_order():
    assert of_epoch(EXAMPLES) == of_epoch(EXAMPLES)
    assert of_epoch(EXAMPLES) != of_epoch(EXAMPLES, epoch=1)
    assert of_epoch(EXAMPLES) != of_epoch(EXAMPLES, seed=1)


@pytest.mark.parametrize("negatives", [0, 1, 2])
def test_as_many_hard_negatives_as_were_asked_for(negatives):
    (batch,) = of_epoch(
        [example(0, 10, negatives=(11, 12, 13)), example(1, 20)], negatives=negatives
    )
    assert len(batch.passages) == 2 + negatives


def test_a_teachers_scores_follow_their_passages():
    (batch,) = of_epoch([example(0, 10, negatives=(11,)), example(1, 20, negatives=(10,))])
    for query, scores in zip(batch.queries, batch.scores, strict=True):
        known = {batch.passages[place]: score for place, score in scores.items()}
        assert known == ({10: 10.0, 11: 11.0} if query == 0 else {20: 20.0, 10: 10.0})


def test_one_query_without_negatives_teaches_nothing():
    assert of_epoch([example(0, 10)]) == []
