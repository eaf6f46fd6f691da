"""Copies of encoders and rerankers, and what becomes of them in other processes."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle

import httpx
import numpy as np
import pytest

from trivec.encoders import FlagEncoder, FlagOptions, MemoEncoder, OnnxEncoder, RemoteEncoder
from trivec.errors import InputError, ModelError
from trivec.loading import load_reranker
from trivec.mini import MiniEncoder, MiniReranker
from trivec.rerankers import FlagReranker, FlagRerankerOptions, MaxSimReranker, OnnxReranker
from trivec.testing import FakeEncoder

TEXTS = ["one text", "another, which is longer", "第三个"]


def pickled(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301  # our own


COPIERS = {"pickle": pickled, "deepcopy": copy.deepcopy}
each_copier = pytest.mark.parametrize("copied", COPIERS.values(), ids=COPIERS)
SECONDS = 60


@pytest.fixture(scope="module")
def encoders(tiny_m3, exported_m3):
    return {
        "fake": FakeEncoder(),
        "flag": FlagEncoder(tiny_m3),
        "memo": MemoEncoder(FlagEncoder(tiny_m3)),
        "onnx": OnnxEncoder(exported_m3),
    }


def vectors(encoder):
    heads = ("dense", "sparse")
    return [
        (encoding.dense.tolist(), encoding.sparse.to_mapping())
        for encode in (encoder.encode_documents, encoder.encode_queries)
        for encoding in encode(TEXTS, heads=heads)
    ]


@each_copier
@pytest.mark.parametrize("kind", ["fake", "flag", "memo", "onnx"])
@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
def test_an_encoders_copy_gives_the_same_vectors(encoders, kind, copied, used):
    encoder = encoders[kind]
    if used:
        encoder.encode_documents(["before"])
    twin = copied(encoder)
    assert type(twin) is type(encoder)
    assert twin.info == encoder.info
    assert vectors(twin) == vectors(encoder)


@each_copier
def test_a_rerankers_copy_gives_the_same_scores(tiny_reranker, copied):
    for reranker in (FlagReranker(tiny_reranker), MaxSimReranker(FakeEncoder())):
        before = reranker.score("a query", TEXTS)
        assert copied(reranker).score("a query", TEXTS) == before


@each_copier
def test_what_loads_nothing_is_copied_without_loading(copied):
    for model in (MiniEncoder(), MiniReranker(), OnnxEncoder("nowhere"), OnnxReranker("nowhere")):
        assert type(copied(model)) is type(model)


def served(request: httpx.Request) -> httpx.Response:
    assert request.headers["Authorization"] == "Bearer k-1"
    return httpx.Response(200, json={"data": [{"index": 0, "embedding": [3.0, 4.0]}]})


def remote(client=None):
    return RemoteEncoder.named(
        "http://localhost/v1", "m", dense_dim=2, api_key="k-1", client=client
    )


def test_a_remote_encoders_copy_knows_its_servers_and_keeps_the_key_to_itself():
    encoder = pickled(remote())
    assert encoder.info == remote().info
    assert "k-1" not in repr(encoder) + repr(vars(encoder))
    with httpx.Client(transport=httpx.MockTransport(served)) as client:
        twin = copy.deepcopy(remote(client))
        [encoding] = twin.encode_documents(["x"], heads=("dense",))
    assert encoding.dense.tolist() == pytest.approx([0.6, 0.8])
    with pytest.raises(TypeError, match="leave client out"):
        pickle.dumps(remote(httpx.Client()))


def in_child(work, *arguments):
    """Return what ``work`` gives in a forked process, or None where it hangs."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    process = os.fork()
    if process == 0:
        try:
            writer.send(work(*arguments))
        finally:
            os._exit(0)
    try:
        return reader.recv() if reader.poll(SECONDS) else None
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
@pytest.mark.parametrize("kind", ["fake", "flag", "memo", "onnx"])
def test_an_encoder_works_in_a_forked_process(encoders, kind):
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # whose second is not there in the child
    try:
        encoder = encoders[kind]
        before = vectors(encoder)
        after = in_child(vectors, encoder)
    finally:
        torch.set_num_threads(threads)
    assert after is not None, "the child hung, or failed"
    for (dense, sparse), (expected, weights) in zip(after, before, strict=True):
        np.testing.assert_allclose(dense, expected, atol=1e-6)
        assert sparse == pytest.approx(weights, abs=1e-6)


@pytest.mark.parametrize(
    ("device", "error"),
    [("cuda", ModelError), ("mps", ModelError), ("gpu", InputError), ("cuda:7", ModelError)],
)
def test_a_device_that_is_not_there(tiny_m3, tiny_reranker, device, error):
    """One that PyTorch does not know at all is a slip of the caller's."""
    encoder = FlagEncoder(tiny_m3, options=FlagOptions(device=device))
    with pytest.raises(error, match=f"device='{device}'.*this machine has cpu"):
        encoder.encode_queries(["x"])
    reranker = FlagReranker(tiny_reranker, options=FlagRerankerOptions(device=device))
    with pytest.raises(error, match=f"device='{device}'.*this machine has cpu"):
        reranker.score("x", ["y"])


@pytest.mark.model
def test_a_device_that_is_not_there_for_mini():
    reranker = load_reranker("mini", device="cuda")
    with pytest.raises(ModelError, match=r"provider='CUDAExecutionProvider'; this onnxruntime has"):
        reranker.score("x", ["y"])


def test_a_memo_takes_no_text_for_a_list():
    with pytest.raises(InputError, match="allowed: a list of texts"):
        MemoEncoder(FakeEncoder()).encode_documents("one text")
