"""What a RemoteEncoder is and refuses before it has asked any server: no socket is open here."""

from __future__ import annotations

import subprocess
import sys

import pytest

from trivec.encoders import RemoteEncoder, RemoteOptions
from trivec.encoders.remote.calls import addresses
from trivec.errors import InputError
from trivec.protocols import Encoder
from trivec.types import EncoderInfo

INFO = EncoderInfo("BAAI/bge-m3", "f00", 1024, colbert_dim=1024, tokenizer="t")


def test_info_needs_no_server():
    encoder = RemoteEncoder({"dense": "http://a", "sparse": "http://b"}, INFO)
    assert isinstance(encoder, Encoder)
    assert encoder.info.heads == ("dense", "sparse")
    assert encoder.info.weights == "f00"
    assert repr(encoder) == (
        "RemoteEncoder({'dense': 'http://a/v1', 'sparse': 'http://b/v1'}, model='BAAI/bge-m3')"
    )


def test_a_model_with_a_name_alone():
    info = RemoteEncoder.named("https://api.example/v1", "emb-3", dense_dim=8, max_length=99).info
    assert (info.model, info.weights, info.dense_dim) == ("emb-3", "served as emb-3", 8)
    assert (info.heads, info.max_length, info.tokenizer) == (("dense",), 99, None)


def test_nothing_for_nothing_and_bad_arguments_ask_no_server():
    encoder = RemoteEncoder("http://a", INFO)
    assert encoder.encode_documents([], heads=("dense",)) == []
    with pytest.raises(InputError, match="list of texts"):
        encoder.encode_queries("text")
    with pytest.raises(InputError, match="heads"):
        encoder.encode_queries(["text"], heads=("bm25",))
    encoder.close()  # of a client that was never made


@pytest.mark.parametrize(
    ("url", "versioned", "root"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1", "http://localhost:8000"),
        ("http://localhost:8000/v1/", "http://localhost:8000/v1", "http://localhost:8000"),
        ("https://h/paas/v4", "https://h/paas/v4", "https://h/paas/v4"),
        ("https://h/proxy/vllm/v1", "https://h/proxy/vllm/v1", "https://h/proxy/vllm"),
    ],
)
def test_addresses(url, versioned, root):
    assert addresses(url) == (versioned, root)


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://h/v1", "http://", "http:///v1", "file:///etc"]
)
def test_no_address(url):
    with pytest.raises(InputError, match="is not an address"):
        RemoteEncoder({"dense": url}, INFO)


@pytest.mark.parametrize("url", ["http://user:sk-1@h/v1", "http://h/v1?key=sk-1"])
def test_a_key_in_the_address_is_refused_and_not_repeated(url):
    with pytest.raises(InputError, match="api_key") as caught:
        RemoteEncoder(url, INFO)
    assert "sk-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("urls", "message"),
    [({}, r"urls for \[\]"), ({"bm25": "http://h"}, "dense or sparse or colbert")],
)
def test_heads_without_sense(urls, message):
    with pytest.raises(InputError, match=message):
        RemoteEncoder(urls, INFO)


def test_colbert_needs_its_width():
    with pytest.raises(InputError, match="colbert_dim"):
        RemoteEncoder.named({"colbert": "http://h"}, "m", dense_dim=4)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"max_batch_tokens": 0},
        {"concurrency": 0},
        {"query_max_length": 2},
        {"timeout": 0},
        {"deadline": -1.0},
        {"longest_wait": float("nan")},
        {"number_format": "bytes"},
        {"special_tokens": {"cls": 0}},
    ],
)
def test_bad_options(options):
    with pytest.raises(InputError, match=next(iter(options))):
        RemoteOptions(**options)


def test_constructing_loads_no_client():
    program = (
        "import sys; from trivec.encoders.remote.encoder import RemoteEncoder;"
        "RemoteEncoder.named({'dense': 'http://h', 'sparse': 'http://h'}, 'm', dense_dim=4);"
        "heavy = ('httpx', 'tenacity', 'tokenizers', 'torch');"
        "print([name for name in heavy if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
