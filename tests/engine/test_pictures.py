"""Painting step by step: equal to the pipeline's own call, the same at any batch size, stoppable."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    UniPCMultistepScheduler,
)
from PIL import Image

from hallulab.engine.pictures import (
    MAX_PROMPT_CHARACTERS,
    PaintSettings,
    check_prompt,
    denoise,
    embed_images,
    initial_noise,
    renoised_variances,
    stream_images,
    x0_variances,
)
from hallulab.errors import RefusedInputError
from hallulab.models.clip import LoadedClip, load_clip
from hallulab.models.diffusion import load_pipeline
from tests.tiny_world import write_clip, write_pictures

PROMPT = "a cute cat"
SETTINGS = PaintSettings(n_images=5, seed=7, steps=4, guidance=3.0, size=32, batch_size=5)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, unets=())
    write_clip(folder)
    return folder


@pytest.fixture
def pipeline(world: Path) -> StableDiffusionPipeline:
    return load_pipeline(str(world / "sd-tiny"))


@pytest.fixture(scope="module")
def clip(world: Path) -> LoadedClip:
    return load_clip(f"local-dir:{world / 'clip-tiny'}")


def painted(pipeline: StableDiffusionPipeline, settings: PaintSettings, prompt: str = PROMPT) -> np.ndarray:
    *_, last = stream_images(pipeline, prompt, settings)
    return np.stack([np.asarray(image, dtype=int) for image in last.images])


@pytest.mark.parametrize("guidance", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("scheduler", [None, DDIMScheduler, PNDMScheduler])
def test_equals_the_pipelines_own_call(pipeline, guidance, scheduler):
    if scheduler is not None:
        pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config)
    ours = painted(pipeline, replace(SETTINGS, guidance=guidance))
    theirs = pipeline(
        PROMPT,
        latents=initial_noise(pipeline, list(range(7, 12)), 32),
        num_images_per_prompt=5,
        num_inference_steps=4,
        guidance_scale=guidance,
        height=32,
        width=32,
    ).images
    np.testing.assert_array_equal(ours, np.stack([np.asarray(image, dtype=int) for image in theirs]))


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_the_same_seed_gives_the_same_image_at_any_batch_size(pipeline, batch_size):
    together = painted(pipeline, replace(SETTINGS, n_images=8, batch_size=8))
    apart = painted(pipeline, replace(SETTINGS, n_images=8, batch_size=batch_size))
    # convolutions of another batch size may round differently, by one of 255 grey levels at most
    assert abs(together - apart).max() <= 1
    alone = painted(pipeline, replace(SETTINGS, n_images=1, seed=SETTINGS.seed + 3))
    assert abs(together[3] - alone[0]).max() <= 1
    assert abs(together[3] - together[4]).max() > 1


def test_a_scheduler_that_draws_noise_is_repeatable_per_image(pipeline):
    pipeline.scheduler = EulerAncestralDiscreteScheduler.from_config(pipeline.scheduler.config)
    first = painted(pipeline, replace(SETTINGS, batch_size=5))
    again = painted(pipeline, replace(SETTINGS, batch_size=2))
    assert abs(first - again).max() <= 1


def test_the_initial_noise_of_a_seed_does_not_depend_on_its_neighbours(pipeline):
    together = initial_noise(pipeline, [3, 4, 5], 32)
    torch.testing.assert_close(together[1:2], initial_noise(pipeline, [4], 32), rtol=0, atol=0)


def test_a_step_is_yielded_after_every_denoising_step(pipeline):
    steps = list(stream_images(pipeline, PROMPT, replace(SETTINGS, batch_size=2)))
    assert [step.n_done for step in steps] == list(range(1, 13))  # 3 batches of 4 steps
    assert {step.n_total for step in steps} == {12}
    assert [len(step.images) for step in steps] == [0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 5]
    assert steps[-1].images[0].size == (32, 32)


def test_closing_the_job_stops_it_within_one_step(pipeline):
    calls = []
    pipeline.unet.register_forward_hook(lambda *_: calls.append(1))
    job = stream_images(pipeline, PROMPT, replace(SETTINGS, steps=50))
    for _ in range(3):
        next(job)
    job.close()
    assert len(calls) == 3


def test_jobs_do_not_share_a_schedulers_history(pipeline):
    alone = painted(pipeline, SETTINGS)
    first, second = (stream_images(pipeline, PROMPT, SETTINGS) for _ in range(2))
    *_, last = (step for pair in zip(first, second, strict=True) for step in pair)
    np.testing.assert_array_equal(alone, np.stack([np.asarray(image, dtype=int) for image in last.images]))


SCHEDULERS = (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("scheduler_class", SCHEDULERS)
def test_predicted_x0_is_what_every_scheduler_understands_by_it(pipeline, scheduler_class, kind):
    """A UNet that always knows the clean latents must be read as predicting exactly them."""
    if kind == "sample" and scheduler_class is PNDMScheduler:
        pytest.skip("PNDM knows no sample prediction")
    scheduler = scheduler_class.from_config(pipeline.scheduler.config, prediction_type=kind)
    scheduler.set_timesteps(6)
    clean = initial_noise(pipeline, [50, 51], SETTINGS.size)

    def knows(noisy: torch.Tensor, time: torch.Tensor, **_: object) -> tuple[torch.Tensor]:
        alpha = _interpolated_alpha(scheduler, float(time))
        noise = (noisy - alpha.sqrt() * clean) / (1 - alpha).sqrt()
        said = {
            "epsilon": noise,
            "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * clean,
            "sample": clean,
        }
        return (said[kind],)

    class Knowing:
        config = pipeline.unet.config
        __call__ = staticmethod(knows)

    settings = replace(SETTINGS, n_images=2, steps=6, guidance=0.0)
    pipeline.register_modules(unet=None)
    pipeline.unet = Knowing()
    found = [x0 for _, x0 in denoise(pipeline, scheduler, PROMPT, [0, 1], settings)]
    for x0 in found:
        torch.testing.assert_close(x0, clean, rtol=0, atol=2e-3)
    assert max(x0_variances(found)) < 1e-5


def _interpolated_alpha(scheduler, time: float) -> torch.Tensor:
    """ᾱ at a time between the training steps, interpolated in σ as the schedulers do."""
    alphas = scheduler.alphas_cumprod.numpy()
    sigma = np.interp(time, np.arange(len(alphas)), ((1 - alphas) / alphas) ** 0.5)
    return torch.tensor(1 / (1 + sigma**2), dtype=torch.float32)


def test_x0_variances_by_hand():
    # image 0: values 1, 3 (variance 1) and 0, 0 (0), mean 0.5; image 1: 2, 2 (0) and 0, 4 (4), mean 2
    steps = [torch.tensor([[1.0, 0.0], [2.0, 0.0]]), torch.tensor([[3.0, 0.0], [2.0, 4.0]])]
    steps = [step.reshape(2, 2, 1, 1) for step in steps]
    assert x0_variances(steps) == [0.5, 2.0]
    assert x0_variances(steps[:1]) == [None, None]


def test_every_image_carries_the_variance_of_its_last_predictions(pipeline):
    settings = replace(SETTINGS, steps=6, variance_steps=3, batch_size=2)
    steps = list(stream_images(pipeline, PROMPT, settings))
    painted = steps[-1].painted
    assert [one.seed for one in painted] == [7, 8, 9, 10, 11]
    # the slow obvious twin: collect every prediction of one batch, take the last three
    of_batch = [step.predicted_x0.numpy().astype(float) for step in steps[:6]]
    by_hand = np.var(np.stack(of_batch[-3:]), axis=0).mean(axis=(1, 2, 3))
    np.testing.assert_allclose([one.x0_variance for one in painted[:2]], by_hand, rtol=1e-5)
    *_, other = stream_images(pipeline, PROMPT, replace(settings, batch_size=5))
    np.testing.assert_allclose(
        [one.x0_variance for one in other.painted], [one.x0_variance for one in painted], rtol=1e-3
    )


def test_a_single_step_has_no_variance(pipeline):
    *_, last = stream_images(pipeline, PROMPT, replace(SETTINGS, steps=1))
    assert [one.x0_variance for one in last.painted] == [None] * 5


@pytest.mark.parametrize("scheduler", [None, DDIMScheduler, EulerDiscreteScheduler])
def test_a_picture_painted_elsewhere_is_noised_and_looked_at_again(pipeline, scheduler):
    if scheduler is not None:
        pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config)
    settings = replace(SETTINGS, n_images=1, steps=6, variance_steps=3, batch_size=2)
    images = [Image.new("RGB", (40, 40), colour) for colour in ("red", "white", "black")]
    found = renoised_variances(pipeline, images, PROMPT, settings)
    # the slow obvious twin, for the last picture: noise by hand, then the last three steps
    own = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
    own.set_timesteps(6)
    own.set_begin_index(3) if hasattr(own, "set_begin_index") else None
    with torch.inference_mode():
        pixels = pipeline.image_processor.preprocess(images[2].resize((32, 32)))
        clean = pipeline.vae.encode(pixels).latent_dist.mode() * pipeline.vae.config.scaling_factor
        noise = initial_noise(pipeline, [SETTINGS.seed + 2], 32)
        alpha = _interpolated_alpha(own, float(own.timesteps[3]))
        by_hand = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        if scheduler is EulerDiscreteScheduler:  # its samples are x0 + σ ε
            by_hand = by_hand / alpha.sqrt()
        last = [x0 for _, x0 in denoise(pipeline, own, PROMPT, [9], settings, start=by_hand, first_step=3)]
    assert len(last) == 3
    np.testing.assert_allclose(found[2], x0_variances(last)[0], rtol=1e-3)
    assert len(found) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"variance_steps": 1}, "expected variance steps between 2 and 200, got 1"),
        ({"n_images": 0}, "expected images between 1 and 64, got 0"),
        ({"n_images": -3}, "expected images between 1 and 64, got -3"),
        ({"n_images": 65}, "expected images between 1 and 64, got 65"),
        ({"steps": 0}, "expected steps between 1 and 200, got 0"),
        ({"steps": 100_000}, "expected steps between 1 and 200, got 100000"),
        ({"guidance": -1.0}, r"expected guidance between 0 and 30\.0, got -1"),
        ({"guidance": float("nan")}, r"expected guidance between 0 and 30\.0, got nan"),
        ({"seed": -1}, "expected seed between 0 and 2147483647, got -1"),
        ({"size": 33}, "expected an image size that is a multiple of 8, got 33"),
    ],
)
def test_settings_out_of_range_are_refused(change, words):
    with pytest.raises(RefusedInputError, match=words):
        replace(SETTINGS, **change)


@pytest.mark.parametrize("prompt", ["", "  \n "])
def test_an_empty_prompt_is_refused(pipeline, prompt):
    with pytest.raises(RefusedInputError, match="expected a prompt, got an empty one"):
        next(stream_images(pipeline, prompt, SETTINGS))


def test_a_long_prompt_is_refused(pipeline):
    with pytest.raises(
        RefusedInputError, match=f"at most {MAX_PROMPT_CHARACTERS} characters, got 10000: shorten"
    ):
        next(stream_images(pipeline, "x" * 10_000, SETTINGS))
    assert check_prompt(" a cat ") == "a cat"


def test_a_prompt_longer_than_the_text_encoder_reads_still_paints(pipeline):
    assert painted(pipeline, replace(SETTINGS, n_images=1), "cat " * 100).shape == (1, 32, 32, 3)


def test_embeddings_do_not_depend_on_the_batch(clip):
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)) for _ in range(5)]
    whole = embed_images(clip, images)
    assert whole.shape == (5, 16)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(whole, embed_images(clip, images, batch_size=2), atol=1e-5)


def test_no_image_has_no_embedding(clip):
    with pytest.raises(RefusedInputError, match="expected at least one image to embed, got none"):
        embed_images(clip, [])
