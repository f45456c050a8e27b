"""Rounds of a coin run, and the training of several as one ensemble for an epoch."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hallulab.data.coins import flip_draws
from hallulab.experiments.coin_events import CoinMoment
from hallulab.experiments.coin_judge import CoinJudge
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.models.coin_ensemble import CoinEnsemble, flat_weights
from hallulab.models.coin_transformer import CoinTransformerSettings, build_coin_transformer

SECONDS_PER_STEP_EVENT = 0.1
"""how often a stack tells how far its rounds are"""
MAX_DRAWS_SCORED_WITHIN_EPOCH = 1_000
"""with more draws to answer than this, networks are scored at the end of epochs only"""
SECONDS_PER_STATE = 10.0
"""how often a round hands out what it could go on from"""
TOKENS_PER_EVALUATION = 2_048
"""coins that each network sees at a time when it is scored; bounds the memory of a million flips"""


@dataclass(frozen=True)
class RoundState:
    """A round at the end of an epoch: what it takes to go on from there."""

    seed: int
    n_epochs: int
    """epochs behind it"""
    tensors: dict[str, Tensor]
    """weights, Adam's moments and steps, place in the dropout's random numbers"""


class CoinRound:
    """One round between two epochs: its network, optimiser state, flips and place in its random numbers."""

    def __init__(self, settings: CoinSettings, seed: int, device: torch.device | str):
        objective = OBJECTIVES[settings.objective]
        self.shape = CoinTransformerSettings(
            tokens=settings.choices.tokens,
            dropout=settings.choices.dropout,
            n_outputs=objective.n_outputs(settings.coins_per_draw),
        )
        network = build_coin_transformer(settings.coins_per_draw, self.shape, seed=seed)
        self.settings, self.seed = settings, seed
        self.weights = flat_weights(network).to(device)
        self.adam: dict[str, Tensor] = {}
        self.dropout = torch.Generator(device=device).manual_seed(seed) if self.shape.dropout else None
        self.rng = np.random.default_rng([seed, 1])
        flips = flip_draws(settings.coins_per_draw, settings.flips, rng=np.random.default_rng([seed, 0]))
        train, held_out = flips.split(settings.held_out_share, rng=self.rng)
        self.judge = CoinJudge(held_out, settings, seed)
        self.labels = train.draws
        # one number per flip, draw_index · (N + 1) + heads, so that shuffling needs no more memory
        self.flips = train.draw_index.astype(np.uint32) * np.uint32(settings.coins_per_draw + 1) + train.heads
        self.n_epochs = 0
        self.epoch = 0.0
        """epochs behind it, with fraction"""
        self.train_loss: float | None = None
        """mean over the epoch's batches so far"""
        self._state_given_at = time.monotonic()

    @property
    def n_bytes(self) -> int:
        """Of its flips and the draws it is asked for; all else is small."""
        return self.flips.nbytes + self.labels.nbytes + self.judge.labels.nbytes

    def due_state(self) -> RoundState | None:
        """What it takes to go on from here, if the last time is long enough ago."""
        if time.monotonic() - self._state_given_at < SECONDS_PER_STATE:
            return None
        self._state_given_at = time.monotonic()
        return self.state()

    def state(self) -> RoundState:
        """What it takes to go on from here."""
        tensors = {"weights": self.weights} | {f"adam.{name}": value for name, value in self.adam.items()}
        if self.dropout is not None:
            tensors["dropout"] = self.dropout.get_state()
        return RoundState(
            self.seed, self.n_epochs, {name: value.detach().cpu().clone() for name, value in tensors.items()}
        )

    def go_on_from(self, state: RoundState) -> None:
        """Be where `state` was taken; for a round that is not yet further."""
        device = self.weights.device
        self.weights = state.tensors["weights"].to(device)
        self.adam = {
            name.removeprefix("adam."): value.to(device)
            for name, value in state.tensors.items()
            if name.startswith("adam.")
        }
        if self.dropout is not None:
            self.dropout.set_state(state.tensors["dropout"])
        for _ in range(self.n_epochs, state.n_epochs):
            self.rng.shuffle(self.flips)
        self.n_epochs, self.epoch = state.n_epochs, float(state.n_epochs)

    def batch(self, rows: slice, n_counts: int) -> tuple[NDArray[np.integer], NDArray[np.float32]]:
        """Draws of a batch, shape (n, N), and how often each number of heads came up, shape (n, N + 1).

        Without dropout equal draws get equal outputs, so each distinct draw stands once.
        """
        if self.shape.dropout:
            draws, heads = np.divmod(self.flips[rows], n_counts)
            return self.labels[draws], np.eye(n_counts, dtype=np.float32)[heads]
        flips, times = np.unique(self.flips[rows], return_counts=True)
        draws, heads = np.divmod(flips, n_counts)
        distinct, row_of = np.unique(draws, return_inverse=True)
        table = np.zeros((len(distinct), n_counts), dtype=np.float32)
        table[row_of, heads] = times
        return self.labels[distinct], table


