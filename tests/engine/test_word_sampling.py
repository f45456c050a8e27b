"""Drawing tokens: the quick nucleus against that of transformers, settings out of range."""

import pytest
import torch
from transformers.generation.logits_process import TopPLogitsWarper

from hallulab.engine.word_sampling import GenerationSettings, QuickTopP
from hallulab.errors import RefusedInputError


@pytest.mark.parametrize("top_p", [0.01, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(("n_tokens", "spread"), [(300, 0.1), (300, 4.0), (2048, 6.0), (40, 3.0)])
def test_the_nucleus_is_that_of_transformers(top_p: float, n_tokens: int, spread: float):
    logits = spread * torch.randn(50, n_tokens, generator=torch.Generator().manual_seed(0))
    no_ids = torch.empty(50, 0, dtype=torch.long)
    expected = TopPLogitsWarper(top_p)(no_ids, logits)  # type: ignore[arg-type]
    assert torch.equal(QuickTopP(top_p)(no_ids, logits), expected)
    assert bool(torch.isfinite(expected).any(-1).all())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_new_tokens": 0}, "expected max_new_tokens of at least 1, got 0"),
        ({"temperature": -0.1}, "expected temperature from 0 to 5, got -0.1"),
        ({"temperature": float("nan")}, "expected temperature from 0 to 5, got nan"),
        ({"top_p": 0}, "expected top_p above 0 and at most 1, got 0"),
        ({"top_k": -1}, "expected top_k of at least 0, got -1"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict, words: str):
    with pytest.raises(RefusedInputError, match=words):
        GenerationSettings(**changes)
