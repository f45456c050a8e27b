"""Placement by accelerate: sizes, layers spread over two places, the hook that parks a model."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hallulab.engine.placement import module_bytes, park_with_hook, readable_bytes, spread, weights_bytes
from hallulab.errors import HallulabError


def eight_layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(16, 16) for _ in range(8))).eval()


LAYER_BYTES = 4 * (16 * 16 + 16)


def test_shared_parameters_count_once():
    layer = nn.Linear(16, 16)
    assert module_bytes([layer, nn.Sequential(layer)]) == LAYER_BYTES


def test_weights_count_in_the_format_they_will_be_loaded_in(tmp_path: Path):
    tensors = {"half": torch.zeros(10, dtype=torch.float16), "full": torch.zeros(6)}
    save_file(tensors, tmp_path / "model.safetensors")
    assert weights_bytes(tmp_path, torch.float32) == 16 * 4
    assert weights_bytes(tmp_path, torch.bfloat16) == 16 * 2


def test_a_file_without_a_header_counts_by_its_length(tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 30)
    assert weights_bytes(tmp_path, torch.float32) == 30


def test_a_model_larger_than_its_place_is_spread_and_computes_the_same(tmp_path: Path):
    model, inputs = eight_layers(), torch.randn(3, 16)
    expected = model(inputs)
    spread(model, {"cpu": 3 * LAYER_BYTES, "disk": 10**9}, offload_folder=tmp_path)
    places = list(model.hf_device_map.values())
    assert "cpu" in places
    assert "disk" in places
    assert module_bytes([p for p in model if p.weight.device.type == "cpu"]) <= 3 * LAYER_BYTES
    assert torch.equal(model(inputs), expected)


def test_a_model_that_fits_nowhere_says_how_much_it_needs():
    with pytest.raises(HallulabError, match="the model needs 8.7 KB, more than device and main memory"):
        spread(eight_layers(), {"cpu": 2 * LAYER_BYTES})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_model_swaps_between_the_gpu_and_main_memory():
    module, inputs = nn.Linear(16, 16), torch.randn(1, 16)
    expected = module(inputs)
    hook = park_with_hook(module, torch.device("cuda:0"))
    assert module.weight.device.type == "cpu"
    assert torch.allclose(module(inputs).cpu(), expected, atol=1e-5)
    assert module.weight.device.type == "cuda"
    hook.offload()
    assert module.weight.device.type == "cpu"


def test_sizes_read_as_people_write_them():
    assert [readable_bytes(n) for n in (15_200_000_000, 8_400_000, 8_704)] == ["15.2 GB", "8.4 MB", "8.7 KB"]
