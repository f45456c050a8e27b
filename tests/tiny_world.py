"""A world of tiny untrained models written in the real formats, for tests of everything but quality."""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file

from hallulab.models.caption_tokenizer import learn_caption_tokenizer
from hallulab.models.clip import ClipSizes, build_clip, save_clip
from hallulab.models.diffusion import (
    DiffusionSizes,
    assemble_pipeline,
    build_text_encoder,
    build_unet,
    build_vae,
    save_pipeline,
)
from hallulab.models.qwen import MiniQwenSettings, build_mini_qwen, save_qwen, train_tokenizer

QWEN_SIZE = MiniQwenSettings(
    vocab_size=300, hidden_size=24, intermediate_size=48, n_layers=2, n_heads=2, n_key_value_heads=1
)
SD_SIZE = DiffusionSizes(
    image_size=32, vae_widths=(8, 8, 8), unet_widths=(8, 16), text_width=16, text_layers=1, n_heads=2,
    norm_groups=4,
)  # fmt: skip
CLIP_SIZE = ClipSizes(
    image_size=32, patch_size=8, vision_width=32, vision_layers=1, text_width=32, text_layers=1, embed_dim=16
)
TEXTS = ["What is a good pet?", "A cat, because it is calm.", "A goldfish."]
CAPTIONS = ["a cat with pointed ears", "a dog with floppy ears", "a cute pet animal"]


def write_words(folder: Path, adapters: tuple[str, ...] = ("epoch-2", "epoch-10")) -> None:
    """`qwen-tiny` and one folder per adapter under `adapters`, all random, in half precision."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(TEXTS * 5, QWEN_SIZE)
    save_qwen(build_mini_qwen(tokenizer, QWEN_SIZE), tokenizer, folder / "qwen-tiny")
    for name in adapters:
        config = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
        model = get_peft_model(build_mini_qwen(tokenizer, QWEN_SIZE), config)
        config.base_model_name_or_path = "qwen-tiny"
        config.save_pretrained(str(folder / "adapters" / name))
        weights = {key: value.half() for key, value in get_peft_model_state_dict(model).items()}
        save_file(weights, folder / "adapters" / name / "adapter_model.safetensors")


def write_pictures(folder: Path, unets: tuple[str, ...] = ("step-2", "step-10")) -> None:
    """`sd-tiny` and one folder per UNet under `unets`, all random, in half precision."""
    torch.manual_seed(1)
    tokenizer = learn_caption_tokenizer(CAPTIONS, n_merges=20, max_tokens=12)
    encoder = build_text_encoder(SD_SIZE, tokenizer)
    pipeline = assemble_pipeline(build_vae(SD_SIZE), build_unet(SD_SIZE), encoder, tokenizer)
    save_pipeline(pipeline, folder / "sd-tiny")
    for name in unets:
        build_unet(SD_SIZE).half().save_pretrained(folder / "unets" / name)


def write_clip(folder: Path) -> None:
    """`clip-tiny`, random."""
    torch.manual_seed(2)
    tokenizer = learn_caption_tokenizer(CAPTIONS, n_merges=20, max_tokens=12)
    model, config = build_clip(CLIP_SIZE, tokenizer)
    save_clip(model, config, tokenizer, folder / "clip-tiny")


def write_world(folder: Path) -> Path:
    """Every model, and the preset file `tiny.json` that names them."""
    write_words(folder)
    write_pictures(folder)
    write_clip(folder)
    preset = {
        "title": "Tiny untrained models",
        "words": {
            "base": "./qwen-tiny",
            "adapters": "./adapters",
            "max_new_tokens": 8,
            "example_questions": ["What is a good pet for a small flat?"],
        },
        "pictures": {
            "pipeline": "./sd-tiny",
            "unets": "./unets",
            "clip_model": "local-dir:./clip-tiny",
            "frame": "./frame",
            "size": 32,
            "steps": 2,
            "example_prompts": ["a cute pet animal"],
        },
    }
    (folder / "tiny.json").write_text(json.dumps(preset))
    return folder / "tiny.json"
