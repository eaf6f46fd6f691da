"""Digests of large files are remembered, and never wrongly."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from trivec._runtime import cache as cache_module
from trivec._runtime.cache import cache_folder, combined_digest, file_digest
from trivec._runtime.lazy import Lazy


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIVEC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def readings(monkeypatch):
    """Count how often a file is read through."""
    counted = []
    real = hashlib.file_digest

    def counting(stream, name):
        counted.append(stream.name)
        return real(stream, name)

    monkeypatch.setattr(hashlib, "file_digest", counting)
    return counted


def test_digest_is_sha256(file):
    assert file_digest(file) == hashlib.sha256(b"weights").hexdigest()


def test_second_time_reads_nothing(file, readings):
    assert file_digest(file) == file_digest(file)
    assert len(readings) == 1


def test_changed_file_is_read_again(file, readings):
    before = file_digest(file)
    file.write_bytes(b"Weights")
    os.utime(file, ns=(1, 1))  # same size: the time tells
    assert file_digest(file) != before
    assert len(readings) == 2


@pytest.mark.skipif(os.name != "posix", reason="the time of change is another's there")
def test_a_time_that_was_set_back_does_not_hide_a_change(file, readings):
    before, status = file_digest(file), file.stat()
    file.write_bytes(b"Weights")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file_digest(file) == hashlib.sha256(b"Weights").hexdigest() != before
    assert len(readings) == 2


def test_an_entry_of_an_older_trivec_is_read_again(file, cache, readings):
    status = file.stat()
    cache.mkdir()
    old = {str(file.resolve()): [status.st_size, status.st_mtime_ns, "0" * 64]}
    (cache / "sha256.json").write_text(json.dumps(old))
    assert file_digest(file) == hashlib.sha256(b"weights").hexdigest()
    assert len(readings) == 1


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"a": 1}', b"\xff\xfe", b"null"])
def test_damaged_cache_is_written_anew(file, cache, readings, damage):
    expected = file_digest(file)
    (cache / "sha256.json").write_bytes(damage)
    assert file_digest(file) == expected
    assert file_digest(file) == expected
    assert len(readings) == 2


def test_damaged_entry_is_ignored(file, cache):
    expected = file_digest(file)
    index = cache / "sha256.json"
    index.write_text(json.dumps(dict.fromkeys(json.loads(index.read_text()), "nonsense")))
    assert file_digest(file) == expected


def test_cache_that_cannot_be_written_only_costs_time(file, tmp_path, monkeypatch, caplog):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("TRIVEC_CACHE_DIR", str(blocked))
    assert file_digest(file) == hashlib.sha256(b"weights").hexdigest()
    assert "cannot remember" in caplog.text


def test_failed_write_leaves_no_litter(cache, monkeypatch):
    cache.mkdir()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(json, "dump", fail)
    with pytest.raises(OSError, match="disk full"):
        cache_module.write_index(cache / "sha256.json", {})
    assert list(cache.iterdir()) == []


def test_combined_digest_depends_on_names_and_order(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    digests = {combined_digest([one, two]), combined_digest([two, one]), combined_digest([one])}
    assert len(digests) == 3


def test_cache_folder_of_the_platform(monkeypatch):
    monkeypatch.delenv("TRIVEC_CACHE_DIR")
    assert cache_folder().name == "trivec"


def test_lazy_failure_is_tried_again():
    attempts = []

    def make():
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("not yet")
        return "made"

    value = Lazy(make)
    with pytest.raises(ValueError, match="not yet"):
        value()
    assert not value.ready
    assert value() == value() == "made"
    assert len(attempts) == 2
