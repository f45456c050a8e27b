"""Theorem 6.1 of [LHZSL] on samples: conditional means from a file or a picture frame, promised and measured.

The samples stand for their law: state i's mean is drawn from its samples evenly, independently of the other states, as
the theorem asks. For that law the bounds of docs/bounds.md hold exactly; how well it stands for new data is another
matter, which more samples settle.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hallulab.densities.feature_frame import FeatureFrame
from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings, embed_images, stream_images
from hallulab.errors import RefusedInputError
from hallulab.scoring.picture_frames import PictureFrame, unit_rows
from hallulab.theory.hallucination_rate import MeasuredRate, all_far
from hallulab.theory.intervals import clopper_pearson_interval
from hallulab.theory.lower_bounds import Bound, PaperBound, check_radius, checked_weights, paper_bound
from hallulab.theory.mean_laws import Moments

MIN_SAMPLES = 4
"""fewest conditional means per state that moments are taken from"""
DRAWS_AT_ONCE = 1 << 12
N_DISTANCES = 400
LARGE_OFFSET = 0.3
"""how far, in √σ, a state's own mean may be from the common one before we say so"""


@dataclass(frozen=True)
class SampledMeans:
    """Samples of the random conditional means of each state."""

    states: tuple[str, ...]
    samples: tuple[NDArray[np.float64], ...]
    """per state, shape (n_i, n_dimensions)"""

    def __post_init__(self) -> None:
        if not self.states or len(self.samples) != len(self.states):
            raise RefusedInputError("expected samples of at least one state, one array per state")
        widths = {sample.shape[1:] for sample in self.samples}
        if len(widths) != 1 or len(next(iter(widths))) != 1:
            raise RefusedInputError(
                f"expected conditional means of shape (n, n_dimensions) for each state, got {sorted(widths)}"
            )
        for state, sample in zip(self.states, self.samples, strict=True):
            if len(sample) < MIN_SAMPLES:
                raise RefusedInputError(
                    f"expected at least {MIN_SAMPLES} conditional means per state, got {len(sample)} for {state}: "
                    "a law cannot be seen in fewer"
                )
            if not np.isfinite(sample).all():
                raise RefusedInputError(f"expected finite conditional means, got others for {state}")

    @property
    def n_dimensions(self) -> int:
        """Of a mean."""
        return self.samples[0].shape[1]


@dataclass(frozen=True)
class DataAudit:
    """What the theorem promises for sampled means, what is proved for them, what was measured."""

    means: SampledMeans
    weights: tuple[float, ...]
    radius: float
    moments: tuple[Moments, ...]
    """around the common mean estimated as Σ p_i (mean of state i)"""
    offsets: tuple[float, ...]
    """how far each state's own mean lies from the common one, in units of √σ_i: the theorem assumes 0"""
    paper: PaperBound
    conditional: Bound
    measured: MeasuredRate
    """of ‖A* − μ_i‖ > r for every i, under the samples' law"""
    seed: int
    frame_rate: MeasuredRate | None = None
    """how often A* was outside the frame's own regions; None without a frame"""

    def sentence(self) -> str:
        """What to conclude, in one sentence."""
        promised = (
            "the theorem is silent"
            if self.paper.value is None
            else f"promised at least {self.paper.value:.3g}"
        )
        proved = (
            "nothing proved"
            if self.conditional.value is None
            else f"proved at least {self.conditional.value:.3g}"
        )
        text = (
            f"{promised}; {proved}; measured {self.measured.rate:.4g} of {self.measured.n_draws:,} draws "
            f"further than r from every mean"
        )
        if self.frame_rate is not None:
            text += f", and {self.frame_rate.rate:.4g} outside the frame's own regions"
        if max(self.offsets) > LARGE_OFFSET:
            text += (
                f"; note that the states' own means are up to {max(self.offsets):.2g} √σ from the common mean that the "
                "theorem assumes"
            )
        return text[:1].upper() + text[1:] + "."

    def to_json(self) -> dict[str, Any]:
        """Everything estimated and measured."""
        return {
            "states": [
                {"state": state, "n": len(sample), "weight": weight, "offset": offset, **asdict(moment)}
                for state, sample, weight, offset, moment in zip(
                    self.means.states,
                    self.means.samples,
                    self.weights,
                    self.offsets,
                    self.moments,
                    strict=True,
                )
            ],
            "n_dimensions": self.means.n_dimensions,
            "radius": self.radius,
            "paper": {
                "silent": self.paper.value is None,
                "value": self.paper.value,
                "log_value": self.paper.log_value,
                "reason": self.paper.reason,
                "d": self.paper.estimator_spread,
                "states": [asdict(state) for state in self.paper.states],
            },
            "proved": [
                {
                    "name": "conditional",
                    "value": self.conditional.value,
                    "log_value": self.conditional.log_value,
                    "reason": self.conditional.reason,
                }
            ],
            "measured": rate_json(self.measured) | {"seed": self.seed},
            "measured_by_frame": self.frame_rate and rate_json(self.frame_rate),
            "sentence": self.sentence(),
        }


