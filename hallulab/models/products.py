"""Matrix products in float32 on a CPU, by the kernels that are quickest for their size."""

import contextlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import torch

MIN_ROWS_FOR_ONEDNN = 100
"""matrices with fewer rows are multiplied sooner by torch's default, which has less to prepare"""
ATTENTION = "sdpa_by_default_products"
"""the attention of `use_default_products_in_attention`, as transformers calls it"""

# the setting that decides whose kernels multiply
_matmul = torch.backends.mkldnn.matmul  # pyright: ignore[reportAttributeAccessIssue]


def float32_products_for(n_rows: int) -> contextlib.AbstractContextManager[None]:
    """Products by the kernels that are quickest for matrices of `n_rows` rows."""
    return contextlib.nullcontext() if n_rows < MIN_ROWS_FOR_ONEDNN else quick_float32_products()


@contextlib.contextmanager
def quick_float32_products() -> Iterator[None]:
    """Products by oneDNN where that keeps float32 exact: on CPUs with AVX-512 it is about twice as quick.

    torch takes oneDNN's kernels only when bfloat16 is allowed; without AMX there is no bfloat16 kernel to allow, and
    they compute in float32. With AMX they would round, so there the default stays.
    """
    with _products("bf16" if _onednn_keeps_float32() else _matmul.fp32_precision):
        yield


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

    with _products("none"):
        return sdpa_attention_forward(*args, **kwargs)


@contextlib.contextmanager
def _products(precision: str) -> Iterator[None]:
    before = _matmul.fp32_precision
    _matmul.fp32_precision = precision
    try:
        yield
    finally:
        _matmul.fp32_precision = before


@lru_cache(maxsize=1)
def _onednn_keeps_float32() -> bool:
    features = torch.cpu.get_capabilities()
    return bool(features.get("avx512_bf16") and not features.get("amx_bf16"))
