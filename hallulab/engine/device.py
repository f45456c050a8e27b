"""The device this process computes on: which one, in what precision, with how much memory."""

import ctypes
from functools import cache
from pathlib import Path

import psutil
import torch
from accelerate import PartialState

from hallulab.engine.presets import DTYPE_CHOICES
from hallulab.errors import RefusedInputError

MEMORY_SHARE = 0.8
"""Share of the memory that is free at the start which models may fill; activations need the rest."""
_GLIBC_SETTINGS = {
    -1: 2**28,  # M_TRIM_THRESHOLD, bytes: as much free memory may stay with the process
    -3: 2**26,  # M_MMAP_THRESHOLD, bytes: pieces below this come from what has stayed
}
_CGROUP_FILES = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def choose_device(name: str | None = None) -> torch.device:
    """The device accelerate gives this process, or the named one ("cpu", "cuda", "cuda:1", "mps")."""
    if name is None:
        return _with_index(torch.device(PartialState().device or "cpu"))
    try:
        device = _with_index(torch.device(name))
        torch.zeros(1, device=device).item()  # the meta device makes tensors, but keeps no numbers in them
    except (RuntimeError, AssertionError) as error:
        raise RefusedInputError(
            f"cannot use the device {name!r}: use cpu, or a GPU this machine has such as cuda:0"
        ) from error
    return device


def choose_dtype(wanted: DTYPE_CHOICES, device: torch.device) -> torch.dtype:
    """The number format of the weights, by name or "auto".

    "auto" is bfloat16 on GPUs that have it, float16 on other GPUs, float32 everywhere else.
    """
    if wanted != "auto":
        return getattr(torch, wanted)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.float32


@cache
def keep_freed_memory() -> bool:
    """Let this process keep some freed memory for its next tensors, where the C library can; whether it could.

    By default glibc gives the memory of large tensors back at once, and the system clears every page of it again for
    the next ones: a fifth of the time of the first images painted on a CPU.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    return all(mallopt(setting, n_bytes) == 1 for setting, n_bytes in _GLIBC_SETTINGS.items())


def free_bytes(device: torch.device) -> int:
    """Memory that models could still take on this device."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_host_bytes()


def free_host_bytes() -> int:
    """Main memory that is available to this process, within its container's limit."""
    return min([psutil.virtual_memory().available, *_free_in_container()])


def default_budget_bytes(device: torch.device) -> int:
    """The memory that models may fill when nobody says how much."""
    return int(MEMORY_SHARE * free_bytes(device))


def _with_index(device: torch.device) -> torch.device:
    """`cuda` as `cuda:0`: accelerate's hooks compare devices, and the two spellings differ."""
    return torch.device("cuda", torch.cuda.current_device()) if str(device) == "cuda" else device


def _free_in_container() -> list[int]:
    """What a memory-limited container leaves, if there is one."""
    free = []
    for limit_file, used_file in _CGROUP_FILES:
        try:
            limit, used = (Path(file).read_text().strip() for file in (limit_file, used_file))
        except OSError:
            continue
        if limit.isdigit():  # "max" means no limit
            free.append(max(0, int(limit) - int(used)))
    return free
