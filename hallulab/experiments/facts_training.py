"""A small Qwen2 learns facts from a corpus; what it says to every prompt is read off exactly as it trains."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from hallulab.data.facts_world import FactsWorld, TrainingCounts, corpus
from hallulab.models.fact_learners import Learned
from hallulab.models.facts_qwen import (
    FactsQwenSettings,
    FactTokens,
    answer_logits,
    build_facts_qwen,
    read_answers,
)

WARMUP_STEPS = 20
EPOCHS_READ = (0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200)
"""epochs after which the network is read; the last epoch always"""


@dataclass(frozen=True, eq=False)
class TrainedEpoch:
    """The network after so many passes over the corpus."""

    epoch: int
    """0: untrained"""
    train_loss: float | None
    """mean over the epoch's samples, nats; None before the first"""
    learned: Learned | None
    """what it says to every prompt; None in epochs that are not read"""


def train_facts_qwen(
    facts: FactsWorld,
    counts: TrainingCounts,
    settings: FactsQwenSettings,
    *,
    seed: int,
    device: torch.device | str = "cpu",
) -> Iterator[TrainedEpoch]:
    """Train on next-token prediction of the answer, epoch by epoch; close it to stop.

    The same seed gives the same network on the same machine and number of threads.
    Raises RefusedInputError, before it trains, for a world too large to read.
    """
    facts.check_dense()
    rng = np.random.default_rng(seed)
    rows = corpus(facts, counts, rng=rng)
    prompt_ids = FactTokens.of(facts).prompt_ids(rows[:, :2]).to(device)
    answers = torch.from_numpy(rows[:, 2]).to(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = build_facts_qwen(FactTokens.of(facts), settings)
    model.to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    n_steps = settings.epochs * math.ceil(len(rows) / settings.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, n_steps))
    yield TrainedEpoch(0, None, read_answers(model, facts))
    for epoch in range(1, settings.epochs + 1):
        model.train()
        total = 0.0
        for batch in torch.from_numpy(rng.permutation(len(rows))).split(settings.batch_size):
            batch = batch.to(device)
            loss = nn.functional.cross_entropy(answer_logits(model, prompt_ids[batch]), answers[batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        is_read = epoch in EPOCHS_READ or epoch == settings.epochs
        yield TrainedEpoch(epoch, total / len(rows), read_answers(model, facts) if is_read else None)


def _rate(step: int, n_steps: int) -> float:
    """Share of the learning rate: a short rise, then a cosine to 0."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    return 0.5 * (1 + math.cos(math.pi * (step - WARMUP_STEPS) / max(1, n_steps - WARMUP_STEPS)))
