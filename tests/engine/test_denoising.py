"""The held-out loss against one picture and one time at a time, in the tiny world."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from hallulab.data.captioned_pictures import pet_drawings
from hallulab.engine.autoencoder import encode_images
from hallulab.engine.core import Engine
from hallulab.engine.denoising import _noise_and_times, denoising_losses
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError

CAPTIONS = ["a photo of a cat", "a dog", "", "a cute pet animal", "a cat"]


@pytest.fixture(scope="module")
def pipeline(tiny_preset: Path):
    return Engine(load_preset(str(tiny_preset)), device="cpu").painter("step-10")


@pytest.fixture(scope="module")
def images():
    drawings = pet_drawings(5)
    return [drawings.picture(index, 32) for index in range(5)]


@torch.no_grad()
def one_by_one(pipeline, images, *, seed: int, n_times: int) -> list[float]:
    """The slow obvious way, by the noising of diffusers' training scripts."""
    scheduler, found = DDPMScheduler.from_config(pipeline.scheduler.config), []
    for row, (image, caption) in enumerate(zip(images, CAPTIONS, strict=True)):
        latents = encode_images(pipeline, [image])
        noise, times = _noise_and_times(latents.shape[1:], 1000, n_times, seed + row)
        text, _ = pipeline.encode_prompt(caption, "cpu", 1, do_classifier_free_guidance=False)
        errors = []
        for one_noise, time in zip(noise, times, strict=True):
            noisy = scheduler.add_noise(latents, one_noise[None], time[None])
            predicted = pipeline.unet(noisy, time, encoder_hidden_states=text).sample
            errors.append(float(torch.nn.functional.mse_loss(predicted, one_noise[None])))
        found.append(float(np.mean(errors)))
    return found


def test_equal_to_one_picture_and_one_time_at_a_time(pipeline, images):
    found = denoising_losses(pipeline, images, CAPTIONS, seed=3, n_times=4, batch_size=8)
    assert found == pytest.approx(one_by_one(pipeline, images, seed=3, n_times=4), rel=1e-4)
    assert found.std() > 0


def test_a_picture_is_asked_the_same_in_every_batch(pipeline, images):
    whole = denoising_losses(pipeline, images, CAPTIONS, seed=3, n_times=4)
    small = denoising_losses(pipeline, images, CAPTIONS, seed=3, n_times=4, batch_size=1)
    last = denoising_losses(pipeline, images[4:], CAPTIONS[4:], seed=7, n_times=4)
    assert small == pytest.approx(whole, rel=1e-4)
    assert last == pytest.approx(whole[4:], rel=1e-4)


def test_times_are_spread_over_the_whole_way():
    for seed in range(20):
        _, times = _noise_and_times((1, 2, 2), 1000, 4, seed)
        assert (times // 250).tolist() == [0, 1, 2, 3]


def test_refusals(pipeline, images):
    with pytest.raises(RefusedInputError, match="one caption per picture, got 1 for 5"):
        denoising_losses(pipeline, images, ["a cat"], seed=0)
    other = SimpleNamespace(scheduler=SimpleNamespace(config={"prediction_type": "v_prediction"}))
    with pytest.raises(RefusedInputError, match=r"predicts noise \(epsilon\), got v_prediction"):
        denoising_losses(other, images, CAPTIONS, seed=0)
