"""The fine-tuning loop: equal to a plain one, the same however it is split, killed or resumed."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file
from torch import Tensor, nn

from hallulab.data.captioned_pictures import DrawnPictures, pet_drawings
from hallulab.errors import HallulabError, RefusedInputError
from hallulab.models.diffusion import build_unet, load_pipeline
from hallulab.training.latent_cache import cached_latents
from hallulab.training.resumable_loop import LoopSettings, learning_rate_at
from hallulab.training.unet_checkpoints import TunedUnet, TuningCard, tune_checkpoints
from hallulab.training.unet_tuning import UnetTuning, start_accelerator, steps_done, tune_unet
from tests.tiny_world import SD_SIZE, write_pictures
from tests.training.conftest import forget_accelerate

SIZE = SD_SIZE.image_size
LOOP = LoopSettings(n_steps=12, learning_rate=2e-3, warmup_steps=3, ema_decay=0.9, save_every_steps=5)
SETTINGS = UnetTuning(loop=LOOP, batch_size=4, checkpoint_steps=(4, 12), precision="float32")
PICTURES = pet_drawings(12)
CARD = TuningCard(title="a tiny UNet", base="sd-tiny", command="none")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    write_pictures(folder, unets=())
    return folder / "sd-tiny"


@pytest.fixture
def pipeline(folder: Path) -> StableDiffusionPipeline:
    return load_pipeline(str(folder))


def tune_in(
    pipeline: Path, run: Path, settings: UnetTuning = SETTINGS, pictures: Any = PICTURES
) -> tuple[TunedUnet, ...]:
    """Run or resume a tuning of the tiny pipeline."""
    return tune_checkpoints(
        load_pipeline(str(pipeline)),
        pictures,
        settings,
        CARD,
        size=SIZE,
        out=run,
        work=run / "training",
        accelerator=start_accelerator(settings, cpu=True),
    )


@pytest.fixture
def tune(folder: Path, tmp_path: Path) -> Callable[..., tuple[TunedUnet, ...]]:
    """Run or resume a tuning in a folder below `tmp_path`."""
    return lambda name, *settings, **others: tune_in(folder, tmp_path / name, *settings, **others)


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unbroken run with SETTINGS; not to be changed."""
    run = tmp_path_factory.mktemp("tuning") / "whole"
    tune_in(folder, run)
    return run


@pytest.fixture
def finished(whole: Path, tmp_path: Path) -> Path:
    """A copy of that run at `tmp_path / "run"`."""
    return shutil.copytree(whole, tmp_path / "run")


def state_of(run: Path) -> dict[str, Tensor]:
    """Weights, average, moments and losses, all in float32."""
    return load_file(run / "training" / "state" / "last.safetensors")


def assert_same_state(run: Path, other: Path) -> None:
    found, expected = state_of(run), state_of(other)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def plain_tuning(
    pipeline: StableDiffusionPipeline, latents: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor], list[float]]:
    """The obvious loop: weights, their average, and the loss of every step."""
    unet, alphas = pipeline.unet.train(), pipeline.scheduler.alphas_cumprod
    weights = dict(unet.named_parameters())
    average = {name: weight.detach().clone() for name, weight in weights.items()}
    optimizer = torch.optim.AdamW(weights.values(), lr=1.0, betas=LOOP.betas, weight_decay=LOOP.weight_decay)
    losses = []
    for step in range(LOOP.n_steps):
        indices, captions = PICTURES.batch(step, 4)
        tokens = pipeline.tokenizer(
            captions, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        seed = int(np.random.SeedSequence([0, 5, step]).generate_state(1)[0])
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(latents[indices].shape, generator=generator)
        times = torch.randint(0, 1000, (4,), generator=generator)
        share = alphas[times].reshape(4, 1, 1, 1)
        with torch.no_grad():
            text = pipeline.text_encoder(tokens)[0]
        noisy = share.sqrt() * latents[indices].float() + (1 - share).sqrt() * noise
        loss = ((unet(noisy, times, text).sample - noise) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights.values(), LOOP.clip_norm)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, LOOP)
        optimizer.step()
        losses.append(loss.item())
        decay = min(0.9, (2 + step) / (11 + step))
        for name, weight in weights.items():
            average[name].lerp_(weight.detach(), 1 - decay)
    return {name: weight.detach() for name, weight in weights.items()}, average, losses