def audit_means(
    means: SampledMeans,
    radius: float,
    *,
    weights: Sequence[float] | None = None,
    n_draws: int = 20_000,
    seed: int = 0,
    frame: FeatureFrame | None = None,
) -> DataAudit:
    """The paper's bound, the repaired one and the measured rate for sampled conditional means.

    Args:
        means: samples per state.
        radius: r.
        weights: p_i; equal when None.
        n_draws: of (μ_1, …, μ_N), each μ_i one of its samples.
        seed: of the draws.
        frame: also counts how often A* lies outside its HCDR; the means are then in its z-scored space.

    Raises RefusedInputError for weights, r or samples that cannot be used.
    """
    n_states = len(means.states)
    p = checked_weights(weights if weights is not None else [1 / n_states] * n_states, n_states)
    r = check_radius(radius)
    if n_draws < 1:
        raise RefusedInputError(f"expected at least one draw, got {n_draws}")
    centres = np.array([sample.mean(axis=0) for sample in means.samples])
    common = p @ centres
    moments = tuple(
        _moments(state, sample - common) for state, sample in zip(means.states, means.samples, strict=True)
    )
    offsets = tuple(
        float(np.linalg.norm(centre - common)) / math.sqrt(moment.variance)
        for centre, moment in zip(centres, moments, strict=True)
    )
    measured, by_frame = _measure(means, p, r, n_draws, seed, frame)
    return DataAudit(
        means, tuple(p.tolist()), r, moments, offsets, paper_bound(moments, p, r),
        empirical_conditional_bound([sample - common for sample in means.samples], p, r), measured, seed, by_frame,
    )  # fmt: skip


def empirical_conditional_bound(
    deviations: Sequence[NDArray[np.float64]], weights: NDArray[np.float64], radius: float
) -> Bound:
    """The repaired bound for the law that draws each mean evenly from its samples (docs/bounds.md, 3).

    Neither symmetry nor a common mean is assumed: whatever is left of them enters V.

    Args:
        deviations: samples of X_i from one reference point, per state, shape (n_i, n_dimensions).
        weights: p_i, shape (N,).
        radius: r.
    """
    lengths = [np.linalg.norm(sample, axis=1) for sample in deviations]
    furthest = max(float(length.max()) for length in lengths)
    best = 0.0
    for t in np.geomspace(1e-3, 1, N_DISTANCES) * furthest:
        far = [sample[length > radius + t] for sample, length in zip(deviations, lengths, strict=True)]
        if not all(map(len, far)):
            break  # further out there are no more
        chance = math.prod(len(some) / len(sample) for some, sample in zip(far, deviations, strict=True))
        bias = sum(weight * some.mean(axis=0) for weight, some in zip(weights, far, strict=True))
        spread = sum(
            weight**2 * float(some.var(axis=0).sum()) for weight, some in zip(weights, far, strict=True)
        )
        best = max(best, chance * (1 - (spread + float(np.sum(np.square(bias)))) / t**2))
    if best <= 0:
        return Bound(
            "conditional", None, "it says nothing here: no distance t leaves Chebyshev's factor above 0"
        )
    return Bound("conditional", best, log_value=math.log(best))


