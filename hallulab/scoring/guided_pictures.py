"""Sampling guided by density: paint, and keep only what the frame finds probable (future work of [LHZSL], 8).

Two ways. Keeping paints until enough images are inside some region, or a budget is spent. Best of n paints n images
for each one wanted and keeps the one with the greatest margin. Image k is painted from seed + k in both, as in plain
sampling, so that all three choose among the same images, and the first of them are what plain sampling gives.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any, get_args

import numpy as np

from hallulab.densities.hcdr import HcdrFrame
from hallulab.engine.core import Engine
from hallulab.engine.pictures import MAX_IMAGES, MAX_SEED, PaintSettings
from hallulab.errors import RefusedInputError
from hallulab.scoring.painting import Batch, JudgedImage, PaintProgress, paint_batches, painted_result
from hallulab.scoring.picture_frames import NO_FRAME, frame_of
from hallulab.scoring.picture_recipes import Choice, Way
from hallulab.scoring.pictures import PaintResult
from hallulab.theory.intervals import Interval, wilson_interval

MAX_BUDGET = 1024
NOTHING_KEPT = "nothing was kept: no image painted is inside a region"


@dataclass(frozen=True)
class GuidedSettings:
    """How images are chosen while they are painted."""

    paint: PaintSettings
    """Its number of images is how many are wanted; its batch size how many are painted between two looks."""
    way: Way = "keep"
    """Keep what is inside, or the best of n."""
    budget: int = 64
    """Images painted at most, when keeping."""
    best_of: int = 4
    """Images painted for each one wanted, when choosing the best."""

    def __post_init__(self) -> None:
        if self.way not in get_args(Way):
            raise RefusedInputError(f"expected a way of {' or '.join(get_args(Way))}, got {self.way!r}")
        if not 2 <= self.best_of <= MAX_IMAGES:
            raise RefusedInputError(f"expected the best of 2 to {MAX_IMAGES} images, got {self.best_of}")
        if self.n_at_most > MAX_BUDGET:
            raise RefusedInputError(
                f"expected at most {MAX_BUDGET} images to paint, got {self.n_at_most}: want fewer"
            )
        if self.n_at_most < self.paint.n_images:
            raise RefusedInputError(
                f"expected a budget of at least the {self.paint.n_images} images wanted, got {self.budget}"
            )
        if self.paint.seed + self.n_at_most - 1 > MAX_SEED:
            raise RefusedInputError(
                f"expected a seed of at most {MAX_SEED - self.n_at_most + 1} for {self.n_at_most} images, got "
                f"{self.paint.seed}"
            )

    @property
    def n_at_most(self) -> int:
        """Images painted at most."""
        return self.budget if self.way == "keep" else self.paint.n_images * self.best_of

    def choice(self, seed: int, hdr_mass: float) -> Choice:
        """How the image of this seed was chosen, and where to begin for choosing it again."""
        if self.way == "keep":
            return Choice("keep", seed, hdr_mass)
        group = (seed - self.paint.seed) // self.best_of
        return Choice("best", self.paint.seed + group * self.best_of, hdr_mass, self.best_of)


def guided_settings(
    paint: PaintSettings, way: Way, *, best_of: int | None = None, budget: int | None = None
) -> GuidedSettings:
    """How to choose, with what a person left open filled in.

    Args:
        paint: how many images are wanted, and how they are painted; batches become no larger than what is wanted, so
            that keeping does not paint far too many.
        way: keep what is inside, or the best of n.
        best_of: images painted for each one wanted, when choosing the best.
        budget: images painted at most, when keeping; as many as best-of-n paints when None.
    """
    n = GuidedSettings.best_of if best_of is None else best_of
    often = replace(paint, batch_size=min(paint.batch_size, paint.n_images))
    return GuidedSettings(often, way, paint.n_images * n if budget is None else budget, n)


@dataclass(frozen=True)
class GuidedResult:
    """Everything that was painted so far, and what was chosen of it."""

    settings: GuidedSettings
    hcdr: HcdrFrame
    """The thresholds, at the mass at which was chosen."""
    judged: tuple[JudgedImage, ...]
    """All painted images, in order of their seeds."""
    shown: PaintResult
    """The chosen ones, judged as plain images are; without images where none was chosen."""
    seconds: float
    """Painting and judging, without waiting in the queue."""

    @cached_property
    def chosen(self) -> tuple[int, ...]:
        """Places of the chosen ones in `judged`."""
        return choose(margins_of(self.judged), self.settings)

    @property
    def is_enough(self) -> bool:
        """Whether as many were chosen as were wanted."""
        return len(self.chosen) == self.settings.paint.n_images

    @property
    def images_per_kept(self) -> float | None:
        """The price: images painted for each one chosen; None when none was."""
        return len(self.judged) / len(self.chosen) if self.chosen else None

    @property
    def n_kept_outside(self) -> int:
        """Chosen images outside every region, at the mass at which was chosen."""
        return _n_outside(self.judged[place] for place in self.chosen)

    @property
    def plain(self) -> tuple[JudgedImage, ...]:
        """What plain sampling gives on the same seeds: the first images, as many as are wanted."""
        return self.judged[: self.settings.paint.n_images]

    @property
    def n_plain_outside(self) -> int:
        """Images of plain sampling outside every region, at the same mass."""
        return _n_outside(self.plain)

    @property
    def plain_interval(self) -> Interval:
        """95 % Wilson interval of plain sampling's rate; its number of images is fixed before any is judged."""
        return wilson_interval(self.n_plain_outside, len(self.plain))

    def with_mass(self, hdr_mass: float) -> "GuidedResult":
        """The chosen images decided at another mass, without a model; what was chosen stays."""
        return replace(self, shown=self.shown.with_mass(hdr_mass))

    def save(self, folder: Path) -> "GuidedResult":
        """Write the chosen images; the result that knows their paths."""
        return replace(self, shown=self.shown.save(folder))

    def to_json(self) -> dict[str, Any]:
        """The contract of `paint` for the chosen images, and what they cost."""
        decided = {
            "thresholds": dict(zip(self.hcdr.states, self.hcdr.thresholds.tolist(), strict=True)),
            "hdr_mass": self.hcdr.hdr_mass,
            "frame_hash": self.hcdr.content_hash,
        }
        found = self.shown.to_json()
        return {**found, **(decided if self.shown.scores is None else {}), "guided": self.guided_json()}

    def guided_json(self) -> dict[str, Any]:
        """What was painted, chosen and spent, and plain sampling on the same seeds."""
        n_plain = len(self.plain)
        interval = self.plain_interval if n_plain else None
        return {
            "way": self.settings.way,
            "best_of": self.settings.best_of if self.settings.way == "best" else None,
            "budget": self.settings.n_at_most,
            "hdr_mass": self.hcdr.hdr_mass,
            "n_wanted": self.settings.paint.n_images,
            "n_painted": len(self.judged),
            "n_inside": len(self.judged) - _n_outside(self.judged),
            "n_kept": len(self.chosen),
            "n_kept_outside": self.n_kept_outside,
            "is_enough": self.is_enough,
            "images_per_kept": self.images_per_kept,
            "seconds": self.seconds,
            "plain": {
                "n": n_plain,
                "n_outside": self.n_plain_outside,
                "hallucination_rate": self.n_plain_outside / n_plain if n_plain else None,
                "interval": interval and [interval.low, interval.high],
            },
        }


