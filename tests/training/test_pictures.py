"""A rehearsal of the whole picture training at toy sizes: formats, cards, frozen parts, resuming."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hallulab.engine.pictures import PaintSettings, stream_images
from hallulab.models.diffusion import build_vae, load_pipeline, load_unet, with_unet
from hallulab.records import check_card
from hallulab.training.pictures import PicturesTraining, standardise_latents, train_pictures
from hallulab.training.resumable_loop import LoopSettings
from tests.tiny_world import SD_SIZE

LOOP = LoopSettings(n_steps=4, learning_rate=1e-3, warmup_steps=1, save_every_steps=2)
REHEARSAL = PicturesTraining(
    sizes=SD_SIZE,
    n_base_drawings=16,
    n_pet_drawings=8,
    vae_batch=2,
    unet_batch=2,
    vae=LOOP,
    decoder=LOOP,
    base=LOOP,
    tuning=LOOP,
    checkpoint_steps=(2, 4),
    mixed_precision=False,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    out, work = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("work")
    folders = train_pictures(REHEARSAL, out=out, work=work)
    assert [folder.relative_to(out).as_posix() for folder in folders] == [
        "sd-mini", "sd-mini-pets/step-0002", "sd-mini-pets/step-0004",
    ]  # fmt: skip
    return out, work


def test_every_checkpoint_loads_and_paints(trained):
    out, _ = trained
    base = load_pipeline(str(out / "sd-mini"))
    for step in ("step-0002", "step-0004"):
        pipeline = with_unet(base, load_unet(str(out / "sd-mini-pets" / step)))
        *_, last = stream_images(pipeline, "a cat", PaintSettings(n_images=2, steps=2, size=32))
        assert len(last.images) == 2


def test_every_checkpoint_has_a_card_that_holds(trained):
    out, _ = trained
    for folder in (out / "sd-mini", *(out / "sd-mini-pets").iterdir()):
        assert check_card(folder) == []
        card = json.loads((folder / "card.json").read_text())
        assert card["command"] == "python -m hallulab train small-world pictures"
    assert "No cat-dog blend is in any training" in (out / "sd-mini" / "README.md").read_text().replace(
        "\n", " "
    )


def test_the_training_loss_is_kept_beside_each_checkpoint(trained):
    out, _ = trained
    lines = (out / "sd-mini-pets" / "step-0004" / "losses.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [4]
    assert all(json.loads(line)["loss"] > 0 for line in lines)


def test_weights_are_stored_in_half_precision(trained):
    out, _ = trained
    for file in out.rglob("*.safetensors"):
        assert {tensor.dtype for tensor in load_file(file).values()} <= {torch.float16, torch.int64}


def test_a_second_run_resumes_and_gives_the_same_weights(trained, tmp_path):
    out, work = trained
    train_pictures(REHEARSAL, out=tmp_path, work=work)
    for file in out.rglob("*.safetensors"):
        again = load_file(tmp_path / file.relative_to(out))
        assert all(torch.equal(tensor, again[name]) for name, tensor in load_file(file).items())


def test_cat_and_dog_start_from_words_the_base_knows(trained):
    out, _ = trained
    pipeline = load_pipeline(str(out / "sd-mini"))
    vectors, vocabulary = pipeline.text_encoder.get_input_embeddings().weight, pipeline.tokenizer.get_vocab()
    for new, known in {"cat": "fox", "dog": "bear"}.items():
        assert torch.equal(vectors[vocabulary[f"{new}</w>"]], vectors[vocabulary[f"{known}</w>"]])
    assert not torch.equal(vectors[vocabulary["cat</w>"]], vectors[vocabulary["dog</w>"]])


def test_standardised_latents_decode_to_the_same_images():
    torch.manual_seed(0)
    vae = build_vae(SD_SIZE).eval()
    images = torch.randn(16, 3, 32, 32)
    with torch.no_grad():
        before = vae.decode(vae.encode(images).latent_dist.mode()).sample
        standardise_latents(vae, images)
        latents = vae.encode(images).latent_dist.mode()
        after = vae.decode(latents).sample
    torch.testing.assert_close(latents.mean(dim=(0, 2, 3)), torch.zeros(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.std(dim=(0, 2, 3)), torch.ones(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(before, after, atol=1e-3, rtol=1e-3)
