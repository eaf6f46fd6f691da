"""Packed linear layers compute what torch's own do, and are taken only where they are faster."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from trivec._models import torch_linear  # noqa: E402  # after the check for torch


class Subclass(torch.nn.Linear):
    """Stands for a layer that computes something else than its base, such as LoRA's."""


@pytest.fixture
def faster(monkeypatch):
    if not torch_linear._has_onednn():
        pytest.skip("this build of torch has no oneDNN")
    monkeypatch.setattr(torch_linear, "_is_faster", lambda *_: True)


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(24, 48), torch.nn.GELU(), torch.nn.Linear(48, 1, bias=False)
    )


@pytest.mark.usefixtures("faster")
@pytest.mark.parametrize("shape", [(1, 24), (7, 24), (2, 5, 24), (1, 3000, 24), (0, 24)])
def test_results_are_the_same(shape):
    rows = torch.randn(shape)
    with torch.inference_mode():
        expected = model()(rows)
        packed = model()
        assert torch_linear.pack_linears(packed) == 2
        torch.testing.assert_close(packed(rows), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("faster")
def test_rows_that_are_not_contiguous():
    rows = torch.randn(24, 6).t()
    with torch.inference_mode():
        expected = model()(rows)
        packed = model()
        torch_linear.pack_linears(packed)
        torch.testing.assert_close(packed(rows), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("faster")
def test_the_plain_weights_are_let_go():
    packed = model()
    torch_linear.pack_linears(packed)
    assert list(packed.parameters()) == []


@pytest.mark.usefixtures("faster")
@pytest.mark.parametrize(
    "layer",
    [Subclass(4, 4), torch.nn.Linear(4, 4).bfloat16(), torch.nn.Linear(4, 4, device="meta")],
    ids=["subclass", "bf16", "another device"],
)
def test_other_layers_are_left_alone(layer):
    module = torch.nn.Sequential(layer)
    assert torch_linear.pack_linears(module) == 0
    assert module[0] is layer


def test_nothing_is_packed_where_it_is_slower(monkeypatch):
    monkeypatch.setattr(torch_linear, "_microseconds", lambda *_: 1.0)
    torch_linear._is_faster.cache_clear()
    module = model()
    try:
        assert torch_linear.pack_linears(module) == 0
    finally:
        torch_linear._is_faster.cache_clear()
    assert isinstance(module[0], torch.nn.Linear)


def test_nothing_is_packed_without_the_operators(monkeypatch):
    monkeypatch.setattr(torch_linear, "_has_onednn", lambda: False)
    assert torch_linear.pack_linears(model()) == 0
