"""The quality bars of the shipped pictures, on few images: each must be reached within its interval."""

import numpy as np
import pytest

from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.experiments.pictures_bars import (
    PictureBarSizes,
    _auroc,
    _fall_bar,
    blend_drawings,
    clip_bars,
    genuine_drawings,
    pictures_bars,
)
from hallulab.experiments.quality_bar import QualityBar

SIZES = PictureBarSizes(n_genuine=400, n_blends=120, n_painted=48, n_rate=8)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(load_preset(), device="cpu")


def reached(bar: QualityBar) -> bool:
    """Whether the limits are within the interval that so few images leave."""
    assert bar.interval is not None
    low, high = bar.interval
    return (bar.at_least is None or high >= bar.at_least) and (bar.at_most is None or low <= bar.at_most)


def test_coverage_and_detection_of_blends(engine):
    bars = {bar.name: bar for bar in clip_bars(engine, SIZES)}
    for pet in ("cat", "dog"):
        assert reached(bars[f"coverage of genuine {pet}s"])
    auroc = bars["AUROC of the margin, genuine against cat-dog blends"]
    assert auroc.value >= 0.9
    assert auroc.n == 520
    kinds = [bar for name, bar in bars.items() if name.startswith("blends outside")]
    assert len(kinds) == 6
    assert all(bar.value > 0.5 for bar in kinds)


def test_painted_species_and_the_fall_of_the_rate(engine):
    bars = {bar.name: bar for bar in pictures_bars(engine, SIZES)}
    assert bars["genuine drawings the species judge calls right"].value > 0.98
    assert reached(bars["painted images of the species asked for"])
    fall = bars["fall of the rate, first to last fine-tuned checkpoint"]
    assert fall.value > 0.2
    assert fall.interval is not None
    assert fall.interval[0] > 0
    rates = [bar for name, bar in bars.items() if name.startswith("painted images outside")]
    assert len(rates) >= 5  # the base and at least four fine-tuned checkpoints
    assert all(bar.n == 24 for bar in rates)


def test_auroc_by_hand():
    """Of 2 x 2 pairs, genuine is above the blend in 3."""
    assert _auroc(np.array([1.0, 3.0]), np.array([0.0, 2.0])) == 0.75


def test_the_fall_of_a_rate_by_hand():
    """60 of 100 down to 20 of 100: Newcombe's interval from Wilson's (0.5020, 0.6906) and (0.1334, 0.2888)."""
    bar = _fall_bar("fall", 60, 20, 100)
    assert bar.value == pytest.approx(0.4)
    low = 0.4 - np.hypot(0.6 - 0.5020, 0.2888 - 0.2)
    high = 0.4 + np.hypot(0.6906 - 0.6, 0.2 - 0.1334)
    assert bar.interval == pytest.approx((low, high), abs=2e-4)


def test_fresh_drawings_differ_by_seed_and_blends_take_turns():
    first, second = (genuine_drawings(2, seed=seed)["cat"][0].tobytes() for seed in (1, 2))
    assert first != second
    assert len(blend_drawings(7, seed=0)) == 7
