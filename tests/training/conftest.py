"""Trainings start from a fresh accelerate, whatever device or precision the tests before them chose."""

from collections.abc import Iterator

import pytest
from accelerate.state import AcceleratorState, GradientState, PartialState


def forget_accelerate() -> None:
    """Let the next `Accelerator` choose anew."""
    AcceleratorState._reset_state()
    GradientState._reset_state()
    PartialState._reset_state()


@pytest.fixture(autouse=True, scope="module")
def fresh_accelerate() -> Iterator[None]:
    """One accelerate per module, forgotten afterwards."""
    forget_accelerate()
    yield
    forget_accelerate()
