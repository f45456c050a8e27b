"""The transformer that learns to count heads (Section 7.1 of [LHZSL])."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

CoinTokens = Literal["coin", "vector"]


@dataclass(frozen=True)
class CoinTransformerSettings:
    """Shape of the network; the defaults are the paper's."""

    n_layers: int = 8
    width: int = 64
    feed_forward_width: int = 256
    n_heads: int = 8
    dropout: float = 0.0
    """share of activations dropped in training"""
    tokens: CoinTokens = "coin"
    """`coin`: one embedded token per coin. `vector`: all labels as one real vector in a single token, as in
    the public code, so that attention sees a sequence of length 1"""
    n_outputs: int = 1
    """1 predicts the number of heads; N + 1 gives a logit to every possible number"""


class CoinTransformer(nn.Module):
    """Labels of the drawn coins → predicted number of heads, or a logit for each."""

    def __init__(self, coins_per_draw: int, settings: CoinTransformerSettings):
        super().__init__()
        self.settings = settings
        if settings.tokens == "coin":
            self.embed = nn.Embedding(2 * coins_per_draw, settings.width)
        else:
            self.embed = nn.Linear(coins_per_draw, settings.width)
        self.layers = nn.ModuleList(_Layer(settings) for _ in range(settings.n_layers))
        self.head = nn.Linear(settings.width, settings.n_outputs)

    def forward(self, labels: Tensor, *, dropout_generator: torch.Generator | None = None) -> Tensor:
        """What the network says about each draw.

        Args:
            labels: shape (n, N), whole numbers.
            dropout_generator: source of the dropout masks; without one nothing is dropped.

        Returns: shape (n, n_outputs).
        """
        # (n, N) labels, or (n, 1, N) with the labels as one real vector → (n, n_tokens, width)
        x = self.embed(labels.long() if self.settings.tokens == "coin" else labels.float().unsqueeze(1))
        for layer in self.layers:
            x = layer(x, dropout_generator)
        # no positions, and a mean at the end: the order of the coins carries nothing
        return self.head(x.mean(dim=1))


class _Layer(nn.Module):
    """Self-attention and feed-forward, each normalised after its residual, as torch's encoder layer does.

    Written out because torch's own layer draws its dropout from the global generator.
    """

    def __init__(self, settings: CoinTransformerSettings):
        super().__init__()
        width = settings.width
        self.n_heads = settings.n_heads
        self.dropout = settings.dropout
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, settings.feed_forward_width)
        self.narrow = nn.Linear(settings.feed_forward_width, width)
        self.feed_forward_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Shape (n, n_tokens, width) in and out."""
        x = self.attention_norm(x + self._drop(self._attend(x, generator), generator))
        hidden = self._drop(torch.relu(self.widen(x)), generator)
        return self.feed_forward_norm(x + self._drop(self.narrow(hidden), generator))

    def _attend(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        n, n_tokens, width = x.shape
        shape = (n, n_tokens, 3, self.n_heads, width // self.n_heads)
        query, key, value = (
            self.query_key_value(x).view(shape).permute(2, 0, 3, 1, 4)
        )  # each (n, heads, tokens, ·)
        scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        mixed = self._drop(scores.softmax(dim=-1), generator) @ value
        return self.attention_out(mixed.transpose(1, 2).reshape(n, n_tokens, width))

    def _drop(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        if generator is None or self.dropout == 0:
            return x
        keep = torch.rand(x.shape, generator=generator, device=x.device) >= self.dropout
        return x * keep / (1 - self.dropout)


def build_coin_transformer(
    coins_per_draw: int, settings: CoinTransformerSettings, *, seed: int
) -> CoinTransformer:
    """A freshly initialised network; the same seed gives the same weights, and no global generator moves."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CoinTransformer(coins_per_draw, settings)
