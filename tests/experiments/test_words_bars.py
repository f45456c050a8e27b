"""The quality bars of the words half: how they count, and that the shipped checkpoint keeps them."""

from pathlib import Path

import pytest
import torch

from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.experiments.words_bars import WordsBarsSettings, share_bar, verdict_bars, words_bars
from hallulab.models.qwen import load_qwen

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "qwen-mini"


def test_a_share_comes_with_its_n_and_interval():
    bar = share_bar("right", [True, True, True, False], at_least=0.5)
    assert (bar.value, bar.n, bar.passed) == (0.75, 4, True)
    low, high = bar.interval
    assert low < 0.75 < high
    assert share_bar("right", [False], at_least=0.5).passed is False
    assert share_bar("right", [False]).passed is None


def test_the_verdicts_bars_are_coverage_and_detection_of_every_wrong_kind():
    scorer = load_qwen(SHIPPED, dtype=torch.float32, device="cpu")
    settings = WordsBarsSettings(n_framed_questions=1, n_genuine=40, n_fresh=6)
    bars = {bar.name: bar for bar in verdict_bars(scorer, settings)}
    assert bars["known questions: verdict given"].n == 1
    coverage = bars["fresh genuine answers: inside their own region"]
    assert coverage.at_least == 0.87
    assert 0 < coverage.n <= 12
    kinds = ("spliced", "blended", "another question's", "high temperature")
    for kind in kinds:
        bar = bars[f"AUROC of the margin, genuine against {kind} answers"]
        assert (bar.at_least, bar.passed) == (0.95, True)
        assert bars[f"{kind} answers: outside"].n > 0


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
