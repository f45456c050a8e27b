"""How many pictures are painted at once."""

import torch

from hallulab.engine.device import free_bytes

ON_A_CPU = 16
"""pictures of the small world: fewer leave cores idle, more fall out of the caches"""
BYTES_PER_PIXEL = 12_000
"""of a picture while it is painted with guidance and decoded, generously: 3 GB for one of 512²"""
MEMORY_SHARE = 0.6
"""of what is free on the device, for pictures being painted"""
MOST_AT_ONCE = 64


def picture_batch_size(device: torch.device, size: int, n_images: int) -> int:
    """Pictures of `size`² pixels to paint at once out of `n_images`, in batches as equal as they can be."""
    if device.type == "cpu":
        fitting = max(1, ON_A_CPU * 64**2 // max(size, 64) ** 2)
    else:
        fitting = int(MEMORY_SHARE * free_bytes(device) / (BYTES_PER_PIXEL * size**2))
    largest = min(max(1, fitting), MOST_AT_ONCE, n_images)
    n_batches = -(-n_images // largest)
    return -(-n_images // n_batches)