def read_means(path: Path) -> SampledMeans:
    """Conditional means: `.npy`, shape (n, N[, n_dimensions]), or `.npz`, one (n_i[, n_dimensions]) per state.

    Raises RefusedInputError for a file that cannot be read, holds objects, or has another shape.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            array = np.asarray(loaded, dtype=np.float64)
            if array.ndim == 2:  # one dimension
                array = array[:, :, None]
            if array.ndim != 3:
                raise RefusedInputError(
                    f"expected means of shape (n, n_states) or (n, n_states, n_dimensions) in {path}, "
                    f"got {array.shape}"
                )
            return SampledMeans(
                tuple(f"state {index + 1}" for index in range(array.shape[1])), tuple(array.swapaxes(0, 1))
            )
        with loaded:
            arrays = {name: np.asarray(loaded[name], dtype=np.float64) for name in loaded.files}
        return SampledMeans(
            tuple(arrays), tuple(array[:, None] if array.ndim == 1 else array for array in arrays.values())
        )
    except RefusedInputError:
        raise
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise RefusedInputError(
            f"expected conditional means as .npy or .npz, cannot read {path} ({error})"
        ) from error


def held_out_means(frame: PictureFrame, group_size: int, *, rng: np.random.Generator) -> SampledMeans:
    """Means of groups of a frame's held-out genuine images, in its z-scored space: what genuine inputs average to.

    Args:
        frame: a picture frame.
        group_size: images per mean; each image is used once.
        rng: shuffles them.

    Raises RefusedInputError for a group size that leaves too few groups.
    """
    if group_size < 1:
        raise RefusedInputError(f"expected at least one image per group, got {group_size}")
    groups: dict[str, NDArray[np.floating]] = {}
    for state, rows in frame.held_out.items():
        n_groups = len(rows) // group_size
        if n_groups < MIN_SAMPLES:
            raise RefusedInputError(
                f"expected at least {MIN_SAMPLES} groups of {group_size} images per state, got {len(rows)} images "
                f"for {state}: make groups smaller"
            )
        shuffled = rng.permutation(rows)[: n_groups * group_size]
        groups[state] = unit_rows(shuffled).reshape(n_groups, group_size, -1).mean(axis=1)
    return means_in_frame(frame.features, groups)


def painted_means(
    engine: Engine,
    frame: PictureFrame,
    prompts: Sequence[str],
    *,
    n_images: int,
    seed: int,
    checkpoint: str | None = None,
) -> SampledMeans:
    """For each prompt and state, the mean of the images painted when the prompt names the state.

    Args:
        engine: who paints and embeds.
        frame: whose states and z-scored space are used.
        prompts: with `{state}` where the state's name goes; at least 4.
        n_images: behind each mean, from seeds seed, seed + 1, …
        checkpoint: whose UNet; the engine's default when None.

    Raises RefusedInputError for a prompt without `{state}`, or too few of them.
    """
    for prompt in prompts:
        if "{state}" not in prompt:
            raise RefusedInputError(
                f"expected a prompt with {{state}} in it, such as 'a photo of a {{state}}', got {prompt!r}"
            )
    if len(set(prompts)) < MIN_SAMPLES:
        raise RefusedInputError(
            f"expected at least {MIN_SAMPLES} different prompts, got {len(set(prompts))}: repeat --prompt"
        )
    pictures = engine.preset.pictures
    settings = PaintSettings(n_images, seed, pictures.steps, pictures.guidance, pictures.size)
    name = checkpoint or engine.default_checkpoint("pictures")
    means: dict[str, list[NDArray[np.float64]]] = {state: [] for state in frame.features.states}
    with engine.job("bounds"):
        clip = engine.clip()
        frame.check_embedder(clip)
        for state in means:
            for prompt in dict.fromkeys(prompts):
                steps = stream_images(engine.painter(name), prompt.replace("{state}", state), settings)
                painted = list(steps)[-1].images
                means[state].append(unit_rows(embed_images(clip, list(painted))).mean(axis=0))
    return means_in_frame(frame.features, {state: np.stack(rows) for state, rows in means.items()})


def means_in_frame(frame: FeatureFrame, embeddings: Mapping[str, NDArray[np.floating]]) -> SampledMeans:
    """Mean embeddings, state → (n_i, d), in the z-scored space where a frame's densities live."""
    return SampledMeans(
        frame.states, tuple(np.asarray(frame.chain.transform(embeddings[state])) for state in frame.states)
    )


