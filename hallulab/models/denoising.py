"""What a UNet of Stable Diffusion is asked while it trains: the noise in noisy latents, given a caption."""

from typing import Any

import torch
from torch import Tensor
from transformers import CLIPTokenizer


def predicted_noise(
    unet: Any, latents: Tensor, noise: Tensor, times: Tensor, text: Tensor, alphas: Tensor
) -> Tensor:
    """(n, channels, side, side) float32: the noise that the UNet finds in latents that are noised to their times.

    Args:
        unet: predicts the noise (ε).
        latents, noise: (n, channels, side, side).
        times: (n,) how far each is on the way to noise.
        text: (n, tokens, width) states of the captions.
        alphas: (n_times,) share of the signal's variance that is left at each time.
    """
    share = alphas[times][:, None, None, None]
    noisy = share.sqrt() * latents + (1 - share).sqrt() * noise
    return unet(noisy, times, text).sample.float()


@torch.no_grad()
def text_states(text_encoder: Any, tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """(n, tokens, width) states of captions under a frozen text encoder."""
    return text_encoder(token_ids(tokenizer, captions).to(text_encoder.device))[0]


def token_ids(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """(n, tokens) ids of captions, padded to the tokenizer's length, too long ones cut."""
    return tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
