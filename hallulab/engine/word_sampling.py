"""How the next token of an answer is drawn from the logits: one random number a token, whatever the batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.generation.logits_process import (
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from hallulab.errors import RefusedInputError


@dataclass(frozen=True)
class GenerationSettings:
    """How an answer is drawn from the model."""

    max_new_tokens: int = 40
    """Longest answer, in tokens, end token included."""
    temperature: float = 1.0
    """0 always takes the most likely token; 1 draws from the model as it is."""
    top_p: float = 1.0
    """Only the most likely tokens with this much mass together, in (0, 1]."""
    top_k: int = 0
    """Only this many most likely tokens; 0 means all."""

    def __post_init__(self) -> None:
        checks = {
            "max_new_tokens of at least 1": self.max_new_tokens >= 1,
            "temperature from 0 to 5": 0 <= self.temperature <= 5,
            "top_p above 0 and at most 1": 0 < self.top_p <= 1,
            "top_k of at least 0": self.top_k >= 0,
        }
        for expected, holds in checks.items():
            if not holds:
                raise RefusedInputError(f"expected {expected}, got {getattr(self, expected.split()[0])}")

    def warpers(self) -> LogitsProcessorList:
        """The changes made to the logits before a token is drawn, in the order `transformers` makes them."""
        warpers = LogitsProcessorList()
        if self.temperature not in (0, 1):
            warpers.append(TemperatureLogitsWarper(float(self.temperature)))
        if self.top_k:
            warpers.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1:
            warpers.append(QuickTopP(self.top_p))
        return warpers


class QuickTopP(TopPLogitsWarper):
    """transformers' nucleus, found among the likeliest tokens alone where they hold it: no vocabulary is sorted."""

    tried = (8, 64)
    """numbers of likeliest tokens among which the nuclei of all rows are looked for, one after the other"""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores, shape (n, vocabulary), with −∞ outside the nucleus."""
        total = scores.logsumexp(-1, keepdim=True)
        for n_likeliest in (n for n in self.tried if n < scores.shape[-1]):
            likeliest = scores.topk(n_likeliest).values
            probabilities = (likeliest - total).exp()
            before = probabilities.cumsum(-1) - probabilities  # mass of the tokens that are likelier
            if bool((before[:, -1] >= self.top_p).all()):
                n_inside = (before < self.top_p).sum(-1, keepdim=True)
                least = likeliest.gather(-1, n_inside - 1)
                return scores.masked_fill(scores < least, self.filter_value)
        return super().__call__(input_ids, scores)  # type: ignore[arg-type]


class TokenDrawer:
    """Draws the next token of every growing answer, each with the random numbers of its own seed."""

    def __init__(self, seeds: Sequence[int], settings: GenerationSettings):
        self._n_drawn = 0
        self._uniform = torch.stack(
            [
                torch.rand(
                    settings.max_new_tokens,
                    generator=torch.Generator().manual_seed(seed),
                    dtype=torch.float64,
                )
                for seed in seeds
            ]
        )
        """One number in [0, 1) for every token of every sample, shape (n, tokens)."""
        self._is_greedy = settings.temperature == 0
        self._warpers = settings.warpers()

    def draw(
        self, logits: torch.Tensor, samples: list[int], forced: int | None = None
    ) -> list[tuple[int, float]]:
        """A token per row of logits (n, vocabulary), with its probability before any warping."""
        tokens = logits.argmax(-1) if self._is_greedy else self._sampled(logits, samples)
        if forced is not None:
            tokens = torch.full_like(tokens, forced)
        self._n_drawn += 1
        picked = logits.log_softmax(-1).gather(-1, tokens[:, None])[:, 0].exp()
        return list(zip(tokens.tolist(), picked.tolist(), strict=True))

    def _sampled(self, logits: torch.Tensor, samples: list[int]) -> torch.Tensor:
        # the inverse of the cumulative distribution: one uniform number a token, whatever the batch
        no_ids: Any = torch.empty(len(logits), 0, dtype=torch.long, device=logits.device)
        dtype = torch.float32 if logits.device.type == "mps" else torch.float64
        cumulative = self._warpers(no_ids, logits).to(dtype).softmax(-1).cumsum(-1)
        uniform = self._uniform[samples, self._n_drawn, None].to(logits.device, dtype)
        tokens = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)[:, 0]
        return tokens.clamp(max=logits.shape[-1] - 1)
