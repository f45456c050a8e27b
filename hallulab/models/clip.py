"""The image embedder of the pictures: an open_clip model, built small or loaded by name."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hallulab.errors import RefusedInputError
from hallulab.records import file_sha256

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

LOCAL_DIR = "local-dir:"
CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
_MEAN_STD = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class ClipSizes:
    """How large a CLIP model built from nothing is; the defaults are `clip-mini`."""

    image_size: int = 64
    """Side of an image, pixels."""
    patch_size: int = 8
    """Side of a patch, pixels."""
    vision_width: int = 96
    """Width of the image transformer."""
    vision_layers: int = 4
    """Layers of the image transformer."""
    text_width: int = 96
    """Width of the text transformer."""
    text_layers: int = 2
    """Layers of the text transformer."""
    embed_dim: int = 96
    """Length of an embedding."""


@dataclass(frozen=True)
class LoadedClip:
    """A CLIP model ready to embed."""

    model: nn.Module
    """The open_clip model, in eval mode."""
    preprocess: Any
    """PIL image → (3, h, w) float tensor."""
    name: str
    """Name and weights tag: the embedder's identity in frames and records."""


def build_clip(sizes: ClipSizes, tokenizer: "CLIPTokenizer") -> tuple[nn.Module, dict[str, Any]]:
    """An untrained open_clip model and the configuration that rebuilds it."""
    import open_clip

    config = {
        "embed_dim": sizes.embed_dim,
        "vision_cfg": {
            "image_size": sizes.image_size,
            "patch_size": sizes.patch_size,
            "width": sizes.vision_width,
            "layers": sizes.vision_layers,
            "head_width": 32,
        },
        "text_cfg": {
            "context_length": tokenizer.model_max_length,
            "vocab_size": len(tokenizer),
            "hf_tokenizer_name": "clip-mini",
            "width": sizes.text_width,
            "heads": sizes.text_width // 32,
            "layers": sizes.text_layers,
        },
    }
    text_cfg: Any = {key: value for key, value in config["text_cfg"].items() if key != "hf_tokenizer_name"}
    return open_clip.CLIP(config["embed_dim"], config["vision_cfg"], text_cfg), config


def save_clip(model: nn.Module, config: dict[str, Any], tokenizer: "CLIPTokenizer", folder: Path) -> None:
    """Write what `local-dir:FOLDER` loads: configuration, half-precision weights, tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    size = config["vision_cfg"]["image_size"]
    preprocessing = {"mean": _MEAN_STD, "std": _MEAN_STD, "size": [size, size], "interpolation": "bicubic"}
    text = json.dumps({"model_cfg": config, "preprocess_cfg": preprocessing}, indent=1)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    weights = {key: value.detach().half().contiguous() for key, value in model.state_dict().items()}
    save_file(weights, folder / WEIGHTS_FILE)
    tokenizer.save_pretrained(folder)


def load_clip(name: str, pretrained: str = "", *, device: torch.device | str = "cpu") -> LoadedClip:
    """Load an open_clip model.

    Args:
        name: an open_clip model name, `hf-hub:…`, or `local-dir:FOLDER`.
        pretrained: open_clip tag of the weights; empty for the two prefixed forms, which hold their own.
        device: where to put it.

    Raises:
        RefusedInputError: nothing by that name, or weights that cannot be read.
    """
    import open_clip

    if name.startswith(LOCAL_DIR):
        _check_local_dir(Path(name.removeprefix(LOCAL_DIR)))
    elif not name.startswith("hf-hub:") and not pretrained:
        raise RefusedInputError(
            f"expected a tag of weights beside {name}, such as openai, got none: name one"
        )
    try:
        model, _, preprocess = open_clip.create_model_and_transforms(
            name, pretrained=pretrained or None, device=device
        )
    except (SafetensorError, json.JSONDecodeError, KeyError, ValueError, RuntimeError, OSError) as error:
        raise RefusedInputError(
            f"expected an open_clip model that loads, got {name!r} {pretrained}: {_first_line(error)}; "
            "check the name, or fetch the file again"
        ) from error
    return LoadedClip(model=model.eval(), preprocess=preprocess, name=_identity(name, pretrained))


@torch.inference_mode()
def embed_pixels(model: nn.Module, pixels: Tensor) -> Tensor:
    """(n, d) image embeddings, float32, not normalised, of preprocessed pixels (n, 3, h, w)."""
    return model.encode_image(pixels).float()  # type: ignore[operator]


def preprocess_images(clip: LoadedClip, images: list[Image.Image]) -> Tensor:
    """(n, 3, h, w) model input; every mode becomes RGB first."""
    return torch.stack([clip.preprocess(image.convert("RGB")) for image in images])


def _check_local_dir(folder: Path) -> None:
    for file in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / file).is_file():
            raise RefusedInputError(
                f"expected {file} in the clip folder {folder}, found none: "
                "rebuild it with `python -m hallulab train small-world clip`"
            )
    try:
        with safe_open(folder / WEIGHTS_FILE, framework="pt"):
            pass
    except (SafetensorError, OSError) as error:
        raise RefusedInputError(
            f"the weights file {folder / WEIGHTS_FILE} is damaged ({_first_line(error)}): fetch it again"
        ) from error


def _identity(name: str, pretrained: str) -> str:
    """A name that means the same weights on every machine: a local folder counts by its content."""
    if not name.startswith(LOCAL_DIR):
        return f"{name} {pretrained}".strip()
    folder = Path(name.removeprefix(LOCAL_DIR))
    return f"{folder.name} {file_sha256(folder / WEIGHTS_FILE)[:16]}"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
