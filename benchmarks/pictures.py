"""Pictures in batches against one pipeline call per picture: `python benchmarks/pictures.py` prints a table.

Both ways start from the same noise, so that they must give the same pictures; the benchmark compares them pixel by
pixel. Also what torch.compile of the UNet adds, where there is a compiler.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import hallulab.__main__  # noqa: E402, F401  (its threads wait as the app's do)

# isort: split
import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from benchmarks.table import machine, print_markdown, seconds  # noqa: E402
from hallulab.engine.core import Engine  # noqa: E402
from hallulab.engine.picture_batches import picture_batch_size  # noqa: E402
from hallulab.engine.pictures import PaintSettings, initial_noise, stream_images  # noqa: E402
from hallulab.engine.presets import load_preset  # noqa: E402
from hallulab.engine.quiet import quiet_libraries  # noqa: E402

PROMPT = "a cute pet animal"
N_IMAGES = 64
BAR_RATIO = 2.5
BAR_PIXEL = 1.0
"""of 255: mean difference per pixel"""


@dataclass(frozen=True)
class Comparison:
    """Both ways on the same pictures."""

    n_images: int
    batch_size: int
    """chosen by the engine"""
    batched_s: tuple[float, ...]
    one_by_one_s: tuple[float, ...]
    mean_difference: float
    """per pixel and channel, of 255"""
    greatest_difference: int
    """of any pixel, of 255"""

    @property
    def ratio(self) -> float:
        """Images per second of the batched way over those of the other."""
        return median(self.one_by_one_s) / median(self.batched_s)


@dataclass(frozen=True)
class Compiled:
    """What torch.compile of the UNet adds to the batched way."""

    first_s: float | None
    """of the first run, compilation included; None without a compiler"""
    later_s: tuple[float, ...]
    mean_difference: float | None
    reason: str = ""
    """why there is none"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=N_IMAGES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--preset", default=None)
    parser.add_argument("--no-compile", action="store_true")
    asked = parser.parse_args(arguments)
    quiet_libraries()
    engine = Engine(load_preset(asked.preset))
    print(f"{machine()}; device {engine.device}\n")
    found = compare(engine, asked.images, asked.repeats)
    rows = [
        (
            f"{found.n_images} images in batches of {found.batch_size} (the engine's choice)",
            *cells(found.batched_s, found.n_images),
            "",
        ),
        (
            "one pipeline call per image",
            *cells(found.one_by_one_s, found.n_images),
            "",
        ),
        ("… times as many images per second in batches", f"{found.ratio:.2f} ×", "", f"≥ {BAR_RATIO} ×"),
        (
            "difference of the two ways per pixel, mean",
            f"{found.mean_difference:.4f} / 255",
            f"at most {found.greatest_difference}",
            f"≤ {BAR_PIXEL:.0f} / 255",
        ),
    ]
    if not asked.no_compile:
        rows += compiled_rows(compile_and_compare(engine, asked.images, asked.repeats), found)
    print_markdown(("what", "median", "range", "bar"), rows)


def compare(engine: Engine, n_images: int, repeats: int) -> Comparison:
    """Both ways in turn, `repeats` times each after one warm-up, and their pictures held against each other."""
    pipeline, settings = engine.painter(), paint_settings(engine, n_images)
    warm_up = replace(settings, n_images=2, batch_size=2)
    in_batches(pipeline, warm_up)
    one_by_one(pipeline, replace(warm_up, n_images=1))
    batched_s, one_by_one_s = [], []
    ours: list[Image.Image] = []
    theirs: list[Image.Image] = []
    for _ in range(repeats):
        batched_s.append(seconds(lambda: ours.extend(in_batches(pipeline, settings))))
        one_by_one_s.append(seconds(lambda: theirs.extend(one_by_one(pipeline, settings))))
    difference = pixel_differences(ours, theirs)
    return Comparison(
        n_images,
        settings.batch_size,
        tuple(batched_s),
        tuple(one_by_one_s),
        float(difference.mean()),
        int(difference.max()),
    )


