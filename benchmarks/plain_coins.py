"""The coin experiment as a plain loop: what a careful reader of [LHZSL] 7.1 writes from torch's own parts.

Rounds one after another, held-out rows one at a time, the pmf in Python loops. `hallulab` is timed against it, and the
tests hold the two against each other; so it shares the flips and the choices of a variant with hallulab, no more.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from hallulab.data.coins import CoinFlips, flip_draws
from hallulab.experiments.coin_settings import CoinSettings, VariantChoices


@dataclass(frozen=True)
class PlainScores:
    """What the network says about the held-out flips."""

    validation_loss: float
    """mean squared error of the unrounded predictions"""
    conditional_probability: float
    """mean probability of exactly the answered number of heads, under the variant's law"""
    hallucination_rate: float
    """share of the answers whose probability, under the law that made the flips, is at most δ"""


@dataclass(frozen=True)
class PlainEpoch:
    """One epoch of one round."""

    seed: int
    epoch: int
    train_loss: float
    """mean squared error of the epoch's batches"""
    scores: PlainScores
    training_s: float
    evaluation_s: float


class PlainNetwork(nn.Module):
    """Labels of the drawn coins, shape (n, N) → predicted number of heads, shape (n,)."""

    def __init__(self, coins_per_draw: int, choices: VariantChoices):
        super().__init__()
        self.one_token_per_coin = choices.tokens == "coin"
        if self.one_token_per_coin:
            self.embed = nn.Embedding(2 * coins_per_draw, 64)
        else:
            self.embed = nn.Linear(coins_per_draw, 64)
        layer = nn.TransformerEncoderLayer(64, 8, 256, choices.dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 8, enable_nested_tensor=False)
        self.head = nn.Linear(64, 1)

    def forward(self, labels: Tensor) -> Tensor:
        tokens = labels if self.one_token_per_coin else labels.float().unsqueeze(1)
        return self.head(self.encoder(self.embed(tokens)).mean(dim=1)).squeeze(-1)


def plain_rounds(settings: CoinSettings) -> Iterator[PlainEpoch]:
    """Train and evaluate every round, one after the other."""
    for seed in settings.seeds:
        yield from plain_round(settings, seed)


def plain_round(settings: CoinSettings, seed: int) -> Iterator[PlainEpoch]:
    """Train one network, evaluated after each epoch, on the flips that hallulab's round of this seed has."""
    train, held_out = plain_data(settings, seed)
    torch.manual_seed(seed)
    network = PlainNetwork(settings.coins_per_draw, settings.choices)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    batches = DataLoader(train, batch_size=settings.batch_size, shuffle=True)
    for epoch in range(1, settings.epochs + 1):
        started = time.perf_counter()
        loss_sum = 0.0
        network.train()
        for labels, heads in batches:
            loss = nn.functional.mse_loss(network(labels), heads)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss_sum += loss.item() * len(labels)
        trained = time.perf_counter()
        scores = plain_evaluation(network, held_out, settings)
        evaluated = time.perf_counter()
        yield PlainEpoch(seed, epoch, loss_sum / len(train), scores, trained - started, evaluated - trained)


def plain_evaluation(network: PlainNetwork, held_out: TensorDataset, settings: CoinSettings) -> PlainScores:
    """Score the network on the held-out flips, one at a time; ValueError where settings have no δ."""
    if settings.delta is None:
        raise ValueError("the plain loop decides by a δ, got None: choose one")
    n_coins, choices = 2 * settings.coins_per_draw, settings.choices
    squared_errors, probabilities, n_outside = 0.0, 0.0, 0
    network.eval()
    with torch.no_grad():
        for labels, heads in zip(*held_out.tensors, strict=True):
            predicted = network(labels.unsqueeze(0)).item()
            answer = math.ceil(predicted) if choices.rounding == "ceil" else round(predicted)
            coins = labels.tolist()
            pmf = poisson_binomial([(label + 1) / n_coins for label in coins])
            probability = probability_of(answer, pmf)
            # one part in 10⁹: an answer whose probability is δ hallucinates, however the pmf was rounded
            n_outside += probability <= settings.delta * (1 + 1e-9)
            if choices.law == "shifted":
                probability = probability_of(answer, poisson_binomial([label / n_coins for label in coins]))
            probabilities += probability
            squared_errors += (predicted - heads.item()) ** 2
    n = len(held_out)
    return PlainScores(squared_errors / n, probabilities / n, n_outside / n)


def poisson_binomial(head_probabilities: Sequence[float]) -> list[float]:
    """Probability of 0 … N heads when each coin is flipped once."""
    pmf = [1.0] + [0.0] * len(head_probabilities)
    for n_flipped, p in enumerate(head_probabilities, start=1):
        for heads in range(n_flipped, 0, -1):
            pmf[heads] = pmf[heads] * (1 - p) + pmf[heads - 1] * p
        pmf[0] *= 1 - p
    return pmf


def probability_of(answer: int, pmf: Sequence[float]) -> float:
    """Probability of exactly `answer` heads; 0 where that many cannot come up."""
    return pmf[answer] if 0 <= answer < len(pmf) else 0.0


def plain_data(settings: CoinSettings, seed: int) -> tuple[TensorDataset, TensorDataset]:
    """Training and held-out (labels, heads) of a round: the very flips that hallulab's round of this seed has."""
    flips = flip_draws(settings.coins_per_draw, settings.flips, rng=np.random.default_rng([seed, 0]))
    train, held_out = flips.split(settings.held_out_share, rng=np.random.default_rng([seed, 1]))
    return _as_rows(train), _as_rows(held_out)


def _as_rows(flips: CoinFlips) -> TensorDataset:
    labels = torch.from_numpy(flips.draws[flips.draw_index].astype(np.int64))
    return TensorDataset(labels, torch.from_numpy(flips.heads).float())
