"""Whether images δ-hallucinate: one verdict per image, and one for their mean ([LHZSL] 7.3)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from hallulab.data.image_folder import open_image
from hallulab.data.image_sets import ImageSet
from hallulab.densities.feature_frame import FeatureFrame, FrameSettings, split_rows
from hallulab.densities.hcdr import HcdrFrame, Verdict
from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintedImage, PaintSettings, check_prompt, embed_images, stream_images
from hallulab.errors import RefusedInputError
from hallulab.models.clip import LoadedClip
from hallulab.records import as_plain
from hallulab.theory.intervals import Interval, wilson_interval
from hallulab.theory.regions import check_mass

HELD_OUT_FILE = "held_out.safetensors"
N_NULL_MEANS = 400
"""Means of K genuine images drawn for the K-matched null."""


@dataclass(frozen=True)
class PictureFrame:
    """A feature frame and the held-out genuine embeddings behind its thresholds."""

    features: FeatureFrame
    """Feature chain, mixtures and thresholds."""
    held_out: dict[str, NDArray[np.float32]]
    """State → (n_held_out, d) embeddings the frame was not fitted on."""

    @classmethod
    def fit(
        cls, embeddings: NDArray[np.float32], labels: Sequence[str], settings: FrameSettings, *, embedder: str
    ) -> "PictureFrame":
        """Fit the frame on genuine images' (n, d) embeddings and keep what it held out."""
        features = FeatureFrame.fit(embeddings, labels, settings, embedder=embedder)
        states = np.asarray(labels)
        _, rows = split_rows(states, settings)
        return cls(features, {state: embeddings[rows[states[rows] == state]] for state in features.states})

    def save(self, folder: Path) -> None:
        """Write the frame and its held-out embeddings."""
        self.features.save(folder)
        save_file(
            {state: rows.astype(np.float32) for state, rows in self.held_out.items()}, folder / HELD_OUT_FILE
        )

    @classmethod
    def load(cls, folder: Path | str) -> "PictureFrame":
        """Read what `save` wrote; RefusedInputError when it is missing or damaged."""
        features = FeatureFrame.load(folder)
        path = Path(folder) / HELD_OUT_FILE
        try:
            stored = load_file(path)
            return cls(features, {state: stored[state] for state in features.states})
        except (OSError, SafetensorError, KeyError) as error:
            raise RefusedInputError(
                f"expected the held-out embeddings of every state in {path}, cannot read them ({error}): "
                "fit the frame again with `python -m hallulab frame`"
            ) from error

    def genuine_means(self, n_images: int, *, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """State → (n_null, d) means of `n_images` of its genuine unit embeddings, drawn with replacement."""
        found = {}
        for state in self.features.states:
            genuine = unit_rows(self.held_out[state])
            draws = rng.integers(len(genuine), size=(N_NULL_MEANS, n_images))
            found[state] = genuine[draws].mean(axis=1)
        return found

    def null_means(self, n_images: int, *, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """State → (n_null,) log-densities, under it, of means of `n_images` of its genuine embeddings."""
        means = self.genuine_means(n_images, rng=rng)
        return {
            state: self.features.log_densities(means[state])[:, column]
            for column, state in enumerate(self.features.states)
        }

    def check_embedder(self, clip: LoadedClip) -> None:
        """Refuse a model whose embeddings mean nothing to this frame."""
        if self.features.embedder != clip.name:
            raise RefusedInputError(
                f"this frame was fitted on embeddings of {self.features.embedder}, got those of {clip.name}: "
                "use that model, or fit a frame for this one with `python -m hallulab frame`"
            )


@dataclass(frozen=True)
class ImageScores:
    """Log-densities of some images, of their mean, and of the means of as many genuine images."""

    hcdr: HcdrFrame
    """The thresholds, at the mass asked for."""
    log_densities: NDArray[np.float64]
    """(n, n_states) of every image, nats."""
    mean_log_densities: NDArray[np.float64]
    """(n_states,) of the mean of the images' unit embeddings, nats."""
    null_means: dict[str, NDArray[np.float64]]
    """State → log-densities of means of as many genuine images, nats."""

    def with_mass(self, hdr_mass: float) -> "ImageScores":
        """The same images at another mass: decided again from what is stored, without a model."""
        return replace(self, hcdr=self.hcdr.with_mass(hdr_mass))

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One verdict per image."""
        return tuple(self.hcdr.decide(self.log_densities))

    @cached_property
    def mean_verdict(self) -> Verdict:
        """The paper's test: the verdict on the mean of the images."""
        return self.hcdr.decide(self.mean_log_densities[None])[0]

    @cached_property
    def matched_verdict(self) -> Verdict:
        """The mean against thresholds from means of as many genuine images: a test with power at any K."""
        null = HcdrFrame(
            self.hcdr.states,
            tuple(self.null_means[state] for state in self.hcdr.states),
            self.hcdr.hdr_mass,
            self.hcdr.threshold_rule,
        )
        return null.decide(self.mean_log_densities[None])[0]

    @property
    def n_outside(self) -> int:
        """Images outside every state's region."""
        return sum(verdict.is_hallucination for verdict in self.verdicts)

    @property
    def hallucination_rate(self) -> float:
        """Share of images outside."""
        return self.n_outside / len(self.verdicts)

    @property
    def interval(self) -> Interval:
        """95 % Wilson interval of the share."""
        return wilson_interval(self.n_outside, len(self.verdicts))

    def to_json(self) -> dict[str, Any]:
        """The verdict's part of the contract of `paint`; per-image entries are in `image_json`."""
        matched = {state.state: state.threshold for state in self.matched_verdict.states}
        return {
            "mean": {
                "log_density": _log_density(self.mean_verdict),
                "inside": not self.mean_verdict.is_hallucination,
                "margin_nats": self.mean_verdict.margin_nats,
                "k": len(self.verdicts),
                "k_matched": {
                    "thresholds": matched,
                    "inside": not self.matched_verdict.is_hallucination,
                    "margin_nats": self.matched_verdict.margin_nats,
                    "n_null": N_NULL_MEANS,
                },
            },
            "hallucination_rate": self.hallucination_rate,
            "n_outside": self.n_outside,
            "n": len(self.verdicts),
            "interval": [self.interval.low, self.interval.high],
            "thresholds": dict(zip(self.hcdr.states, self.hcdr.thresholds.tolist(), strict=True)),
            "hdr_mass": self.hcdr.hdr_mass,
            "frame_hash": self.hcdr.content_hash,
        }


@dataclass(frozen=True)
class PaintResult:
    """The images of one prompt and what the frame says of them."""

    prompt: str
    """What was asked for."""
    checkpoint: str
    """Whose UNet painted."""
    settings: PaintSettings
    """How."""
    images: tuple[Image.Image, ...]
    """In order of their seeds."""
    scores: ImageScores | None
    """The verdicts; None when there is no frame to judge with."""
    frame: str = ""
    """What judged: the frame's embedder."""
    reason: str | None = None
    """Why there is no verdict."""
    paths: tuple[str | None, ...] = ()
    """Where the images were saved."""
    x0_variances: tuple[float | None, ...] = ()
    """How much each image's predicted clean latents still moved over the last steps (the second detector)."""
    seeds: tuple[int, ...] = ()
    """What each image was painted from, where they were chosen among more; empty when image k has seed + k."""

    def seed_of(self, index: int) -> int:
        """What image `index` was painted from."""
        return self.seeds[index] if self.seeds else self.settings.seed + index

    def with_mass(self, hdr_mass: float) -> "PaintResult":
        """The same images decided at another mass, without a model."""
        check_mass(hdr_mass)
        return replace(self, scores=self.scores and self.scores.with_mass(hdr_mass))

    def image_json(self, index: int) -> dict[str, Any]:
        """One image's entry in the contract of `paint`."""
        verdict = self.scores.verdicts[index] if self.scores else None
        path = self.paths[index] if self.paths else None
        variance = self.x0_variances[index] if self.x0_variances else None
        return {
            "path": path,
            "seed": self.seed_of(index),
            **verdict_json(verdict),
            "x0_variance": variance,
        }

    def recipe(self, index: int) -> dict[str, Any]:
        """What paints image `index` again, and its verdict: kept in the PNG's text."""
        return {
            "prompt": self.prompt,
            "checkpoint": self.checkpoint,
            "steps": self.settings.steps,
            "guidance": self.settings.guidance,
            "size": self.settings.size,
            "variance_steps": self.settings.variance_steps,
            **self.image_json(index),
            "thresholds": self.scores.to_json()["thresholds"] if self.scores else None,
        }

    def save(self, folder: Path) -> "PaintResult":
        """Write the images as PNG files with their recipes inside; the result that knows their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for index, image in enumerate(self.images):
            path = folder / f"{index:03d}-seed-{self.seed_of(index)}.png"
            image.save(path, pnginfo=recipe_chunk(self.recipe(index)))
            paths.append(str(path))
        return replace(self, paths=tuple(paths))

    def to_json(self) -> dict[str, Any]:
        """The contract of `paint`."""
        verdicts = (
            self.scores.to_json()
            if self.scores
            else {
                "mean": None,
                "hallucination_rate": None,
                "interval": None,
                "thresholds": None,
                "reason": self.reason,
            }
        )
        return {
            "prompt": self.prompt,
            "checkpoint": self.checkpoint,
            "seed": self.settings.seed,
            "steps": self.settings.steps,
            "guidance": self.settings.guidance,
            "size": self.settings.size,
            "variance_steps": self.settings.variance_steps,
            "images": [self.image_json(index) for index in range(len(self.images))],
            "embedder": self.frame,
            **verdicts,
        }


@dataclass(frozen=True)
class PaintProgress:
    """How far a `paint` job is."""

    n_done: int
    """Steps done."""
    n_total: int
    """Steps in all."""
    message: str
    """What is being done, in a few words."""
    images: tuple[Image.Image, ...] = ()
    """The finished images."""
    result: PaintResult | None = None
    """The end: set once, in the last progress."""


def paint(
    engine: Engine,
    prompt: str,
    settings: PaintSettings,
    *,
    checkpoint: str | None = None,
    hdr_mass: float = 0.9,
) -> Iterator[PaintProgress]:
    """Paint a prompt and judge every image; the last progress holds the result.

    Waits in the engine's device queue and holds it to the last step; closing the generator stops the work.

    Raises RefusedInputError for a prompt, checkpoint or mass that cannot be used.
    """
    text = check_prompt(prompt)
    check_mass(hdr_mass)
    name = checkpoint or engine.default_checkpoint("pictures")
    engine.checkpoint_place("pictures", name)
    frame = frame_of(engine)
    n_total = 1 + settings.n_steps
    painted: tuple[PaintedImage, ...] = ()
    images: tuple[Image.Image, ...] = ()
    with engine.enter("paint") as ticket:
        for position in ticket.positions():
            yield PaintProgress(0, n_total, f"waiting for {position} other job{'s' if position > 1 else ''}")
        # a server can only stop a generator that has yielded: do so before the first long step
        yield PaintProgress(0, n_total, "loading the model")
        for step in stream_images(engine.painter(name), text, settings):
            painted, images, n_total = step.painted, step.images, step.n_total + 1
            yield PaintProgress(step.n_done, n_total, "painting", images)
        variances = tuple(one.x0_variance for one in painted)
        result = PaintResult(text, name, settings, images, None, reason=NO_FRAME, x0_variances=variances)
        if frame is not None:
            clip = engine.clip()
            scores = score_embeddings(
                frame, clip, embed_images(clip, list(images)), hdr_mass, seed=settings.seed
            )
            result = replace(result, scores=scores, frame=frame.features.embedder, reason=None)
    yield PaintProgress(n_total, n_total, "judged", images, result)


NO_FRAME = (
    "no frame to judge with: fit one with `python -m hallulab frame FOLDER --out FRAME` "
    "and name it in the preset"
)


def frame_of(engine: Engine) -> PictureFrame | None:
    """The frame the engine's preset names, read once; None when it names none."""
    folder = engine.preset.pictures.frame
    return _load_frame(folder) if folder else None


@lru_cache(maxsize=4)
def _load_frame(folder: str) -> PictureFrame:
    return PictureFrame.load(folder)


def score_embeddings(
    frame: PictureFrame, clip: LoadedClip, embeddings: NDArray[np.float32], hdr_mass: float, *, seed: int
) -> ImageScores:
    """Judge images by their (n, d) embeddings, one by one and as a mean; `seed` draws the null."""
    frame.check_embedder(clip)
    mean = unit_rows(embeddings).mean(axis=0, keepdims=True)
    return ImageScores(
        hcdr=frame.features.hcdr.with_mass(hdr_mass),
        log_densities=frame.features.log_densities(embeddings),
        mean_log_densities=frame.features.log_densities(mean)[0],
        null_means=frame.null_means(len(embeddings), rng=np.random.default_rng(seed)),
    )


@dataclass(frozen=True)
class ScoredImage:
    """One image from a file."""

    path: str
    """Where it lies."""
    verdict: Verdict | None
    """None when the file could not be read."""
    error: str | None = None
    """Why it could not."""

    def to_json(self) -> dict[str, Any]:
        """An entry of `score`'s images, keys as in `paint`."""
        return {"path": self.path, "seed": None, **verdict_json(self.verdict), "error": self.error}


@dataclass(frozen=True)
class FolderScores:
    """What the frame says of images on disk; unreadable ones are counted, not scored."""

    images: tuple[ScoredImage, ...]
    scores: ImageScores

    def to_json(self) -> dict[str, Any]:
        """The contract of `score`."""
        n_unreadable = sum(image.verdict is None for image in self.images)
        return {
            "images": [image.to_json() for image in self.images],
            "n_unreadable": n_unreadable,
            **self.scores.to_json(),
        }


def score_images(
    engine: Engine,
    frame: PictureFrame,
    paths: Sequence[Path],
    *,
    hdr_mass: float = 0.9,
    clip: LoadedClip | None = None,
) -> FolderScores:
    """Judge image files; one that cannot be read is recorded as such and does not stop the others.

    Args:
        engine: whose turn and whose embedder are used.
        frame: judges.
        paths: image files.
        hdr_mass: share of genuine images that belong inside.
        clip: the embedder the frame was made with, where that is not the preset's.

    Raises RefusedInputError when there is none, or none can be read, or another embedder made the frame.
    """
    check_mass(hdr_mass)
    if not paths:
        raise RefusedInputError("expected at least one image file, got none: name files or folders of images")
    errors: dict[int, str] = {}
    embeddings: dict[int, NDArray[np.float32]] = {}
    with engine.job("score"):
        clip = clip or engine.clip()
        frame.check_embedder(clip)
        for index, path in enumerate(paths):
            try:
                embeddings[index] = embed_images(clip, [open_image(path)])[0]
            except RefusedInputError as error:
                errors[index] = str(error)
        if not embeddings:
            raise RefusedInputError(next(iter(errors.values())))
        scores = score_embeddings(frame, clip, np.stack(list(embeddings.values())), hdr_mass, seed=0)
    verdict_of = dict(zip(embeddings, scores.verdicts, strict=True))
    images = tuple(
        ScoredImage(str(path), verdict_of.get(index), errors.get(index)) for index, path in enumerate(paths)
    )
    return FolderScores(images, scores)


def embed_image_set(clip: LoadedClip, images: ImageSet, batch_size: int = 64) -> NDArray[np.float32]:
    """(n, d) embeddings of labelled images, few of them in memory at once."""
    starts = range(0, len(images), batch_size)
    batches = (range(start, min(start + batch_size, len(images))) for start in starts)
    return np.concatenate([embed_images(clip, [images.open(index) for index in batch]) for batch in batches])


def frame_report(frame: PictureFrame) -> dict[str, Any]:
    """The contract of `frame`; coverage is the share of held-out images inside any state's region."""
    features = frame.features
    decided = {state: features.decide(rows) for state, rows in frame.held_out.items()}
    return {
        "states": list(features.states),
        "n_fit": dict(features.n_fit),
        "n_held_out": features.n_held_out,
        "thresholds": dict(zip(features.states, features.hcdr.thresholds.tolist(), strict=True)),
        "coverage": {
            state: sum(not verdict.is_hallucination for verdict in verdicts) / len(verdicts)
            for state, verdicts in decided.items()
        },
        "embedder": features.embedder,
        "frame_hash": features.content_hash,
    }


def recipe_chunk(recipe: dict[str, Any]) -> PngInfo:
    """A PNG text chunk named `hallulab` that holds the recipe as JSON."""
    chunk = PngInfo()
    chunk.add_itxt("hallulab", json.dumps(as_plain(recipe), ensure_ascii=False))
    return chunk


def read_recipe(path: Path) -> dict[str, Any] | None:
    """The recipe in a PNG file; None when it has none."""
    with Image.open(path) as image:
        text = getattr(image, "text", {}).get("hallulab")
    return json.loads(text) if text else None


def verdict_json(verdict: Verdict | None) -> dict[str, Any]:
    """log_density{}, inside and margin_nats of one image; null where there is no verdict."""
    if verdict is None:
        return {"log_density": {}, "inside": None, "margin_nats": None}
    return {
        "log_density": _log_density(verdict),
        "inside": not verdict.is_hallucination,
        "margin_nats": verdict.margin_nats,
    }


def unit_rows(embeddings: NDArray[Any]) -> NDArray[np.float64]:
    """(n, d) embeddings, each scaled to length 1."""
    rows = np.asarray(embeddings, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _log_density(verdict: Verdict) -> dict[str, float]:
    return {state.state: state.log_density for state in verdict.states}