def choose(margins: Sequence[float], settings: GuidedSettings) -> tuple[int, ...]:
    """Which of the images painted so far are chosen: places in `margins` (nats, in order of the seeds)."""
    if settings.way == "keep":
        return keep_inside(margins)[: settings.paint.n_images]
    return best_of_each(margins, settings.best_of)[: settings.paint.n_images]


def keep_inside(margins: Sequence[float]) -> tuple[int, ...]:
    """Places of the images inside some region."""
    return tuple(place for place, margin in enumerate(margins) if margin > 0)


def best_of_each(margins: Sequence[float], n: int) -> tuple[int, ...]:
    """The place of the greatest margin in each n that follow one another; an incomplete last group has none."""
    groups = range(0, len(margins) - n + 1, n)
    return tuple(start + int(np.argmax(margins[start : start + n])) for start in groups)


def margins_of(judged: Sequence[JudgedImage]) -> list[float]:
    """Margins in nats; positive is inside."""
    return [one.verdict.margin_nats for one in judged if one.verdict is not None]


def paint_guided(
    engine: Engine,
    prompt: str,
    settings: GuidedSettings,
    *,
    checkpoint: str | None = None,
    hdr_mass: float = 0.9,
) -> Iterator[PaintProgress[GuidedResult]]:
    """Paint in batches and choose, until enough is chosen or the budget is spent; the last progress holds it all.

    Waits in the engine's device queue; closing the generator stops the work and loses nothing judged.

    Raises RefusedInputError for a prompt, checkpoint or mass that cannot be used, and for a preset without a frame.
    """
    frame = frame_of(engine)
    if frame is None:
        raise RefusedInputError(NO_FRAME)
    whole = Batch(checkpoint or engine.default_checkpoint("pictures"), settings.paint)
    judged: tuple[JudgedImage, ...] = ()
    result: GuidedResult | None = None
    n_total, message, started = 0, "", perf_counter()
    with closing(paint_batches(engine, prompt, _batches(whole, settings), hdr_mass=hdr_mass)) as steps:
        for step in steps:
            n_total, message = step.n_total, step.message
            if step.n_done == 0:  # waiting and loading are no part of the price
                started = perf_counter()
            if step.finished is not None:
                judged = (*judged, *step.finished)
                chosen = [judged[place] for place in choose(margins_of(judged), settings)]
                choices = [settings.choice(one.painted.seed, hdr_mass) for one in chosen]
                shown = painted_result(
                    engine, prompt, whole, chosen, hdr_mass=hdr_mass, choices=choices, reason=NOTHING_KEPT
                )
                hcdr = frame.features.hcdr.with_mass(hdr_mass)
                result = GuidedResult(settings, hcdr, judged, shown, perf_counter() - started)
                message = f"{len(chosen)} of {settings.paint.n_images} chosen after {len(judged)} painted"
                if result.is_enough or len(judged) == settings.n_at_most:
                    break
            yield PaintProgress(step.n_done, n_total, message, result, step.predicted_x0)
    yield PaintProgress(n_total, n_total, message, result)


def _batches(whole: Batch, settings: GuidedSettings) -> list[Batch]:
    """The whole budget in batches of consecutive seeds."""
    paint, batches = settings.paint, []
    for start in range(0, settings.n_at_most, paint.batch_size):
        n = min(paint.batch_size, settings.n_at_most - start)
        batch = replace(paint, n_images=n, batch_size=n, seed=paint.seed + start)
        batches.append(replace(whole, settings=batch))
    return batches


def _n_outside(judged: Iterable[JudgedImage]) -> int:
    return sum(one.verdict is not None and one.verdict.is_hallucination for one in judged)
