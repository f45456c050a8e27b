"""Matrix products in float32 on a CPU, by the kernels that are quickest for their size."""

import contextlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import torch

MIN_MULTIPLY_ADDS_FOR_ONEDNN = 1_200_000
"""smaller products are sooner done by torch's default, whatever their shape: oneDNN takes 10 µs to prepare any"""
DEFAULT, ONEDNN = "none", "bf16"
"""whose kernels multiply, as torch calls them"""
ATTENTION = "sdpa_by_default_products"
"""the attention of `use_default_products_in_attention`, as transformers calls it"""

_matmul = torch.backends.mkldnn.matmul  # pyright: ignore[reportAttributeAccessIssue]


def use_products_for(n_multiply_adds: int) -> bool:
    """Have what is multiplied next done by the kernels that are quickest for so many multiply-adds at once.

    For hot loops: within `products_put_back`, which `products_for` also is. Returns whether these are oneDNN's.
    """
    is_onednn = n_multiply_adds >= MIN_MULTIPLY_ADDS_FOR_ONEDNN and _onednn_keeps_float32()
    _matmul.fp32_precision = ONEDNN if is_onednn else DEFAULT
    return is_onednn


@contextlib.contextmanager
def products_for(n_multiply_adds: int) -> Iterator[None]:
    """Products by the kernels that are quickest for so many multiply-adds at once, and as before afterwards.

    oneDNN is about twice as quick as torch's default on CPUs with AVX-512. torch takes its kernels only when bfloat16
    is allowed. Without AMX there is no bfloat16 kernel to allow, and they compute in float32; with AMX they would
    round, so there the default stays.
    """
    with products_put_back():
        use_products_for(n_multiply_adds)
        yield


@contextlib.contextmanager
def products_put_back() -> Iterator[None]:
    """Whose kernels multiply is afterwards as it was."""
    before = _matmul.fp32_precision
    try:
        yield
    finally:
        _matmul.fp32_precision = before


def use_default_products_in_attention(model: Any) -> None:
    """Let a `transformers` model multiply the small matrices inside its attention as torch does by default.

    They are many and tiny, one per sequence and head: oneDNN takes several times as long to prepare them.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    if model.config._attn_implementation != "sdpa":  # a person's own choice stays
        return
    AttentionInterface.register(ATTENTION, _attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    model.set_attn_implementation(ATTENTION)


def _attention(*args: Any, **kwargs: Any) -> Any:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    with products_for(0):
        return sdpa_attention_forward(*args, **kwargs)


@lru_cache(maxsize=1)
def _onednn_keeps_float32() -> bool:
    features = torch.cpu.get_capabilities()
    return bool(features.get("avx512_bf16") and not features.get("amx_bf16"))
