"""Where accelerate puts a model: on the device, parked beside it, or spread over device and main memory."""

import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from accelerate import cpu_offload_with_hook, dispatch_model, infer_auto_device_map
from accelerate.hooks import UserCpuOffloadHook
from torch import nn

from hallulab.errors import HallulabError

_SAFETENSORS_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}
_UNITS = (("GB", 1e9), ("MB", 1e6), ("KB", 1e3), ("B", 1))


def module_bytes(modules: Iterable[nn.Module]) -> int:
    """Bytes of all parameters and buffers, each counted once however often it is shared."""
    tensors = {
        id(tensor): tensor.numel() * tensor.element_size()
        for module in modules
        for tensor in (*module.parameters(), *module.buffers())
    }
    return sum(tensors.values())


def weights_bytes(folder: Path, dtype: torch.dtype) -> int:
    """Bytes that the safetensors files below a folder will take once loaded as `dtype`.

    Read from the headers; a file without a readable one counts by its length: the loader refuses it.
    """
    return sum(_file_bytes(path, dtype.itemsize) for path in folder.rglob("*.safetensors"))


def park_with_hook(module: nn.Module, device: torch.device) -> UserCpuOffloadHook:
    """Give the module accelerate's hook: `offload()` parks it in main memory, a call brings it back."""
    _, hook = cpu_offload_with_hook(module, device)  # type: ignore[arg-type] # annotated too narrowly there
    return hook


def spread(
    model: nn.Module, max_memory: Mapping[int | str, int], offload_folder: Path | None = None
) -> nn.Module:
    """Spread a model that is larger than one device over several places, layer by layer.

    Args:
        model: the whole model, in main memory.
        max_memory: bytes that each place may hold: GPU numbers first, then "cpu", then "disk".
        offload_folder: where the layers of "disk" are written.

    Raises HallulabError when the places together are too small.
    """
    whole_layers: list[str] = list(getattr(model, "_no_split_modules", None) or ())
    device_map = infer_auto_device_map(model, dict(max_memory), no_split_module_classes=whole_layers)
    if "disk" in device_map.values() and offload_folder is None:
        needed = readable_bytes(module_bytes([model]))
        raise HallulabError(
            f"the model needs {needed}, more than device and main memory can hold: choose a smaller preset"
        )
    return dispatch_model(
        model, device_map, offload_dir=None if offload_folder is None else str(offload_folder)
    )


def readable_bytes(n_bytes: int) -> str:
    """A size as a person reads it."""
    unit, size = next(((unit, size) for unit, size in _UNITS if n_bytes >= size), _UNITS[-1])
    return f"{n_bytes / size:.1f} {unit}"


def _file_bytes(path: Path, float_bytes: int) -> int:
    try:
        with path.open("rb") as file:
            (header_length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(header_length, 100_000_000)))
        tensors = [entry for name, entry in header.items() if name != "__metadata__"]
        return sum(
            (end - start) // _SAFETENSORS_BYTES.get(entry["dtype"], 1) * float_bytes
            for entry in tensors
            for start, end in [entry["data_offsets"]]
        )
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError):
        return path.stat().st_size
