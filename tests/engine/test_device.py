"""The device: what is chosen, in which precision, and how refusals read."""

import platform
import resource

import psutil
import pytest
import torch

from hallulab.engine import device as device_module
from hallulab.engine.device import (
    choose_device,
    choose_dtype,
    default_budget_bytes,
    free_host_bytes,
    keep_freed_memory,
)
from hallulab.errors import RefusedInputError


def test_a_named_device_is_taken_and_an_absent_one_refused():
    assert choose_device("cpu") == torch.device("cpu")
    for name in ("cuda:7", "abacus"):
        with pytest.raises(RefusedInputError, match=f"cannot use the device '{name}': use cpu, or a GPU"):
            choose_device(name)


def test_accelerate_chooses_when_nobody_does():
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_cpu_computes_in_float32_unless_told_otherwise():
    cpu = torch.device("cpu")
    assert choose_dtype("auto", cpu) == torch.float32
    assert choose_dtype("bfloat16", cpu) == torch.bfloat16


@pytest.mark.parametrize(("has_bf16", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_computes_in_the_best_half_precision_it_has(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, dtype: torch.dtype
):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bf16)
    assert choose_dtype("auto", torch.device("cuda:0")) == dtype


def test_a_full_machine_and_a_small_container_leave_a_small_budget(monkeypatch: pytest.MonkeyPatch, tmp_path):
    (tmp_path / "limit").write_text("1000\n")
    (tmp_path / "used").write_text("400\n")
    files = ((str(tmp_path / "limit"), str(tmp_path / "used")),)
    monkeypatch.setattr("hallulab.engine.device._CGROUP_FILES", files)
    assert free_host_bytes() == 600
    assert default_budget_bytes(torch.device("cpu")) == 480  # 0.8 of 600
    (tmp_path / "limit").write_text("max\n")
    assert 0 < free_host_bytes() <= psutil.virtual_memory().total


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library decides for itself")
def test_freed_memory_is_used_again_without_new_pages():
    assert keep_freed_memory()

    def n_new_pages() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            torch.zeros(4_000_000)  # 16 MB, 3,900 pages each
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    n_new_pages()
    assert n_new_pages() < 3_900


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device_module.ctypes, "CDLL", lambda _: object())
    assert not keep_freed_memory.__wrapped__()
