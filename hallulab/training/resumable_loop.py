"""A training loop with an average of weights that a killed run resumes from its last saved step."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class LoopSettings:
    """How long and how fast one module is trained."""

    n_steps: int
    """Optimiser steps."""
    learning_rate: float
    """Peak learning rate of AdamW."""
    warmup_steps: int = 100
    """Steps over which the learning rate rises from 0."""
    cosine: bool = True
    """Whether the learning rate falls to 0 along a cosine after the warm-up; else it stays."""
    weight_decay: float = 0.0
    """AdamW's weight decay."""
    ema_decay: float = 0.999
    """Decay of the average of weights, reached as training proceeds."""
    clip_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    save_every_steps: int = 250
    """A killed run loses at most this many steps."""


@dataclass(frozen=True)
class Trained:
    """What a loop leaves behind."""

    averaged: State
    """The average of weights, names as in the module's `state_dict`."""
    losses: np.ndarray
    """(n_steps,) training loss of every step."""


def run_loop(
    name: str,
    module: nn.Module,
    loss_of_step: Callable[[int], Tensor],
    settings: LoopSettings,
    *,
    work: Path,
    on_step: Callable[[int, dict[str, Tensor]], None] | None = None,
) -> Trained:
    """Train `module`, which is left holding the averaged weights.

    Args:
        name: of the state file in `work`, and of the progress bar.
        module: everything with a gradient.
        loss_of_step: step → loss; its randomness comes from the step alone, so that a resumed run repeats it.
        settings: how long and how fast.
        work: folder of the state file.
        on_step: called after each step with the number of steps done and the averaged weights.
    """
    weights = {key: value for key, value in module.named_parameters() if value.requires_grad}
    averaged = {key: value.detach().clone() for key, value in weights.items()}
    optimizer = torch.optim.AdamW(
        weights.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.99)
    )
    losses = np.zeros(settings.n_steps, dtype=np.float32)
    state_path = work / f"{name}.safetensors"
    work.mkdir(parents=True, exist_ok=True)
    start = _restore(state_path, weights, averaged, optimizer, losses)
    module.train()
    bar = tqdm(
        range(start, settings.n_steps), initial=start, total=settings.n_steps, desc=name, mininterval=5
    )
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, settings)
        loss = loss_of_step(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights.values(), settings.clip_norm)
        optimizer.step()
        n_done = step + 1
        decay = min(settings.ema_decay, (1 + n_done) / (10 + n_done))
        with torch.no_grad():
            torch._foreach_lerp_(list(averaged.values()), list(weights.values()), 1 - decay)
        losses[step] = loss.item()
        if step % 20 == 0:
            bar.set_postfix(loss=f"{losses[max(0, step - 50) : n_done].mean():.4f}")
        if on_step is not None:
            on_step(n_done, averaged)
        if n_done % settings.save_every_steps == 0 or n_done == settings.n_steps:
            _save(state_path, n_done, weights, averaged, optimizer, losses)
    module.load_state_dict({**module.state_dict(), **averaged})
    module.eval()
    return Trained(averaged=averaged, losses=losses)


def learning_rate_at(step: int, settings: LoopSettings) -> float:
    """Linear warm-up, then constant or a cosine to 0."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    if not settings.cosine:
        return settings.learning_rate
    progress = (step - settings.warmup_steps) / max(1, settings.n_steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def work_folder(work: Path, name: str, settings: object) -> Path:
    """The folder below `work` for one part under exactly these settings, so that no others resume from it."""
    fingerprint = hashlib.sha256(repr(settings).encode()).hexdigest()[:8]
    return work / f"{name}-{fingerprint}"


def save_tensors(path: Path, tensors: State, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    save_file({key: value.contiguous() for key, value in tensors.items()}, unfinished, metadata)
    unfinished.replace(path)


def _save(
    path: Path,
    n_done: int,
    weights: State,
    averaged: State,
    optimizer: torch.optim.Optimizer,
    losses: np.ndarray,
) -> None:
    tensors = {"losses": torch.from_numpy(losses[:n_done].copy())}
    for key, weight in weights.items():
        moments = optimizer.state[weight]
        tensors[f"weight/{key}"] = weight.detach()
        tensors[f"averaged/{key}"] = averaged[key]
        tensors[f"first/{key}"] = moments["exp_avg"]
        tensors[f"second/{key}"] = moments["exp_avg_sq"]
    save_tensors(path, tensors, {"n_done": str(n_done)})


def _restore(
    path: Path, weights: State, averaged: State, optimizer: torch.optim.Optimizer, losses: np.ndarray
) -> int:
    """Fill everything from the state file; the number of steps done, 0 when there is none."""
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as state, torch.no_grad():
        n_done = int(state.metadata()["n_done"])
        losses[:n_done] = state.get_tensor("losses").numpy()[: len(losses)]
        for key, weight in weights.items():
            weight.copy_(state.get_tensor(f"weight/{key}"))
            averaged[key].copy_(state.get_tensor(f"averaged/{key}"))
            optimizer.state[weight] = {
                "step": torch.tensor(float(n_done)),
                "exp_avg": state.get_tensor(f"first/{key}"),
                "exp_avg_sq": state.get_tensor(f"second/{key}"),
            }
    return n_done