def frame_radius(frame: FeatureFrame, means: SampledMeans) -> float:
    """An r that is large enough: every U_i of the frame lies within it of every sampled mean of its state.

    Where a mixture is above δ some component is, as their weights sum to 1; that component's ellipsoid has a known
    radius.
    """
    found = 0.0
    for state, sample, log_delta in zip(frame.states, means.samples, frame.hcdr.thresholds, strict=True):
        mixture = frame.mixtures[state]
        variances = np.asarray(mixture.covariances_)
        squared = -2 * log_delta - np.log(2 * np.pi * variances).sum(axis=1)
        reach = np.sqrt(np.maximum(squared, 0) * variances.max(axis=1))
        apart = np.linalg.norm(sample[:, None, :] - np.asarray(mixture.means_), axis=2)
        found = max(found, float((apart + reach)[:, squared > 0].max(initial=0.0)))
    return found


def rate_json(measured: MeasuredRate) -> dict[str, Any]:
    """A rate with its n and its interval."""
    return {
        "rate": measured.rate,
        "n_hits": measured.n_hits,
        "n": measured.n_draws,
        "interval": [measured.interval.low, measured.interval.high],
        "confidence": measured.confidence,
    }


def _moments(state: str, deviations: NDArray[np.float64]) -> Moments:
    squares = np.einsum("nd,nd->n", deviations, deviations)
    if not squares.any():
        raise RefusedInputError(
            f"expected conditional means that vary, got the same one {len(squares)} times for {state}"
        )
    second = float(squares.mean())
    return Moments(second, min(second**2 / float((squares**2).mean()), 1.0))


def _measure(
    means: SampledMeans,
    weights: NDArray[np.float64],
    radius: float,
    n_draws: int,
    seed: int,
    frame: FeatureFrame | None,
) -> tuple[MeasuredRate, MeasuredRate | None]:
    rng = np.random.default_rng(seed)
    n_far = n_outside = 0
    for start in range(0, n_draws, DRAWS_AT_ONCE):
        n = min(DRAWS_AT_ONCE, n_draws - start)
        drawn = np.stack([sample[rng.integers(len(sample), size=n)] for sample in means.samples])
        n_far += int(all_far(drawn, weights, radius).sum())
        if frame is not None:
            estimator = np.tensordot(weights, drawn, axes=1)
            densities = [frame.mixtures[state].score_samples(estimator) for state in frame.states]
            outside = np.column_stack(densities) <= frame.hcdr.thresholds
            n_outside += int(outside.all(axis=1).sum())
    return _rate(n_far, n_draws), _rate(n_outside, n_draws) if frame is not None else None


def _rate(n_hits: int, n: int, confidence: float = 0.99) -> MeasuredRate:
    interval = clopper_pearson_interval(n_hits, n, confidence=confidence)
    return MeasuredRate(n_hits / n, n_hits, n, interval, confidence)
