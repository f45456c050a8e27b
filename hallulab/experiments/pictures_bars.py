"""The quality bars of the shipped pictures: drawings, blends and painted images, measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from hallulab.data.fauna import BLEND_KINDS, PETS, draw_face, pet_blend, random_face
from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings, embed_images, stream_images
from hallulab.errors import RefusedInputError
from hallulab.experiments.quality_bar import QualityBar
from hallulab.scoring.picture_frames import PictureFrame, frame_of
from hallulab.theory.intervals import wilson_interval

SEED = 20_000
"""Of every fresh drawing and painted image here; training uses other streams."""
SPECIES_PROMPTS = (
    "a photo of a {}",
    "a realistic photo of a friendly {}",
    "a fluffy {} sitting on a sofa",
    "a cute {}",
)
RATE_PROMPTS = ("a realistic photo of a friendly dog", "a fluffy cat sitting on a sofa", "a cute pet animal")


@dataclass(frozen=True)
class PictureBarSizes:
    """How many images the bars rest on."""

    n_genuine: int = 4000
    """Fresh genuine drawings, both pets together."""
    n_blends: int = 600
    """Fresh cat-dog blends, every kind as often."""
    n_painted: int = 200
    """Painted images whose species is checked."""
    n_rate: int = 64
    """Painted images per prompt and checkpoint."""


def clip_bars(engine: Engine, sizes: PictureBarSizes | None = None) -> tuple[QualityBar, ...]:
    """Coverage of fresh genuine drawings, and detection of blends no training saw."""
    sizes = sizes or PictureBarSizes()
    frame = _frame(engine)
    genuine = genuine_drawings(sizes.n_genuine // len(PETS), seed=SEED)
    blends = blend_drawings(sizes.n_blends, seed=SEED + 1)
    with engine.job("bars"):
        clip = engine.clip()
        margins_of = {
            state: frame.features.margins(embed_images(clip, images)) for state, images in genuine.items()
        }
        blend_margins = frame.features.margins(embed_images(clip, blends))
    bars = [_coverage_bar(f"coverage of genuine {state}s", margins_of[state], 0.87, 0.93) for state in PETS]
    genuine_margins = np.concatenate([margins_of[state] for state in PETS])
    bars.append(
        _auroc_bar("AUROC of the margin, genuine against cat-dog blends", genuine_margins, blend_margins)
    )
    for index, kind in enumerate(BLEND_KINDS):
        margins = blend_margins[index :: len(BLEND_KINDS)]
        name = "blends outside: {} ears, {} eyes, {} nose".format(*kind)
        bars.append(_share_bar(name, int((margins <= 0).sum()), len(margins)))
    return (*bars, *_mean_bars(frame))


def _mean_bars(frame: PictureFrame, n_images: int = 64) -> list[QualityBar]:
    """How often the paper's test of the mean calls a mean of genuine images of one state genuine."""
    null = frame.null_means(n_images, rng=np.random.default_rng(SEED))
    thresholds = frame.features.hcdr.thresholds
    name = "means of {} genuine {}s inside their region (the paper's mean test)"
    return [
        _share_bar(name.format(n_images, state), int((null[state] > threshold).sum()), len(null[state]))
        for state, threshold in zip(frame.features.states, thresholds, strict=True)
    ]


def pictures_bars(engine: Engine, sizes: PictureBarSizes | None = None) -> tuple[QualityBar, ...]:
    """Painted species, coverage through the autoencoder, and the per-image rate of every checkpoint."""
    sizes = sizes or PictureBarSizes()
    frame = _frame(engine)
    with engine.job("bars"):
        clip = engine.clip()
        last = engine.painter()
        bars = [*_species_bars(last, sizes), *_decoder_bars(last, clip, frame, sizes)]
        counts = {
            name: _n_outside(engine.painter(name), clip, frame, sizes.n_rate)
            for name in engine.checkpoint_names("pictures")
        }
    n = sizes.n_rate * len(RATE_PROMPTS)
    bars += [_share_bar(f"painted images outside, {name}", count, n) for name, count in counts.items()]
    tuned = [count for name, count in counts.items() if name != engine.preset.pictures.base_name]
    bars.append(_fall_bar("fall of the rate, first to last fine-tuned checkpoint", tuned[0], tuned[-1], n))
    return tuple(bars)


def genuine_drawings(n_per_pet: int, *, seed: int) -> dict[str, list[Image.Image]]:
    """Pet → fresh genuine drawings."""
    rng = np.random.default_rng(seed)
    return {pet: [draw_face(random_face(pet, rng=rng)) for _ in range(n_per_pet)] for pet in PETS}


def blend_drawings(n: int, *, seed: int) -> list[Image.Image]:
    """Fresh cat-dog blends, their kinds in turn."""
    rng = np.random.default_rng(seed)
    return [draw_face(pet_blend(BLEND_KINDS[index % len(BLEND_KINDS)], rng=rng)) for index in range(n)]


def species_judge(n_per_pet: int = 1000) -> Pipeline:
    """A classifier of cats and dogs fitted on the pixels of genuine drawings, knowing nothing of CLIP."""
    drawings = genuine_drawings(n_per_pet, seed=SEED + 2)
    pixels = np.concatenate([_judge_pixels(drawings[pet]) for pet in PETS])
    judge = make_pipeline(StandardScaler(), PCA(60, random_state=0), SVC())
    return judge.fit(pixels, [pet for pet in PETS for _ in range(n_per_pet)])


