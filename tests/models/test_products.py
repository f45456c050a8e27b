"""Products by other kernels: still float32, quick ones for large matrices only, torch's own inside attention."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hallulab.models import products
from hallulab.models.products import (
    ATTENTION,
    DEFAULT,
    MIN_MULTIPLY_ADDS_FOR_ONEDNN,
    ONEDNN,
    products_for,
    products_put_back,
    use_products_for,
)
from hallulab.models.qwen import load_qwen
from tests.tiny_world import write_words

SETTING = torch.backends.mkldnn.matmul  # pyright: ignore[reportAttributeAccessIssue]


def test_products_stay_float32_and_the_setting_is_put_back():
    a, b = torch.randn(2, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before = SETTING.fp32_precision
    with products_for(MIN_MULTIPLY_ADDS_FOR_ONEDNN):
        # bfloat16 products would be off by about 1e-1 here
        assert (a.float() @ b.float() - (a @ b)).abs().max() < 1e-4
    assert SETTING.fp32_precision == before


@pytest.mark.parametrize(
    ("features", "is_onednn"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": True, "amx_bf16": True}, False),  # would round to bfloat16
        ({}, False),
    ],
)
def test_large_products_go_to_onednn_where_it_keeps_float32(monkeypatch, features, is_onednn):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    products._onednn_keeps_float32.cache_clear()
    try:
        with products_put_back():
            for n, expected in (
                (MIN_MULTIPLY_ADDS_FOR_ONEDNN - 1, False),
                (MIN_MULTIPLY_ADDS_FOR_ONEDNN, is_onednn),
            ):
                assert use_products_for(n) == expected
                assert SETTING.fp32_precision == (ONEDNN if expected else DEFAULT)
    finally:
        products._onednn_keeps_float32.cache_clear()


def test_attention_computes_as_ever_and_by_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_words(tmp_path)
    model = load_qwen(tmp_path / "qwen-tiny", dtype=torch.float32, device="cpu").model
    assert model.config._attn_implementation == ATTENTION
    ids, mask = torch.randint(5, 200, (8, 30)), torch.ones(8, 30, dtype=torch.long)
    mask[:3, :7] = 0
    seen = []
    sdpa = torch.nn.functional.scaled_dot_product_attention

    def watched(*args: Any, **kwargs: Any) -> torch.Tensor:
        seen.append(SETTING.fp32_precision)
        return sdpa(*args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watched)
    with torch.inference_mode():
        with products_for(MIN_MULTIPLY_ADDS_FOR_ONEDNN):
            ours = model(input_ids=ids, attention_mask=mask).logits
        assert set(seen) == {DEFAULT}
        model.set_attn_implementation("sdpa")
        expected = model(input_ids=ids, attention_mask=mask).logits
    assert torch.allclose(ours[mask.bool()], expected[mask.bool()], atol=1e-5)


def test_an_attention_that_somebody_chose_stays(tmp_path: Path):
    write_words(tmp_path)
    model = load_qwen(tmp_path / "qwen-tiny", dtype=torch.float32, device="cpu").model
    model.set_attn_implementation("eager")
    products.use_default_products_in_attention(model)
    assert model.config._attn_implementation == "eager"
