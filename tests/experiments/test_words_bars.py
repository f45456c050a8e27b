"""The quality bars of the words half: how they count, and that the shipped checkpoint keeps them."""

from pathlib import Path

import pytest

from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.experiments.words_bars import share_bar, words_bars

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "qwen-mini"


def test_a_share_comes_with_its_n_and_interval():
    bar = share_bar("right", [True, True, True, False], at_least=0.5)
    assert (bar.value, bar.n, bar.passed) == (0.75, 4, True)
    low, high = bar.interval
    assert low < 0.75 < high
    assert share_bar("right", [False], at_least=0.5).passed is False
    assert share_bar("right", [False]).passed is None


@pytest.mark.slow
def test_the_shipped_checkpoint_keeps_every_bar():
    bars = words_bars(Engine(load_preset("small-world"), device="cpu"))
    assert [bar.name for bar in bars if bar.passed is False] == []
    # the four bars that are promised, and the share of known questions with a verdict
    assert sum(bar.passed is True for bar in bars) >= 5


def test_shipped_files_stay_small():
    files = [path for path in SHIPPED.parent.glob("qwen-mini*/**/*") if path.is_file()]
    assert files
    assert max(path.stat().st_size for path in files) < 10_000_000
    assert sum(path.stat().st_size for path in files) < 14_000_000