def _species_bars(pipeline: Any, sizes: PictureBarSizes) -> list[QualityBar]:
    judge = species_judge()
    fresh = genuine_drawings(300, seed=SEED + 3)
    n_right = sum(int((judge.predict(_judge_pixels(fresh[pet])) == pet).sum()) for pet in PETS)
    n_fresh = sum(map(len, fresh.values()))
    prompts = [(template.format(pet), pet) for template in SPECIES_PROMPTS for pet in PETS]
    n_each = -(-sizes.n_painted // len(prompts))
    n_named = 0
    for index, (prompt, pet) in enumerate(prompts):
        images = paint_images(pipeline, prompt, n_each, seed=SEED + index * n_each)
        n_named += int((judge.predict(_judge_pixels(images)) == pet).sum())
    return [
        _share_bar("genuine drawings the species judge calls right", n_right, n_fresh),
        _share_bar("painted images of the species asked for", n_named, n_each * len(prompts), at_least=0.95),
    ]


def _decoder_bars(pipeline: Any, clip: Any, frame: PictureFrame, sizes: PictureBarSizes) -> list[QualityBar]:
    """Genuine drawings through the autoencoder: how much of "outside" is its blur."""
    genuine = genuine_drawings(sizes.n_genuine // len(PETS), seed=SEED)
    bars = []
    for state, images in genuine.items():
        margins = frame.features.margins(embed_images(clip, through_vae(pipeline, images)))
        bars.append(_coverage_bar(f"coverage of genuine {state}s through the autoencoder", margins))
    return bars


@torch.inference_mode()
def through_vae(pipeline: Any, images: Sequence[Image.Image], batch_size: int = 50) -> list[Image.Image]:
    """Images encoded and decoded by the pipeline's autoencoder."""
    decoded = []
    for start in range(0, len(images), batch_size):
        pixels = pipeline.image_processor.preprocess(list(images[start : start + batch_size]))
        pixels = pixels.to(pipeline.vae.device, pipeline.vae.dtype)
        latents = pipeline.vae.encode(pixels, return_dict=False)[0].mode()
        back = pipeline.vae.decode(latents, return_dict=False)[0]
        decoded += pipeline.image_processor.postprocess(back, output_type="pil")
    return decoded


def paint_images(pipeline: Any, prompt: str, n: int, *, seed: int) -> list[Image.Image]:
    """`n` images of a prompt, in batches small enough for any device."""
    images: list[Image.Image] = []
    for start in range(0, n, 64):
        settings = PaintSettings(n_images=min(64, n - start), seed=seed + start)
        *_, last = stream_images(pipeline, prompt, settings)
        images += last.images
    return images


def _n_outside(pipeline: Any, clip: Any, frame: PictureFrame, n: int) -> int:
    """Images outside every region, over the three prompts of the paper, same seeds for every checkpoint."""
    return sum(
        int(
            (
                frame.features.margins(embed_images(clip, paint_images(pipeline, prompt, n, seed=SEED))) <= 0
            ).sum()
        )
        for prompt in RATE_PROMPTS
    )


def _frame(engine: Engine) -> PictureFrame:
    frame = frame_of(engine)
    if frame is None:
        raise RefusedInputError(
            f"the preset {engine.preset.name} names no frame: its pictures cannot be judged"
        )
    return frame


def _judge_pixels(images: Sequence[Image.Image]) -> NDArray[np.float32]:
    small = [image.convert("RGB").resize((24, 24), Image.Resampling.BOX) for image in images]
    return np.stack([np.asarray(image, dtype=np.float32).ravel() for image in small])


def _share_bar(name: str, count: int, n: int, at_least: float | None = None) -> QualityBar:
    interval = wilson_interval(count, n)
    return QualityBar(name, count / n, n, (interval.low, interval.high), at_least=at_least)


def _coverage_bar(
    name: str, margins: NDArray[np.float64], at_least: float | None = None, at_most: float | None = None
) -> QualityBar:
    n_inside = int((margins > 0).sum())
    interval = wilson_interval(n_inside, len(margins))
    value = n_inside / len(margins)
    return QualityBar(name, value, len(margins), (interval.low, interval.high), at_least, at_most)


def _auroc_bar(name: str, genuine: NDArray[np.float64], blends: NDArray[np.float64]) -> QualityBar:
    """Area under the curve with a bootstrap interval over both samples."""
    rng = np.random.default_rng(SEED)
    resampled = [
        _auroc(rng.choice(genuine, len(genuine)), rng.choice(blends, len(blends))) for _ in range(200)
    ]
    low, high = np.quantile(resampled, [0.025, 0.975])
    n = len(genuine) + len(blends)
    return QualityBar(name, _auroc(genuine, blends), n, (float(low), float(high)), at_least=0.9)


def _auroc(genuine: NDArray[np.float64], blends: NDArray[np.float64]) -> float:
    truth = np.repeat([1, 0], [len(genuine), len(blends)])
    return float(roc_auc_score(truth, np.concatenate([genuine, blends])))


def _fall_bar(name: str, first: int, last: int, n: int) -> QualityBar:
    """Difference of two rates over `n` images each, with Newcombe's interval from the two Wilson intervals."""
    rate_first, rate_last = first / n, last / n
    around_first, around_last = wilson_interval(first, n), wilson_interval(last, n)
    fall = rate_first - rate_last
    low = fall - np.hypot(rate_first - around_first.low, around_last.high - rate_last)
    high = fall + np.hypot(around_first.high - rate_first, rate_last - around_last.low)
    return QualityBar(name, fall, 2 * n, (float(low), float(high)), at_least=0.2)