def test_it_does_what_a_plain_loop_does(pipeline, whole):
    found = state_of(whole)
    latents = load_file(next((whole / "training" / "latents").iterdir()))["latents"]
    weights, average, losses = plain_tuning(pipeline, latents)
    assert found["losses"].tolist() == pytest.approx(losses, rel=1e-5)
    for name, weight in weights.items():
        torch.testing.assert_close(found[f"weight/{name}"], weight, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found[f"averaged/{name}"], average[name], rtol=1e-4, atol=1e-5)


def test_the_loss_falls_and_the_frozen_parts_stay(pipeline, tmp_path):
    settings = replace(SETTINGS, loop=replace(LOOP, n_steps=40), checkpoint_steps=(40,))
    before = {
        name: tensor.clone()
        for part in (pipeline.vae, pipeline.text_encoder)
        for name, tensor in part.state_dict().items()
    }
    losses = tune_unet(
        pipeline,
        PICTURES,
        settings,
        size=SIZE,
        work=tmp_path,
        accelerator=start_accelerator(settings, cpu=True),
        on_checkpoint=lambda _: None,
    )
    assert losses[-15:].mean() < 0.9 * losses[:15].mean()
    for part in (pipeline.vae, pipeline.text_encoder):
        assert all(torch.equal(tensor, before[name]) for name, tensor in part.state_dict().items())
    held = dict(pipeline.unet.named_parameters())
    state = load_file(tmp_path / "state" / "last.safetensors")
    assert all(torch.equal(weight, state[f"averaged/{name}"]) for name, weight in held.items())
    assert not pipeline.unet.training


@pytest.mark.parametrize("change", [{"accumulation_steps": 4}, {"gradient_checkpointing": True}])
def test_memory_is_saved_without_another_result(tune, whole, tmp_path, change):
    forget_accelerate()  # it remembers the number of parts
    tune("saving", replace(SETTINGS, **change))
    forget_accelerate()
    found, expected = state_of(tmp_path / "saving"), state_of(whole)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=2e-3, atol=2e-5)


class Killed(Exception):
    pass


class DyingPictures(DrawnPictures):
    """Pictures that kill the training at one step."""

    def __init__(self, killed_at: int) -> None:
        super().__init__(("cat", "dog"), 12, generic=("a cute pet animal", "a pet", "a photo of a pet"))
        self.killed_at = killed_at

    def batch(self, step: int, n: int):
        if step == self.killed_at:
            raise Killed
        return super().batch(step, n)


@pytest.mark.parametrize("killed_at", [3, 5, 11])
def test_a_broken_run_ends_where_an_unbroken_one_does(tune, whole, tmp_path, killed_at):
    with pytest.raises(Killed):
        tune("broken", pictures=DyingPictures(killed_at))
    assert steps_done(tmp_path / "broken" / "training") == killed_at // 5 * 5
    found = tune("broken")
    assert_same_state(tmp_path / "broken", whole)
    assert [unet.step for unet in found] == [4, 12]
    assert found[-1].loss == pytest.approx(state_of(whole)["losses"].mean().item())
    for unet in found:
        for name in ("diffusion_pytorch_model.safetensors", "config.json", "losses.jsonl"):
            assert (unet.path / name).read_bytes() == (whole / unet.path.name / name).read_bytes()


KILLED_RUN = """
import sys
from pathlib import Path
import torch
from tests.training.test_unet_tuning import CARD, PICTURES, SIZE, long_run
from hallulab.models.diffusion import load_pipeline
from hallulab.training.unet_checkpoints import tune_checkpoints
from hallulab.training.unet_tuning import start_accelerator
torch.set_num_threads(int(sys.argv[3]))
out = Path(sys.argv[2])
tune_checkpoints(
    load_pipeline(sys.argv[1]), PICTURES, long_run(), CARD,
    size=SIZE, out=out, work=out / "training", accelerator=start_accelerator(long_run(), cpu=True),
)
"""


def long_run() -> UnetTuning:
    """Long enough to be killed in its middle."""
    loop = replace(LOOP, n_steps=50, save_every_steps=5)
    return replace(SETTINGS, loop=loop, checkpoint_steps=(10, 50))


