"""A tiny language model with sharper words than random weights give."""

import pytest
import torch

from hallulab.models.qwen import LoadedQwen, load_qwen
from tests.tiny_world import write_words


@pytest.fixture(scope="package")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> LoadedQwen:
    """Sharper, so that settings and truncation matter and some answers end; no test may change it."""
    folder = tmp_path_factory.mktemp("words")
    write_words(folder)
    loaded = load_qwen(folder / "qwen-tiny", dtype=torch.float32, device="cpu")
    with torch.no_grad():
        loaded.model.model.norm.weight.mul_(6)
    return loaded
