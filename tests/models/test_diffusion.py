"""Small Stable Diffusion pipelines: saved and loaded again, and what is refused."""

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline

from hallulab.errors import RefusedInputError
from hallulab.models.diffusion import (
    DiffusionSizes,
    build_unet,
    load_pipeline,
    load_unet,
    save_unet,
    with_unet,
)
from tests.tiny_world import SD_SIZE, write_pictures


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, unets=("step-2",))
    return folder


def truncate(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def test_the_saved_folder_is_a_plain_diffusers_pipeline_without_pickle(world):
    pipeline = StableDiffusionPipeline.from_pretrained(world / "sd-tiny")
    assert pipeline.scheduler.config["steps_offset"] == 1
    assert not pipeline.config["requires_safety_checker"]
    assert not [*world.rglob("*.bin"), *world.rglob("*.pt"), *world.rglob("*.ckpt")]


def test_weights_survive_saving_up_to_half_precision(tmp_path):
    torch.manual_seed(3)
    unet = build_unet(SD_SIZE)
    save_unet(unet, {}, tmp_path)
    loaded = load_unet(str(tmp_path))
    assert unet.dtype == loaded.dtype == torch.float32
    for ours, theirs in zip(unet.parameters(), loaded.parameters(), strict=True):
        torch.testing.assert_close(ours.detach(), theirs, rtol=1e-3, atol=1e-3)


def test_another_unet_shares_the_other_parts_but_not_the_scheduler(world):
    base = load_pipeline(str(world / "sd-tiny"))
    tuned = with_unet(base, load_unet(str(world / "unets" / "step-2")))
    assert tuned.vae is base.vae
    assert tuned.text_encoder is base.text_encoder
    assert tuned.unet is not base.unet
    assert tuned.scheduler is not base.scheduler
    assert type(tuned.scheduler) is type(base.scheduler)


def test_a_unet_of_another_pipeline_is_refused(world):
    base = load_pipeline(str(world / "sd-tiny"))
    other = build_unet(
        DiffusionSizes(image_size=32, vae_widths=(8, 8, 8), unet_widths=(8, 16), text_width=24, norm_groups=4)
    )
    expected = (
        "step-9 does not fit the pipeline: expected cross_attention_dim 16, got 24; use a UNet fine-tuned"
    )
    with pytest.raises(RefusedInputError, match=expected):
        with_unet(base, other, "step-9")


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_truncated_file_of_a_pipeline_is_named(tmp_path, part):
    write_pictures(tmp_path, unets=())
    file = truncate(next((tmp_path / "sd-tiny" / part).glob("*.safetensors")))
    with pytest.raises(
        RefusedInputError, match="the weights file .* is damaged .*: fetch it again"
    ) as refusal:
        load_pipeline(str(tmp_path / "sd-tiny"))
    assert str(file) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_truncated_unet_is_named(tmp_path):
    write_pictures(tmp_path, unets=("step-2",))
    file = truncate(next((tmp_path / "unets" / "step-2").glob("*.safetensors")))
    with pytest.raises(RefusedInputError, match="is damaged") as refusal:
        load_unet(str(file.parent))
    assert str(file) in str(refusal.value)


def test_weights_full_of_rubbish_are_named(tmp_path):
    write_pictures(tmp_path, unets=("step-2",))
    file = next((tmp_path / "unets" / "step-2").glob("*.safetensors"))
    file.write_bytes(b"rubbish" * 100)
    with pytest.raises(RefusedInputError, match="is damaged"):
        load_unet(str(file.parent))


def test_a_folder_without_a_pipeline_is_refused(tmp_path):
    with pytest.raises(
        RefusedInputError, match=r"expected model_index\.json in the pipeline folder .*found none"
    ):
        load_pipeline(str(tmp_path))


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match=r"expected a \.safetensors file in .*, found none"):
        load_unet(str(tmp_path))


def test_a_unet_is_saved_with_other_weights_and_stays_what_it_is(world, tmp_path):
    unet = load_pipeline(str(world / "sd-tiny")).unet
    before = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    save_unet(unet, {"conv_in.bias": torch.full_like(unet.conv_in.bias, 7)}, tmp_path / "saved")
    assert all(torch.equal(tensor, before[name]) for name, tensor in unet.state_dict().items())
    assert str(world) not in (tmp_path / "saved" / "config.json").read_text()
    saved = load_unet(str(tmp_path / "saved")).state_dict()
    assert saved.pop("conv_in.bias").tolist() == [7.0] * len(before["conv_in.bias"])
    assert all(
        torch.equal(tensor, before[name]) for name, tensor in saved.items()
    )  # sd-tiny is in half precision
