"""The small open_clip model: saved, loaded through open_clip, and what is refused."""

import json
from pathlib import Path

import open_clip
import pytest
import torch
from PIL import Image

from hallulab.errors import RefusedInputError
from hallulab.models.caption_tokenizer import learn_caption_tokenizer
from hallulab.models.clip import build_clip, embed_pixels, load_clip, preprocess_images, save_clip
from tests.tiny_world import CAPTIONS, CLIP_SIZE, write_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clip")
    write_clip(root)
    return root / "clip-tiny"


def test_saved_weights_give_the_same_embeddings(tmp_path):
    torch.manual_seed(0)
    tokenizer = learn_caption_tokenizer(CAPTIONS, n_merges=20, max_tokens=12)
    model, config = build_clip(CLIP_SIZE, tokenizer)
    save_clip(model, config, tokenizer, tmp_path / "clip")
    loaded = load_clip(f"local-dir:{tmp_path / 'clip'}")
    pixels = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(
        embed_pixels(model.eval(), pixels), embed_pixels(loaded.model, pixels), rtol=0.02, atol=0.02
    )


def test_open_clip_finds_the_tokenizer_in_the_folder(folder):
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(["a cute cat", "a dog"])
    assert tokens.shape == (2, 12)
    model = load_clip(f"local-dir:{folder}").model
    assert model.encode_text(tokens).shape == (2, CLIP_SIZE.embed_dim)


def test_the_name_follows_the_content_not_the_place(folder, tmp_path):
    copy = tmp_path / "clip-tiny"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert load_clip(f"local-dir:{copy}").name == load_clip(f"local-dir:{folder}").name
    assert load_clip(f"local-dir:{folder}").name.startswith("clip-tiny ")


def test_any_image_mode_is_preprocessed(folder):
    clip = load_clip(f"local-dir:{folder}")
    pixels = preprocess_images(clip, [Image.new("L", (50, 40)), Image.new("RGBA", (9, 9))])
    assert pixels.shape == (2, 3, 32, 32)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RefusedInputError, match=r"expected open_clip_config\.json in the clip folder"):
        load_clip(f"local-dir:{tmp_path}")


@pytest.mark.parametrize("keep", [0.5, 0.0])
def test_damaged_weights_are_named(tmp_path, keep):
    write_clip(tmp_path)
    file = tmp_path / "clip-tiny" / "open_clip_model.safetensors"
    file.write_bytes(file.read_bytes()[: int(keep * file.stat().st_size)])
    with pytest.raises(
        RefusedInputError, match=r"the weights file .*open_clip_model\.safetensors is damaged"
    ):
        load_clip(f"local-dir:{file.parent}")


def test_a_damaged_configuration_is_refused(tmp_path):
    write_clip(tmp_path)
    (tmp_path / "clip-tiny" / "open_clip_config.json").write_text(json.dumps({"nothing": 1}))
    with pytest.raises(RefusedInputError, match="expected an open_clip model that loads"):
        load_clip(f"local-dir:{tmp_path / 'clip-tiny'}")


def test_a_model_name_needs_a_tag():
    with pytest.raises(RefusedInputError, match="expected a tag of weights beside ViT-B-32, such as openai"):
        load_clip("ViT-B-32")


def test_an_unknown_name_is_refused():
    with pytest.raises(
        RefusedInputError, match="expected an open_clip model that loads, got 'ViT-none' openai"
    ):
        load_clip("ViT-none", "openai")
