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

from hallulab.scoring.training_history import RECENT_STEPS

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
    """Decay of the average of weights, reached as training proceeds; 0 keeps none, the weights stand for it."""
    clip_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    save_every_steps: int = 250
    """A killed run loses at most this many steps."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Decays of AdamW's two moments."""


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
    state = LoopState(module, settings)
    state_path = work / f"{name}.safetensors"
    work.mkdir(parents=True, exist_ok=True)
    state.restore(state_path)
    module.train()
    bar = tqdm(
        range(state.n_done, settings.n_steps),
        initial=state.n_done,
        total=settings.n_steps,
        desc=name,
        mininterval=5,
    )
    for step in bar:
        state.set_learning_rate(step)
        loss = loss_of_step(step)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(state.weights.values(), settings.clip_norm)
        state.optimizer.step()
        state.count_step(loss.item())
        if step % 20 == 0:
            bar.set_postfix(loss=f"{state.recent_loss:.4f}")
        if on_step is not None:
            on_step(state.n_done, state.averaged)
        if state.is_due:
            state.save(state_path)
    module.load_state_dict({**module.state_dict(), **state.averaged})
    module.eval()
    return Trained(averaged=state.averaged, losses=state.losses)


class LoopState:
    """All that a training loop changes, and so all that a killed run needs to go on where it was.

    Args:
        module: everything with a gradient, on the device where it is trained.
        settings: how long and how fast.
    """

    def __init__(self, module: nn.Module, settings: LoopSettings) -> None:
        self.settings = settings
        self.weights = {key: value for key, value in module.named_parameters() if value.requires_grad}
        self.averaged = {
            key: value.detach().clone() if settings.ema_decay else value.detach()
            for key, value in self.weights.items()
        }
        self.optimizer = torch.optim.AdamW(
            self.weights.values(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            betas=settings.betas,
        )
        self.losses = np.zeros(settings.n_steps, dtype=np.float32)
        self.n_done = 0

    @property
    def recent_loss(self) -> float:
        """Mean training loss of the last steps; NaN before the first."""
        recent = self.losses[max(0, self.n_done - RECENT_STEPS) : self.n_done]
        return float(recent.mean()) if len(recent) else math.nan

    @property
    def is_due(self) -> bool:
        """Whether the state should be saved now."""
        return self.n_done % self.settings.save_every_steps == 0 or self.n_done == self.settings.n_steps

    @property
    def learning_rate(self) -> float:
        """The optimiser's learning rate."""
        return self.optimizer.param_groups[0]["lr"]

    def set_learning_rate(self, step: int) -> None:
        """Give the optimiser the learning rate of a step."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(step, self.settings)

    def count_step(self, loss: float) -> None:
        """Note the loss of a step whose update is done, and average the weights."""
        self.losses[self.n_done] = loss
        self.n_done += 1
        if self.settings.ema_decay:
            decay = min(self.settings.ema_decay, (1 + self.n_done) / (10 + self.n_done))
            with torch.no_grad():
                torch._foreach_lerp_(list(self.averaged.values()), list(self.weights.values()), 1 - decay)

    def save(self, path: Path, extra: Mapping[str, str] | None = None) -> None:
        """Write everything to a safetensors file, with what a caller adds about itself."""
        tensors = {"losses": torch.from_numpy(self.losses[: self.n_done].copy())}
        n_updates = self.n_done
        for key, weight in self.weights.items():
            tensors[f"weight/{key}"] = weight.detach()
            if self.settings.ema_decay:
                tensors[f"averaged/{key}"] = self.averaged[key]
            moments = self.optimizer.state.get(weight)
            if moments:  # none before the first update, which half precision may skip
                tensors[f"first/{key}"] = moments["exp_avg"]
                tensors[f"second/{key}"] = moments["exp_avg_sq"]
                n_updates = int(moments["step"])
        counts = {"n_done": str(self.n_done), "n_updates": str(n_updates)}
        save_tensors(path, tensors, counts | dict(extra or {}))

    def restore(self, path: Path) -> dict[str, str]:
        """Fill everything from the file, if there is one; what `save` was given beside."""
        if not path.exists():
            return {}
        with safe_open(path, framework="pt") as state, torch.no_grad():
            metadata, kept = state.metadata(), set(state.keys())
            self.n_done = int(metadata["n_done"])
            losses = state.get_tensor("losses").numpy()[: len(self.losses)]
            self.losses[: len(losses)] = losses
            for key, weight in self.weights.items():
                weight.copy_(state.get_tensor(f"weight/{key}"))
                if self.settings.ema_decay:
                    self.averaged[key].copy_(state.get_tensor(f"averaged/{key}"))
                if f"first/{key}" in kept:
                    self.optimizer.state[weight] = {
                        "step": torch.tensor(float(metadata["n_updates"])),
                        "exp_avg": state.get_tensor(f"first/{key}").to(weight.device),
                        "exp_avg_sq": state.get_tensor(f"second/{key}").to(weight.device),
                    }
        return metadata


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