def train_epoch(rounds: Sequence[CoinRound], settings: CoinSettings) -> Iterator[CoinMoment | None]:
    """One epoch of several rounds as one ensemble; a None now and then says that it goes on.

    Args:
        rounds: perhaps at different epochs; each is left as it is after its next one.
        settings: the run.
    """
    stack = _Stack(rounds, settings)
    yield from stack.moments([each for each in rounds if each.n_epochs == 0])
    for each in rounds:
        each.rng.shuffle(each.flips)
    n_flips = len(rounds[0].flips)
    n_batches = -(-n_flips // settings.batch_size)
    scored = stack.scored_batches(n_batches)
    loss_sums, n_seen, told_at = 0.0, 0, time.monotonic()
    for batch in range(1, n_batches + 1):
        n = min(settings.batch_size, n_flips - n_seen)
        loss_sums, n_seen = loss_sums + stack.step(slice(n_seen, n_seen + n)) * n, n_seen + n
        is_due = time.monotonic() - told_at >= SECONDS_PER_STEP_EVENT
        if not (is_due or batch in scored or batch == n_batches):
            continue
        for each, loss in zip(rounds, (loss_sums / n_seen).tolist(), strict=True):
            each.epoch, each.train_loss = each.n_epochs + batch / n_batches, loss
        if batch in scored:
            yield from stack.moments(rounds)
        else:
            yield None
            told_at = time.monotonic()
    for each in rounds:
        each.n_epochs += 1
    yield from stack.moments(rounds)


class _Stack:
    """Rounds whose networks are one ensemble for an epoch."""

    def __init__(self, rounds: Sequence[CoinRound], settings: CoinSettings):
        self.rounds, self.settings = rounds, settings
        self.objective = OBJECTIVES[settings.objective]
        self.ensemble = CoinEnsemble(
            settings.coins_per_draw, rounds[0].shape, torch.stack([each.weights for each in rounds])
        )
        for each, row, gradient in zip(rounds, self.ensemble.weights, self.ensemble.gradients, strict=True):
            each.weights, each.weights.grad = row, gradient
        self.optimiser = torch.optim.Adam(
            [each.weights for each in rounds], lr=settings.learning_rate, fused=True
        )
        for each in rounds:
            if each.adam:
                self.optimiser.state[each.weights] = each.adam
            each.adam = self.optimiser.state[each.weights]

    def step(self, rows: slice) -> Tensor:
        """One step of every network on its own flips; the mean loss of each, shape (n_rounds,)."""
        n = self.settings.coins_per_draw
        batches = [each.batch(rows, n + 1) for each in self.rounds]
        tables = _stacked([table for _, table in batches]).to(self.ensemble.weights.device)
        generators = [each.dropout for each in self.rounds if each.dropout is not None]
        outputs = self.ensemble.forward(
            self._labels([labels for labels, _ in batches]), dropout_generators=generators or None
        ).requires_grad_()
        weighted = self.objective.losses(outputs, n) * tables
        losses = weighted.sum(dim=(1, 2)) / (rows.stop - rows.start)
        (gradient,) = torch.autograd.grad(losses.sum(), outputs)
        self.ensemble.backward(gradient)
        self.optimiser.step()
        return losses.detach()

    def moments(self, rounds: Sequence[CoinRound]) -> Iterator[CoinMoment]:
        """The networks of these rounds, of this stack, as they answer now."""
        if not rounds:
            return
        for each, outputs in zip(self.rounds, self._outputs(), strict=True):
            if each in rounds:
                yield each.judge.moment(outputs.cpu().numpy(), epoch=each.epoch, train_loss=each.train_loss)

    def scored_batches(self, n_batches: int) -> set[int]:
        """Batches within an epoch after which the networks are scored."""
        if max(len(each.judge.labels) for each in self.rounds) > MAX_DRAWS_SCORED_WITHIN_EPOCH:
            return set()
        per_epoch = self.settings.points_per_epoch
        return {n_batches * k // per_epoch for k in range(1, per_epoch)} - {0, n_batches}

    def _outputs(self) -> list[Tensor]:
        """Outputs for the draws that each round's network is asked for, shape (n_draws, n_outputs) each."""
        labels = [each.judge.labels for each in self.rounds]
        at_a_time = max(1, TOKENS_PER_EVALUATION // self.settings.coins_per_draw)
        parts = [
            self.ensemble.forward(self._labels([rows[start : start + at_a_time] for rows in labels]))
            for start in range(0, max(map(len, labels)), at_a_time)
        ]
        return [outputs[: len(rows)] for outputs, rows in zip(torch.cat(parts, dim=1), labels, strict=True)]

    def _labels(self, parts: Sequence[NDArray[np.integer]]) -> Tensor:
        return _stacked(parts).to(self.ensemble.weights.device, torch.int64)


def _stacked(parts: Sequence[NDArray[np.generic]]) -> Tensor:
    """Arrays of shape (n, k), shorter ones filled up with zeros, as one tensor of shape (n_parts, n, k)."""
    stacked = np.zeros((len(parts), max(map(len, parts)), parts[0].shape[1]), dtype=parts[0].dtype)
    for row, part in zip(stacked, parts, strict=True):
        row[: len(part)] = part
    return torch.from_numpy(stacked)
