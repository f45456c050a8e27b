"""Latents of pictures, computed once by a frozen autoencoder and kept on disk."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from hallulab.data.captioned_pictures import CaptionedPictures
from hallulab.training.resumable_loop import save_tensors

N_PER_FILE = 512
"""latents in one file; a killed run loses at most these"""
PIXELS_AT_ONCE = 64 * 64 * 64
"""pixels that the autoencoder encodes at once: 64 images of 64 pixels a side, one of 512"""


def cached_latents(
    vae: AutoencoderKL, pictures: CaptionedPictures, size: int, *, folder: Path, accelerator: Accelerator
) -> Tensor:
    """(n, channels, side, side) most likely latents in half precision, on the CPU, scaled as the UNet sees them.

    The processes of `accelerator` share the work; what `folder` already holds is not computed again.
    """
    starts = range(0, len(pictures), N_PER_FILE)
    paths = [folder / f"{start:08d}.safetensors" for start in starts]
    mine = list(zip(starts, paths, strict=True))[accelerator.process_index :: accelerator.num_processes]
    missing = [(start, path) for start, path in mine if not path.exists()]
    bar = tqdm(missing, desc="latents", mininterval=5, disable=not (missing and accelerator.is_main_process))
    for start, path in bar:
        stop = min(start + N_PER_FILE, len(pictures))
        save_tensors(path, {"latents": _latents(vae, pictures, range(start, stop), size)})
    accelerator.wait_for_everyone()
    return torch.cat([load_file(path)["latents"] for path in paths])


def images_to_tensor(images: list[Image.Image]) -> Tensor:
    """(n, 3, h, w) float32 in [-1, 1] from RGB images."""
    stacked = np.stack([np.asarray(image) for image in images])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def encode(vae: AutoencoderKL, images: Tensor) -> Tensor:
    """(n, channels, side, side) most likely latents of images (n, 3, h, w) in [-1, 1], not scaled."""
    posterior: Any = vae.encode(images, return_dict=False)[0]
    return posterior.mode()


def _latents(vae: AutoencoderKL, pictures: CaptionedPictures, indices: range, size: int) -> Tensor:
    n_at_once = max(1, PIXELS_AT_ONCE // size**2)
    parts = []
    for start in range(indices.start, indices.stop, n_at_once):
        some = range(start, min(start + n_at_once, indices.stop))
        images = images_to_tensor([pictures.picture(index, size) for index in some])
        parts.append((encode(vae, images.to(vae.device)) * vae.config["scaling_factor"]).half().cpu())
    return torch.cat(parts)
