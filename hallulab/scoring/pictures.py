"""The images of one prompt with their verdicts: what every way of painting ends in."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from hallulab.engine.pictures import PaintSettings
from hallulab.scoring.picture_recipes import Choice, Recipe, saved_with_recipe
from hallulab.scoring.picture_verdicts import ImageScores, verdict_json
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
    """In order of their seeds; none where guided sampling kept none."""
    scores: ImageScores | None
    """The verdicts; None when there is no image, or no frame to judge with."""
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
    choices: tuple[Choice, ...] = ()
    """How density chose each image; empty where every image was kept."""
    checkpoint_sha256: str | None = None
    """Content hash of the checkpoint; None for one on the Hub."""
    pipeline_sha256: str | None = None
    """Content hash of the base model; None for one on the Hub."""

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
        """What paints image `index` again, and its verdict: the text of its PNG."""
        scores = self.scores
        recipe = Recipe(
            self.prompt,
            self.checkpoint,
            replace(self.settings, n_images=1, seed=self.seed_of(index)),
            checkpoint_sha256=self.checkpoint_sha256,
            pipeline_sha256=self.pipeline_sha256,
            hdr_mass=scores.hcdr.hdr_mass if scores else None,
            frame_hash=scores.hcdr.content_hash if scores else None,
            choice=self.choices[index] if self.choices else None,
        )
        told = self.image_json(index)
        told.pop("path")
        thresholds = scores and dict(zip(scores.hcdr.states, scores.hcdr.thresholds.tolist(), strict=True))
        return {**recipe.to_json(), **told, "thresholds": thresholds}

    def save(self, folder: Path) -> "PaintResult":
        """Write the images as PNG files with their recipes inside; the result that knows their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for index, image in enumerate(self.images):
            path = folder / f"{index:03d}-seed-{self.seed_of(index)}.png"
            saved_with_recipe(image, self.recipe(index), path)
            paths.append(str(path))
        return replace(self, paths=tuple(paths))

    def to_json(self) -> dict[str, Any]:
        """The contract of `paint`."""
        unjudged = (
            "mean",
            "hallucination_rate",
            "n_outside",
            "interval",
            "thresholds",
            "hdr_mass",
            "frame_hash",
        )
        verdicts = (
            self.scores.to_json()
            if self.scores
            else {**dict.fromkeys(unjudged), "n": len(self.images), "reason": self.reason}
        )
        return {
            "prompt": self.prompt,
            "checkpoint": self.checkpoint,
            "checkpoint_sha256": self.checkpoint_sha256,
            "pipeline_sha256": self.pipeline_sha256,
            "seed": self.settings.seed,
            "steps": self.settings.steps,
            "guidance": self.settings.guidance,
            "size": self.settings.size,
            "variance_steps": self.settings.variance_steps,
            "images": [self.image_json(index) for index in range(len(self.images))],
            "embedder": self.frame,
            **verdicts,
        }