def test_a_killed_process_ends_where_an_unbroken_one_does(folder, tune, tmp_path):
    killed = tmp_path / "killed"
    arguments = [sys.executable, "-c", KILLED_RUN, str(folder), str(killed), str(torch.get_num_threads())]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while steps_done(killed / "training") < 10 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 10 <= steps_done(killed / "training") < 50
    tune("killed", long_run())
    tune("whole", long_run())
    assert_same_state(killed, tmp_path / "whole")


def test_a_run_at_a_constant_rate_can_be_made_longer(tune, tmp_path):
    long = replace(SETTINGS, loop=replace(LOOP, cosine=False))
    short = replace(long, loop=replace(long.loop, n_steps=7), checkpoint_steps=(4, 7))
    tune("run", short)
    tune("run", replace(long, checkpoint_steps=(4, 7, 12)))
    tune("whole", long)
    assert_same_state(tmp_path / "run", tmp_path / "whole")


def test_without_an_average_a_checkpoint_holds_the_weights(tune, tmp_path):
    (_, last) = tune("run", replace(SETTINGS, loop=replace(LOOP, ema_decay=0.0)))
    state = state_of(tmp_path / "run")
    assert not any(name.startswith("averaged/") for name in state)
    for name, tensor in load_file(last.path / "diffusion_pytorch_model.safetensors").items():
        assert torch.equal(tensor, state[f"weight/{name}"].half())


def test_a_run_goes_on_from_the_state_of_any_checkpoint(tune, whole, tmp_path):
    tune("run")
    states = tmp_path / "run" / "training" / "state"
    assert sorted(path.name for path in states.iterdir()) == [
        "last.safetensors", "step-0004.safetensors", "step-0012.safetensors",
    ]  # fmt: skip
    (states / "step-0004.safetensors").replace(states / "last.safetensors")
    assert steps_done(tmp_path / "run" / "training") == 4
    tune("run")
    assert_same_state(tmp_path / "run", whole)


def test_the_last_state_alone_is_kept_when_asked(tune, tmp_path):
    assert not UnetTuning.as_in_paper().keep_states  # ten states of a large model would fill a disk
    unets = tune("run", replace(SETTINGS, keep_states=False))
    assert [path.name for path in (tmp_path / "run" / "training" / "state").iterdir()] == ["last.safetensors"]
    assert [unet.state for unet in unets] == [None, None]


def test_a_run_holds_no_pickle(whole):
    found = {path.suffix for path in whole.rglob("*") if path.is_file()}
    assert found == {".safetensors", ".json", ".jsonl", ".md"}


def test_half_precision_computes_in_it_and_keeps_whole_weights(tune, whole, tmp_path):
    forget_accelerate()
    tune("half", replace(SETTINGS, precision="bfloat16"))
    forget_accelerate()
    half, exact = state_of(tmp_path / "half"), state_of(whole)
    assert {tensor.dtype for tensor in half.values()} == {torch.float32}
    assert half["losses"].tolist() == pytest.approx(exact["losses"].tolist(), rel=0.05)
    assert half["losses"].tolist() != exact["losses"].tolist()


class CountedPictures(DrawnPictures):
    """Pictures that count how often one is drawn."""

    n_drawn = 0

    def picture(self, index: int, size: int):
        self.n_drawn += 1
        return super().picture(index, size)


def test_latents_are_computed_once_and_scaled(pipeline, tmp_path):
    pictures = CountedPictures(("cat", "dog"), 5, generic=("a pet",))
    accelerator = start_accelerator(SETTINGS, cpu=True)
    plain = cached_latents(pipeline.vae, pictures, SIZE, folder=tmp_path / "plain", accelerator=accelerator)
    again = cached_latents(pipeline.vae, pictures, SIZE, folder=tmp_path / "plain", accelerator=accelerator)
    assert pictures.n_drawn == 5
    assert torch.equal(plain, again)
    pipeline.vae.register_to_config(scaling_factor=0.5)
    half = cached_latents(pipeline.vae, pictures, SIZE, folder=tmp_path / "half", accelerator=accelerator)
    torch.testing.assert_close(half, plain / 2, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"batch_size": 13},
            "at least as many pictures as a batch holds, 13, got 12: add pictures or choose",
        ),
        (
            {"accumulation_steps": 3},
            "1 processes can split into 3 equal parts each, got 4: choose a multiple of 3",
        ),
    ],
)
def test_a_batch_that_does_not_go_is_refused(tune, change, words):
    forget_accelerate()
    with pytest.raises(RefusedInputError, match=words):
        tune("run", replace(SETTINGS, **change))
    forget_accelerate()


