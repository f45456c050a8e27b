import pytest
import torch

from hallulab.engine import picture_batches
from hallulab.engine.picture_batches import picture_batch_size

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("size", "n_images", "expected"), [(64, 64, 16), (64, 5, 5), (64, 18, 9), (32, 64, 16), (512, 64, 1)]
)
def test_on_a_cpu(size, n_images, expected):
    assert picture_batch_size(CPU, size, n_images) == expected


@pytest.mark.parametrize(
    ("free_gb", "size", "expected"),
    # 0.6 · 40 GB / (12 kB · 512²) = 7.6 at once: ten batches of at most 7, then as equal as they can be
    [(40, 512, 7), (4, 512, 1), (40, 64, 64), (0.1, 512, 1)],
)
def test_on_a_gpu_what_fits_decides(monkeypatch, free_gb, size, expected):
    monkeypatch.setattr(picture_batches, "free_bytes", lambda _: int(free_gb * 1e9))
    assert picture_batch_size(GPU, size, 64) == expected
