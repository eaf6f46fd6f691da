"""RemoteEncoder over real HTTP: the same vectors as FlagEncoder, and servers that misbehave."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import httpx
import numpy as np
import pytest
from tests.clock import HOUR
from tests.vllm_server import LetterModel, M3Model, VllmServer

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.encoders import FlagEncoder, FlagOptions, RemoteEncoder, RemoteOptions
from trivec.errors import (
    CollectionError,
    FingerprintMismatchError,
    InputError,
    ModelError,
    ModelUnavailableError,
    TextsRefusedError,
)
from trivec.types import ALL_HEADS, EncoderInfo

PATIENT = RemoteOptions(deadline=HOUR, longest_wait=0.05, timeout=60)
SELDOM = RemoteOptions(deadline=HOUR, longest_wait=HOUR / 10, timeout=60)  # under a clock
TEXTS = [
    "The river rises in the mountains and flows through three countries to the sea.",
    "这条河发源于山区，流经三个国家，最后注入大海。",
    "",
    "river river River",
    "a </s> b <s> c <unk> 🐧",
    "lone \ud800 surrogate",
    "long " * 700,
]


@pytest.fixture
def letters(loopback_server):
    yield VllmServer(loopback_server, LetterModel())
    loopback_server.clear()


def connect(urls, *, options=PATIENT, model=LetterModel.name, **settings):
    return RemoteEncoder.named(
        urls,
        model,
        dense_dim=4,
        colbert_dim=4,
        max_length=LetterModel.max_length,
        options=options,
        **settings,
    )


@pytest.fixture
def dense(letters):
    with closing(connect(letters.url)) as encoder:
        yield encoder


@pytest.fixture
def encoder(letters):
    with closing(connect(dict.fromkeys(ALL_HEADS, letters.url))) as encoder:
        yield encoder


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.dense, other.dense, atol=1e-5)
        np.testing.assert_array_equal(one.sparse.indices, other.sparse.indices)
        np.testing.assert_allclose(one.sparse.values, other.sparse.values, atol=1e-5)
        np.testing.assert_allclose(one.colbert, other.colbert, atol=1e-5)
        assert (one.tokens, one.truncated) == (other.tokens, other.truncated)


class TestParity:
    """Against FlagEncoder on the folder that the server serves."""

    @pytest.fixture
    def served(self, tiny_m3, loopback_server):
        yield VllmServer(loopback_server, M3Model(tiny_m3))
        loopback_server.clear()

    @pytest.mark.parametrize("number_format", ["base64", "float"])
    @pytest.mark.parametrize("is_local", [True, False], ids=["tokenizer.json", "tokenize"])
    def test_same_vectors_as_here(self, tiny_m3, served, number_format, is_local):
        here = FlagEncoder(tiny_m3, options=FlagOptions(passage_max_length=600))
        there = RemoteEncoder(
            dict.fromkeys(ALL_HEADS, served.url),
            here.info,
            served_as=M3Model.name,
            tokenizer=tiny_m3 / "tokenizer.json" if is_local else None,
            options=RemoteOptions(number_format=number_format),
        )
        with closing(there):
            assert there.info == here.info
            assert_equal(there.encode_documents(TEXTS), here.encode_documents(TEXTS))
            assert_equal(there.encode_queries(TEXTS), here.encode_queries(TEXTS))
            ids = here.encode_documents(TEXTS[:2])[0].sparse.indices.tolist()
            assert there.decode_tokens(ids) == here.decode_tokens(ids)
        assert ("/tokenize" in served.paths()) != is_local

    def test_instructions_carry_no_weight_and_no_rows(self, tiny_m3, served):
        options = FlagOptions(query_instruction="query: ", passage_instruction="passage: ")
        here = FlagEncoder(tiny_m3, options=options)
        urls = dict.fromkeys(ALL_HEADS, served.url)
        with pytest.raises(InputError, match="tokenizer="):
            RemoteEncoder(urls, here.info)
        there = RemoteEncoder(
            urls, here.info, served_as=M3Model.name, tokenizer=tiny_m3 / "tokenizer.json"
        )
        with closing(there):
            assert_equal(there.encode_queries(TEXTS[:5]), here.encode_queries(TEXTS[:5]))
            assert_equal(there.encode_documents(TEXTS[:5]), here.encode_documents(TEXTS[:5]))

    def test_an_index_written_here_is_searched_from_there(self, tiny_m3, served, tmp_path):
        here = FlagEncoder(tiny_m3)
        config = IndexConfig(arms=("dense", "sparse", "colbert"))
        chunks = [Chunk(text, id=str(at)) for at, text in enumerate(TEXTS[:2])]
        with HybridIndex.open(tmp_path / "kb", here, config=config) as index:
            index.add(chunks)
            expected = index.search("river", 2)
        urls = dict.fromkeys(ALL_HEADS, served.url)
        with (
            closing(RemoteEncoder(urls, here.info, served_as=M3Model.name)) as there,
            HybridIndex.open(tmp_path / "kb", there, create=False) as index,
        ):
            found = index.search("river", 2)
            assert index.add(chunks).skipped == 2
        assert [(hit.id, pytest.approx(hit.score, abs=1e-4)) for hit in found] == [
            (hit.id, hit.score) for hit in expected
        ]

    def test_another_model_is_refused_by_its_fingerprint(self, tiny_m3, served, tmp_path):
        here = FlagEncoder(tiny_m3)
        HybridIndex.open(tmp_path / "kb", here, config=IndexConfig(arms=("dense",))).close()
        named = RemoteEncoder.named(served.url, M3Model.name, dense_dim=32, colbert_dim=32)
        with pytest.raises(FingerprintMismatchError, match="served as tiny-m3"):
            HybridIndex.open(tmp_path / "kb", named)
        HybridIndex.open(tmp_path / "all", here).close()
        with pytest.raises(CollectionError, match="sparse vectors, which the model does not make"):
            HybridIndex.open(tmp_path / "all", RemoteEncoder(served.url, here.info))


def test_dense_alone_sends_texts_and_knows_no_tokens(dense, letters):
    (found,) = dense.encode_documents(["ab"], heads=("dense",))
    expected = np.array([4, 0, 97, 98], dtype=np.float32)
    np.testing.assert_allclose(found.dense, expected / np.linalg.norm(expected), rtol=1e-6)
    assert (found.sparse, found.colbert, found.tokens, found.truncated) == (None, None, 0, False)
    ((path, body, _),) = letters.requests
    assert (path, body["input"]) == ("/v1/embeddings", ["ab"])
    assert dense.info.heads == ("dense",)


@pytest.mark.parametrize("heads", [ALL_HEADS, ("sparse",), ("dense", "colbert")])
def test_dense_alone_says_so(dense, letters, heads):
    with pytest.raises(InputError, match=r"no server is known for .*there is one for \['dense'\]"):
        dense.encode_queries(["a"], heads=heads)
    with pytest.raises(InputError, match="only dense vectors"):
        dense.decode_tokens([5])
    assert letters.requests == []


def test_of_a_repeated_token_the_highest_counts_and_specials_nothing(encoder):
    (found,) = encoder.encode_documents(["aba\x01"])
    assert found.sparse.to_mapping() == pytest.approx({97: 0.97, 98: 0.98})  # 1 is <pad>
    assert found.colbert.shape == (5, 4)  # four letters and the end, no CLS
    assert found.tokens == 6


def test_only_what_is_asked_for_is_requested(encoder, letters):
    encoder.encode_queries(["a"], heads=("sparse",))
    assert letters.paths() == ["/tokenize", "/pooling"]
    assert letters.requests[-1][1]["task"] == "token_classify"


def test_each_head_may_have_a_server_of_its_own(loopback_server, letters):
    urls = {head: letters.url.replace("127.0.0.1", "localhost") for head in ("sparse", "colbert")}
    with closing(connect({"dense": letters.url, **urls})) as encoder:
        encoder.encode_documents(["a"])
    hosts = {
        (path, body.get("task")): headers["Host"].split(":")[0]
        for path, body, headers in letters.requests
    }
    assert hosts == {
        ("/tokenize", None): "localhost",
        ("/v1/embeddings", None): "127.0.0.1",
        ("/pooling", "token_classify"): "localhost",
        ("/pooling", "token_embed"): "localhost",
    }


def test_too_long_a_text_is_cut_here_and_reported(encoder):
    long, short = encoder.encode_documents(["x" * 100, "x" * 30])
    assert (long.tokens, long.truncated) == (LetterModel.max_length, True)
    assert not short.truncated
    assert long.colbert.shape == (LetterModel.max_length - 1, 4)


def test_batches_by_count_and_by_tokens(letters):
    by_count = replace(PATIENT, batch_size=2)
    with closing(connect(letters.url, options=by_count)) as encoder:
        found = encoder.encode_documents(["a", "b", "c", "d", "e"], heads=("dense",))
    assert sorted(len(body["input"]) for _, body, _ in letters.requests) == [1, 2, 2]
    assert [one.dense[2] for one in found] == sorted(one.dense[2] for one in found)
    letters.requests.clear()
    by_tokens = replace(PATIENT, max_batch_tokens=20)
    with closing(connect({"sparse": letters.url}, options=by_tokens)) as encoder:
        encoder.encode_documents(["x" * 8, "y" * 8, "z" * 30, "w"], heads=("sparse",))
    sizes = [len(body["input"]) for path, body, _ in letters.requests if path == "/pooling"]
    assert sorted(sizes) == [1, 1, 2]


def test_no_more_requests_at_a_time_than_asked(letters):
    running, most, lock = 0, 0, threading.Lock()

    def busy(answer):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.02)
        with lock:
            running -= 1
        return answer

    for _ in range(6):
        letters.change(busy)
    options = replace(PATIENT, batch_size=1, concurrency=2)
    with closing(connect(letters.url, options=options)) as encoder:
        encoder.encode_documents(list("abcdef"), heads=("dense",))
    assert most <= 2


def test_a_request_that_is_too_large_is_halved(letters, dense):
    letters.most_bytes = 140
    found = dense.encode_documents(["a" * 30, "b" * 30, "c" * 30], heads=("dense",))
    assert [round(float(one.dense[2] / one.dense[0] * 32)) for one in found] == [97, 98, 99]
    assert len(letters.requests) == 3
    letters.most_bytes = 50
    with pytest.raises(ModelError, match="status 413"):
        dense.encode_documents(["d"], heads=("dense",))


def test_where_texts_are_sent_the_server_refuses_long_ones(dense):
    with pytest.raises(ModelError, match="maximum context length"):
        dense.encode_documents(["x" * 100], heads=("dense",))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(letters, dense, status):
    letters.fail(status)
    assert dense.encode_queries(["a"], heads=("dense",))
    assert len(letters.requests) == 2


def test_retry_after_is_honoured_and_bounded(letters, dense, monkeypatch):
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    for wish in ("0.03", "3600", date, "soon", "-5"):
        letters.fail(429, **{"Retry-After": wish})
    assert dense.encode_queries(["a"], heads=("dense",))
    assert waits[0] == pytest.approx(0.03)
    assert waits[1:3] == [PATIENT.longest_wait] * 2
    assert 0 <= waits[3] <= PATIENT.longest_wait
    assert waits[4] == 0


def test_until_the_deadline(letters, clock):
    for _ in range(200):
        letters.fail(503)
    with (
        closing(connect(letters.url, options=SELDOM)) as encoder,
        pytest.raises(ModelUnavailableError, match="kept answering 503 until the deadline"),
    ):
        encoder.encode_queries(["a"], heads=("dense",))
    assert 2 < len(letters.requests) < 200
    assert HOUR / 2 < clock.now < HOUR


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_what_stays_is_not_tried_again(letters, dense, status):
    letters.fail(status, "the key sk-secret is not good")
    with pytest.raises(ModelError, match=f"status {status}") as caught:
        dense.encode_queries(["a"], heads=("dense",))
    assert len(letters.requests) == 1
    if status in (401, 403):
        assert "sk-secret" not in str(caught.value)


def test_the_servers_reason_is_told_but_never_the_text(letters, dense):
    letters.fail(400, "This model's maximum context length is 32 tokens.")
    with pytest.raises(ModelError, match="maximum context length is 32"):
        dense.encode_queries(["secret medical text of a patient"], heads=("dense",))
    letters.fail(400, "cannot use input 'secret medical text of a patient'")
    with pytest.raises(ModelError, match="left out") as caught:
        dense.encode_queries(["secret medical text of a patient"], heads=("dense",))
    assert "medical" not in str(caught.value)
    letters.answer("<html>", 400)
    with pytest.raises(ModelError, match="does not say why"):
        dense.encode_queries(["a"], heads=("dense",))


def test_a_server_that_hangs(letters):
    done = threading.Event()
    for _ in range(50):
        letters.hang(done.wait)
    options = replace(PATIENT, deadline=0.4, timeout=0.1)
    try:
        with (
            closing(connect(letters.url, options=options)) as encoder,
            pytest.raises(ModelUnavailableError, match="did not answer in time"),
        ):
            encoder.encode_queries(["a"], heads=("dense",))
    finally:
        done.set()


@pytest.mark.usefixtures("clock")
def test_nobody_listens():
    with (
        closing(connect("http://127.0.0.1:9", options=SELDOM)) as encoder,
        pytest.raises(ModelUnavailableError, match=r"127\.0\.0\.1:9.*cannot be reached"),
    ):
        encoder.encode_queries(["a"], heads=("dense",))


def test_another_model_name(letters):
    with (
        closing(connect(letters.url, model="other")) as encoder,
        pytest.raises(ModelError, match="knows no such model"),
    ):
        encoder.encode_queries(["a"], heads=("dense",))


def set_first(value, key="embedding"):
    def change(answer):
        answer["data"][0][key] = value
        return answer

    return change


def drop_first(answer):
    del answer["data"][0]
    return answer


def number_twice(answer):
    answer["data"][1]["index"] = 0
    return answer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_first([1.0, 2.0]), r"shape \(2,\), \(4,\) was stated"),
        (set_first([1.0, None, 0.0, 0.0]), "hold NaN or infinity|neither numbers"),
        (set_first([1.0, float("nan"), 0.0, 0.0]), "NaN"),
        (set_first([1.0, float("inf"), 0.0, 0.0]), "infinity"),
        (set_first([0.0, 0.0, 0.0, 0.0]), "is zero"),
        (set_first("not base64!"), "neither numbers nor base64"),
        (set_first("AAAA"), "neither numbers nor base64"),
        (set_first({"a": 1}), "neither numbers nor base64"),
        (drop_first, "1 of 2 texts"),
        (number_twice, "number each text once"),
        (lambda _: {"data": "x"}, "no list 'data'"),
        (lambda _: [], "no list 'data'"),
        (lambda _: {"data": [{"index": 0}, {"index": 1}]}, "lacks 'embedding'"),
    ],
)
def test_an_answer_that_cannot_be_right(letters, dense, change, message):
    letters.change(change)
    with pytest.raises(ModelError, match=message):
        dense.encode_documents(["ab", "cd"], heads=("dense",))


@pytest.mark.parametrize(
    ("task", "value", "message"),
    [
        ("sparse", [0.1], "1 weights for 4 tokens"),
        ("sparse", [0.1, float("nan")], "NaN"),
        ("colbert", [[1.0, 0.0, 0.0, 0.0]], "vectors of 4 tokens; allowed: 3 or 4 rows of 4"),
        ("colbert", [[1.0, 0.0, 0.0]] * 3, "allowed: 3 or 4 rows"),
        ("colbert", [[0.0, 0.0, 0.0, 0.0]] * 3, "is zero"),
    ],
)
def test_token_answers_that_cannot_be_right(letters, task, value, message):
    letters.change(set_first(value, "data"), "/pooling")
    with (
        closing(connect({task: letters.url})) as encoder,
        pytest.raises(ModelError, match=message),
    ):
        encoder.encode_documents(["ab"], heads=(task,))


@pytest.mark.parametrize("body", ["<html>", '{"data": ', ""])
def test_no_json(letters, dense, body):
    letters.answer(body)
    with pytest.raises(ModelError, match="did not answer in JSON"):
        dense.encode_queries(["a"], heads=("dense",))


@pytest.mark.parametrize("ids", ["none", [0], [0, "a", 2], [0, True, 2]])
def test_token_ids_that_cannot_be_right(letters, encoder, ids):
    letters.change(lambda answer: {**answer, "tokens": ids}, "/tokenize")
    with pytest.raises(ModelError, match=r"token ids|tokens around an empty text"):
        encoder.encode_queries([""], heads=("sparse",))


@pytest.mark.parametrize("is_mute", [True, False], ids=["numbers", "base64"])
@pytest.mark.parametrize("squeeze", [True, False], ids=["0.15", "0.18"])
def test_versions_of_the_server(loopback_server, squeeze, is_mute):
    server = VllmServer(loopback_server, LetterModel(), squeeze=squeeze, is_mute=is_mute)
    with closing(connect(dict.fromkeys(ALL_HEADS, server.url))) as encoder:
        nothing, one, two = encoder.encode_documents(["", "a", "ab"])
    loopback_server.clear()
    assert [len(each.sparse) for each in (nothing, one, two)] == [0, 1, 2]
    assert [each.colbert.shape for each in (nothing, one, two)] == [(1, 4), (2, 4), (3, 4)]


def test_special_tokens_that_the_server_did_not_leave_out(loopback_server, encoder):
    class Unfiltered(VllmServer):
        def _pooled(self, task, ids):
            values = {"token_classify": self._model.weights, "token_embed": self._model.rows}
            return values.get(task, self._model.dense)(ids)

    loopback_server.clear()
    server = Unfiltered(loopback_server, LetterModel())
    with closing(connect(dict.fromkeys(ALL_HEADS, server.url))) as other:
        (found,) = other.encode_documents(["ab"])
    assert found.sparse.to_mapping() == pytest.approx({97: 0.97, 98: 0.98})
    assert found.colbert.shape == (3, 4)


class Hidden:
    def __init__(self, key):
        self._key = key

    def get_secret_value(self):
        return self._key


@pytest.mark.parametrize("key", ["sk-secret", Hidden("sk-secret")])
def test_the_key_is_sent_and_never_shown(letters, key):
    with closing(connect(letters.url, api_key=key)) as encoder:
        encoder.encode_queries(["a"], heads=("dense",))
        shown = [repr(encoder), repr(vars(encoder)), repr(encoder._calls)]
    assert letters.requests[0][2]["Authorization"] == "Bearer sk-secret"
    assert not any("sk-secret" in text for text in shown)


def test_a_client_of_ones_own_keeps_its_headers_and_stays_open(letters):
    with httpx.Client(headers={"Authorization": "Bearer mine", "X-Team": "a"}) as client:
        encoder = connect(letters.url, client=client)
        encoder.encode_queries(["a"], heads=("dense",))
        encoder.close()
        encoder.encode_queries(["a"], heads=("dense",))
    for _, _, headers in letters.requests:
        assert (headers["Authorization"], headers["X-Team"]) == ("Bearer mine", "a")


def test_connections_are_kept(letters, dense):
    for _ in range(3):
        dense.encode_queries(["a"], heads=("dense",))
    assert dense._client().is_closed is False
    dense.close()
    assert dense._client().is_closed


def test_vectors_are_left_as_they_are_where_that_is_stated(letters):
    info = EncoderInfo(LetterModel.name, "w", 4, normalized=False)
    with closing(RemoteEncoder(letters.url, info)) as encoder:
        (found,) = encoder.encode_documents(["ab"], heads=("dense",))
    assert found.dense.tolist() == [4, 0, 97, 98]


def test_decoded_tokens_are_remembered(letters, encoder):
    assert encoder.decode_tokens([97, 98, 97, 32]) == ["a", "b", "a", "▁"]
    assert letters.paths().count("/detokenize") == 3
    assert encoder.decode_tokens([98]) == ["b"]
    assert letters.paths().count("/detokenize") == 3


def test_order_is_kept_when_the_server_answers_in_another(letters, dense):
    def reverse(answer):
        answer["data"].reverse()
        return answer

    letters.change(reverse)
    found = dense.encode_documents(["a", "ab", "abc"], heads=("dense",))
    firsts = [float(one.dense[0] / one.dense[2]) * 97 for one in found]
    assert firsts == pytest.approx([3, 4, 5])
    assert all(one < other for one, other in pairwise(firsts))


@pytest.mark.parametrize("status", [400, 413, 422, 500])
@pytest.mark.parametrize("options", [SELDOM, replace(SELDOM, batch_size=1, concurrency=1)])
def test_one_text_that_a_server_does_not_take_is_named(letters, status, options, clock):
    letters.breaks_at = (20, status, "too long for the GPU: CUDA out of memory")
    texts = ["a" * 5, "b" * 30, "c", "d", "e", "f" * 25, "g", "h"]
    with (
        closing(connect(letters.url, options=options)) as encoder,
        pytest.raises(TextsRefusedError, match=r"2 of the texts.*CUDA out of memory") as caught,
    ):
        encoder.encode_documents(texts, heads=("dense",))
    assert set(caught.value.reasons) == {"b" * 30, "f" * 25}
    assert clock.now < HOUR / 2


@pytest.mark.parametrize("status", [400, 500])
def test_the_others_are_stored_and_the_one_is_refused_by_the_servers_words(
    tmp_path, letters, status
):
    letters.breaks_at = (20, status, "CUDA out of memory")
    texts = [chr(97 + number) * (30 if number == 4 else 5) for number in range(10)]
    chunks = [Chunk(text, id=f"c{number}") for number, text in enumerate(texts)]
    with (
        closing(connect(letters.url, options=PATIENT)) as encoder,
        HybridIndex.open(tmp_path / "kb", encoder, config=IndexConfig(arms=("dense",))) as index,
    ):
        report = index.add(chunks)
        assert (report.added, index.count()) == (9, 9)
        ((identity, reason),) = [(each.id, each.reason) for each in report.refused]
        assert identity == "c4"
        assert "CUDA out of memory" in reason
        assert index.add(chunks).skipped == 9


@pytest.mark.usefixtures("clock")
def test_a_server_that_fails_at_everything_is_not_the_texts_fault(letters):
    for _ in range(500):
        letters.fail(500, "the model is not loaded")
    with (
        closing(connect(letters.url, options=SELDOM)) as encoder,
        pytest.raises(ModelUnavailableError, match="kept answering 500: the model is not loaded"),
    ):
        encoder.encode_documents(["a", "b", "c", "d", "e"], heads=("dense",))


def test_a_failure_that_passes_refuses_nothing(letters):
    for _ in range(12):
        letters.fail(500)
    with closing(connect(letters.url, options=PATIENT)) as encoder:
        assert len(encoder.encode_documents(["a", "b", "c", "d"], heads=("dense",))) == 4


def test_answers_without_an_index_are_in_the_order_of_the_texts(letters, dense):
    def unnumbered(answer):
        for item in answer["data"]:
            del item["index"]
        return answer

    letters.change(unnumbered)
    found = dense.encode_documents(["a", "bb"], heads=("dense",))
    letters.change(lambda answer: answer)
    again = dense.encode_documents(["a", "bb"], heads=("dense",))
    assert [one.dense.tolist() for one in found] == [one.dense.tolist() for one in again]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"message": "no money left", "code": 1113}}, "1113"),
        ({"object": "error", "message": "no money left", "code": 400}, "400"),
        ([{"error": {"message": "no money left", "code": 429}}], "429"),
        ({"detail": "no money left"}, "no money"),
    ],
)
def test_an_error_with_status_200(letters, dense, body, code):
    letters.answer(json.dumps(body))
    with pytest.raises(ModelError, match="no money left") as caught:
        dense.encode_documents(["a", "b"], heads=("dense",))
    assert code in str(caught.value)


def held_by(error: BaseException) -> str:
    """Return all that an error, its causes and the frames of their tracebacks hold, as text."""
    seen, todo, texts = set(), [error], []
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        texts += [str(each), repr(vars(each))]
        todo += [each.__cause__, each.__context__]
        trace = each.__traceback__
        while trace is not None:
            if "/tests/" not in trace.tb_frame.f_code.co_filename:
                texts += [f"{name}={value!r}" for name, value in trace.tb_frame.f_locals.items()]
            trace = trace.tb_next
    return "\n".join(texts)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 500, 503])
@pytest.mark.parametrize("texts", [["a"], ["a", "b", "c", "d"]])
def test_no_error_holds_the_key(letters, status, texts):
    for _ in range(300):
        letters.fail(status, "Authorization: Bearer sk-secret-key-1 cannot do it")
    with (
        closing(connect(letters.url, options=SELDOM, api_key="sk-secret-key-1")) as encoder,
        pytest.raises(ModelError) as caught,
    ):
        encoder.encode_documents(texts, heads=("dense",))
    assert "secret-key" not in held_by(caught.value)


@pytest.mark.usefixtures("clock")
def test_no_error_of_the_connection_holds_the_key():
    nowhere = connect("http://127.0.0.1:9", options=SELDOM, api_key="sk-secret-key-1")
    with closing(nowhere) as encoder, pytest.raises(ModelUnavailableError) as caught:
        encoder.encode_documents(["a"], heads=("dense",))
    assert "secret-key" not in held_by(caught.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(letters, dense, status, loopback_server):
    url = loopback_server.url_for("/v1/embeddings").replace("127.0.0.1", "localhost")
    letters.redirect(url, status)
    with pytest.raises(ModelError, match=r"redirects to localhost .*give its address"):
        dense.encode_documents(["a"], heads=("dense",))
    assert len(letters.requests) == 1


def test_a_packed_answer_is_unpacked_up_to_a_limit(letters, dense, monkeypatch):
    found = dense.encode_queries(["a"], heads=("dense",))
    answer = {"data": [{"index": 0, "embedding": found[0].dense.tolist()}]}
    letters.answer_packed(gzip.compress(json.dumps(answer).encode()))
    again = dense.encode_queries(["a"], heads=("dense",))
    assert again[0].dense == pytest.approx(found[0].dense)
    assert letters.requests[0][2]["Accept-Encoding"] == "identity"
    monkeypatch.setattr("trivec.encoders.remote.calls.LARGEST_ANSWER", 2**20)
    letters.answer_packed(gzip.compress(b" " * 2**26))
    with pytest.raises(ModelError, match="too large"):
        dense.encode_queries(["a"], heads=("dense",))


@pytest.mark.parametrize(
    ("url", "warns"),
    [
        ("http://models.example/v1", True),
        ("https://models.example/v1", False),
        ("http://127.0.0.1:9/v1", False),
        ("http://localhost:9", False),
    ],
)
def test_a_key_over_plain_http_is_warned_of(url, warns, caplog):
    with caplog.at_level(logging.WARNING, logger="trivec"):
        connect(url, api_key="sk-secret-key-1").close()
        connect(url).close()
    assert ["plain http" in each.message for each in caplog.records] == [True] * warns
    assert "secret-key" not in caplog.text