def compile_and_compare(engine: Engine, n_images: int, repeats: int) -> Compiled:
    """The batched way with a compiled UNet; what is missing for it is said."""
    pipeline, settings = engine.painter(), paint_settings(engine, n_images)
    whole = replace(settings, n_images=n_images - n_images % settings.batch_size or n_images)
    plain = in_batches(pipeline, whole)
    forward = pipeline.unet.forward
    found: list[Image.Image] = []
    try:
        pipeline.unet.forward = torch.compile(forward, dynamic=False)
        first_s = seconds(lambda: in_batches(pipeline, replace(whole, n_images=whole.batch_size)))
        later_s = tuple(seconds(lambda: found.extend(in_batches(pipeline, whole))) for _ in range(repeats))
    except Exception as error:  # whatever a missing or broken compiler raises
        return Compiled(None, (), None, " ".join(f"{type(error).__name__}: {error}".split())[:120])
    finally:
        pipeline.unet.forward = forward
    scaled_s = tuple(value * n_images / whole.n_images for value in later_s)
    return Compiled(first_s, scaled_s, float(pixel_differences(found, plain * repeats).mean()))


def compiled_rows(compiled: Compiled, found: Comparison) -> list[tuple[str, str, str, str]]:
    """What compilation costs and adds."""
    if compiled.first_s is None or compiled.mean_difference is None:
        return [("torch.compile of the UNet", "not measured", compiled.reason, "")]
    gain = median(found.batched_s) / median(compiled.later_s)
    return [
        ("the same batches, UNet compiled", *cells(compiled.later_s, found.n_images), ""),
        ("… times as many images per second as not compiled", f"{gain:.2f} ×", "", ""),
        ("first batch with compilation", f"{compiled.first_s:.1f} s", "", ""),
        (
            "difference to not compiled per pixel, mean",
            f"{compiled.mean_difference:.4f} / 255",
            "",
            f"≤ {BAR_PIXEL:.0f} / 255",
        ),
    ]


def paint_settings(engine: Engine, n_images: int) -> PaintSettings:
    """The preset's numbers and the engine's batch size."""
    pictures = engine.preset.pictures
    return PaintSettings(
        n_images=n_images,
        steps=pictures.steps,
        guidance=pictures.guidance,
        size=pictures.size,
        batch_size=picture_batch_size(engine.device, pictures.size, n_images),
    )


def in_batches(pipeline: Any, settings: PaintSettings) -> list[Image.Image]:
    """As everything in this project paints."""
    *_, last = stream_images(pipeline, PROMPT, settings)
    return list(last.images)


def one_by_one(pipeline: Any, settings: PaintSettings) -> list[Image.Image]:
    """The slow obvious way, as the paper's code does it: one call per image, from the same noise."""
    pipeline.set_progress_bar_config(disable=True)
    return [
        pipeline(
            PROMPT,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            height=settings.size,
            width=settings.size,
            latents=initial_noise(pipeline, [seed], settings.size).to(pipeline.device, pipeline.unet.dtype),
        ).images[0]
        for seed in range(settings.seed, settings.seed + settings.n_images)
    ]


def pixel_differences(ours: Sequence[Image.Image], theirs: Sequence[Image.Image]) -> np.ndarray:
    """(n, side, side, 3) absolute differences, of 255."""
    first, second = (
        np.stack([np.asarray(image, dtype=int) for image in images]) for images in (ours, theirs)
    )
    return np.abs(first - second)


def cells(values_s: Sequence[float], n_images: int) -> tuple[str, str]:
    """Images per second: median and range."""
    per_s = [n_images / value for value in values_s]
    return f"{median(per_s):.2f} images/s", f"{min(per_s):.2f} … {max(per_s):.2f}"


if __name__ == "__main__":
    main()
