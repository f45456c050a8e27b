"""A quality bar: one measured number of the shipped checkpoints and what it must reach."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class QualityBar:
    """One number with its n and interval, and the limits it must keep; no limits means "reported only"."""

    name: str
    value: float
    n: int
    """how many items the value rests on"""
    interval: tuple[float, float] | None = None
    """95 % interval of the value"""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def passed(self) -> bool | None:
        """Whether the value keeps its limits; None when it has none."""
        if self.at_least is None and self.at_most is None:
            return None
        above = self.at_least is None or self.value >= self.at_least
        below = self.at_most is None or self.value <= self.at_most
        return above and below

    def to_json(self) -> dict[str, Any]:
        """Every field and whether the bar is passed."""
        return vars(self) | {"passed": self.passed}