def test_a_unet_that_does_not_fit_is_refused(pipeline, tmp_path):
    accelerator = start_accelerator(SETTINGS, cpu=True)

    def refusal(pipeline: StableDiffusionPipeline, size: int = SIZE) -> str:
        with pytest.raises(RefusedInputError) as found:
            tune_unet(
                pipeline, PICTURES, SETTINGS, size=size, work=tmp_path, accelerator=accelerator,
                on_checkpoint=lambda _: None,
            )  # fmt: skip
        return str(found.value)

    assert "multiple of 4 pixels, got 30" in refusal(pipeline, size=30)
    pipeline.scheduler.register_to_config(prediction_type="v_prediction")
    assert "predicts noise (epsilon), got one that predicts v_prediction" in refusal(pipeline)
    pipeline.scheduler.register_to_config(prediction_type="epsilon")
    pipeline.unet = build_unet(replace(SD_SIZE, text_width=24))
    assert "does not fit the pipeline: expected cross_attention_dim 16, got 24" in refusal(pipeline)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "whose seed is 0, got 1: repeat its command, or choose another folder"),
        ({"loop": replace(LOOP, learning_rate=0.1)}, "whose learning rate is 0.002, got 0.1"),
        ({"loop": replace(LOOP, n_steps=13)}, "whose number of steps is 12, got 13"),
        (
            {"checkpoint_steps": (4, 6, 12)},
            "checkpoints after step 12, which the run in .* has reached.* got step 6",
        ),
    ],
)
@pytest.mark.usefixtures("finished")
def test_another_run_is_not_gone_on_with(tune, change, words):
    with pytest.raises(RefusedInputError, match=words):
        tune("run", replace(SETTINGS, **change))


@pytest.mark.usefixtures("finished")
def test_other_pictures_are_not_gone_on_with(tune):
    with pytest.raises(RefusedInputError, match="whose fingerprint of the pictures is"):
        tune("run", pictures=pet_drawings(13))


def test_what_touches_no_weight_may_change(tune, finished):
    state = finished / "training" / "state" / "last.safetensors"
    before = state.stat().st_mtime_ns
    tune("run", replace(SETTINGS, checkpoint_steps=(12,), loop=replace(LOOP, save_every_steps=1)))
    assert state.stat().st_mtime_ns == before


def test_a_loss_that_is_no_number_stops_the_run(tune, tmp_path):
    with pytest.raises(
        HallulabError, match=r"the training loss of step \d+ is (nan|inf): choose a lower learning"
    ):
        tune("run", replace(SETTINGS, loop=replace(LOOP, learning_rate=1e30, warmup_steps=0)))
    assert steps_done(tmp_path / "run" / "training") == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 0}, "batch size of at least 1, got 0"),
        ({"accumulation_steps": 0}, "accumulation steps of at least 1, got 0"),
        ({"loop": replace(LOOP, n_steps=0)}, "steps of at least 1, got 0"),
        ({"loop": replace(LOOP, learning_rate=0.0)}, "learning rate above 0, got 0.0"),
        ({"loop": replace(LOOP, learning_rate=float("nan"))}, "learning rate above 0, got nan"),
        ({"loop": replace(LOOP, clip_norm=0.0)}, "gradient norm above 0, got 0.0"),
        ({"loop": replace(LOOP, weight_decay=-1.0)}, "weight decay of at least 0, got -1.0"),
        ({"loop": replace(LOOP, warmup_steps=-1)}, "warm-up steps of at least 0, got -1"),
        (
            {"loop": replace(LOOP, ema_decay=1.0)},
            "EMA decay of at least 0, which means none, and below 1, got 1.0",
        ),
        ({"checkpoint_steps": (13,)}, "checkpoints at steps from 1 to 12, got 13"),
        ({"checkpoint_steps": ()}, "checkpoints at steps from 1 to 12, got none"),
        ({"precision": "int8"}, "expected a precision out of auto, float32, bfloat16, float16, got 'int8'"),
    ],
)
def test_wrong_settings_are_refused(change, words):
    with pytest.raises(RefusedInputError, match=words):
        replace(SETTINGS, **change)


def test_the_papers_numbers():
    paper = UnetTuning.as_in_paper()
    assert (paper.loop.learning_rate, paper.loop.weight_decay, paper.batch_size) == (1e-5, 1e-2, 8)
