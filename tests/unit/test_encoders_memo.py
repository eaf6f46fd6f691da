"""Asking one head at a time runs the model once."""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from trivec.encoders.arguments import check_arguments
from trivec.encoders.memo import MemoEncoder
from trivec.errors import InputError, ModelError
from trivec.testing import FakeEncoder

SECONDS = 60  # of waiting for what happens at once, unless it never does


def test_dense_then_sparse_is_one_forward():
    encoder = FakeEncoder()
    memo = MemoEncoder(encoder)
    [dense] = memo.encode_documents(["a text"], heads=["dense"])
    [sparse] = memo.encode_documents(["a text"], heads=["sparse"])
    assert encoder.calls == 1
    assert dense is sparse


def test_queries_and_passages_are_kept_apart():
    encoder = FakeEncoder()
    memo = MemoEncoder(encoder)
    memo.encode_documents(["a text"])
    memo.encode_queries(["a text"], heads=["dense"])
    assert encoder.calls == 2


def test_only_new_texts_are_encoded_and_the_order_is_kept():
    memo = MemoEncoder(FakeEncoder(), heads=("sparse",))
    plain = FakeEncoder()
    memo.encode_queries(["b"], heads=["sparse"])
    texts = ["a", "b", "a", "c"]
    mine = memo.encode_queries(texts, heads=["sparse"])
    theirs = plain.encode_queries(texts, heads=["sparse"])
    assert [one.sparse for one in mine] == [one.sparse for one in theirs]


def test_the_least_recently_used_is_forgotten():
    encoder = FakeEncoder()
    memo = MemoEncoder(encoder, size=2)
    for text in ("a", "b", "a", "c", "a"):
        memo.encode_queries([text], heads=["dense"])
    assert encoder.calls == 3
    memo.encode_queries(["b"], heads=["dense"])
    assert encoder.calls == 4


def test_a_batch_larger_than_the_memo_is_whole():
    memo = MemoEncoder(FakeEncoder(), size=2)
    assert len(memo.encode_documents([str(n) for n in range(9)], heads=["dense"])) == 9


def test_a_head_that_is_not_kept_goes_straight_through():
    encoder = FakeEncoder()
    memo = MemoEncoder(encoder, heads=("dense",))
    for _ in range(2):
        assert memo.encode_queries(["a"], heads=["colbert"])[0].colbert is not None
    assert encoder.calls == 2


class SlowEncoder(FakeEncoder):
    """Holds every call until it is let go."""

    def __init__(self):
        super().__init__()
        self.entered, self.go = threading.Event(), threading.Event()

    def encode_documents(self, texts, *, heads):
        self.entered.set()
        assert self.go.wait(SECONDS)
        return super().encode_documents(texts, heads=heads)


def test_a_text_that_another_thread_encodes_is_waited_for():
    encoder = SlowEncoder()
    memo = MemoEncoder(encoder)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(memo.encode_documents, ["x"], heads=["dense"])
        assert encoder.entered.wait(SECONDS)
        second = pool.submit(memo.encode_documents, ["x"], heads=["sparse"])
        encoder.go.set()
        assert first.result(SECONDS)[0] is second.result(SECONDS)[0]
    assert encoder.calls == 1


class FailingEncoder(FakeEncoder):
    """Fails once."""

    failed = False

    def encode_documents(self, texts, *, heads):
        if not self.failed:
            self.failed = True
            raise RuntimeError("no luck")
        return super().encode_documents(texts, heads=heads)


def test_a_failure_is_not_remembered():
    memo = MemoEncoder(FailingEncoder())
    with pytest.raises(RuntimeError, match="no luck"):
        memo.encode_documents(["x"], heads=["dense"])
    assert memo.encode_documents(["x"], heads=["dense"])[0].dense is not None


def test_size_must_be_positive():
    with pytest.raises(InputError, match="size=0"):
        MemoEncoder(FakeEncoder(), size=0)


def test_all_who_ask_share_a_memo_while_one_of_them_lives():
    encoder = FakeEncoder()
    memo = MemoEncoder.shared(encoder)
    assert MemoEncoder.shared(encoder) is memo is MemoEncoder.shared(memo)
    assert MemoEncoder.shared(FakeEncoder()) is not memo
    memo.encode_queries(["a"], heads=("dense",))
    del memo
    gc.collect()
    MemoEncoder.shared(encoder).encode_queries(["a"], heads=("dense",))
    assert encoder.calls == 2, "nobody held the memo, so it was dropped"


@pytest.mark.parametrize("stopped", [ModelError("no"), KeyboardInterrupt()])
def test_an_encoder_that_fails_leaves_nobody_waiting(stopped):
    begun, go_on = threading.Event(), threading.Event()

    class Failing(FakeEncoder):
        def encode_queries(self, *_arguments, **_options):
            begun.set()
            go_on.wait(SECONDS)
            raise stopped

    assert_both_end(MemoEncoder(Failing()), begun, go_on)


def test_an_encoder_that_returns_fewer_rows_leaves_nobody_waiting():
    begun, go_on = threading.Event(), threading.Event()

    class Short(FakeEncoder):
        def encode_queries(self, texts, *, heads=("dense",)):
            begun.set()
            go_on.wait(SECONDS)
            return super().encode_queries(texts, heads=heads)[:-1]

    assert_both_end(MemoEncoder(Short()), begun, go_on)


def assert_both_end(memo, begun, go_on):
    """The second thread waits for the first one's text; both end with an error of ours."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(memo.encode_queries, ["a", "b"], heads=("dense",))
        assert begun.wait(SECONDS)
        [running] = [future for (_, text), future in memo._running.items() if text == "b"]
        waited, waits = threading.Event(), running.result
        running.result = lambda: (waited.set(), waits())[1]
        second = pool.submit(memo.encode_queries, ["b"], heads=("dense",))
        assert waited.wait(SECONDS)
        go_on.set()
        assert first.exception(timeout=SECONDS) is not None
        assert isinstance(second.exception(timeout=SECONDS), ModelError)
    assert memo._running == {}


def test_an_iterator_of_texts_is_refused():
    with pytest.raises(InputError, match="texts is a generator; give a list"):
        check_arguments((text for text in ["one"]), ("dense",))
