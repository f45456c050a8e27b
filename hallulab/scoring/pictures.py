"""A prompt painted and judged, and what is kept with each picture."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintedImage, PaintSettings, check_prompt, embed_images, stream_images
from hallulab.records import as_plain
from hallulab.scoring.picture_frames import NO_FRAME, frame_of
from hallulab.scoring.picture_verdicts import ImageScores, score_embeddings, verdict_json
from hallulab.theory.regions import check_mass


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
