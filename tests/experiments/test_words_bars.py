"""The quality bars of the words half: how they count, and that the shipped checkpoint keeps them."""

import random
from pathlib import Path

import pytest

from hallulab.data.open_ended import known_questions
from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.experiments.words_bars import blended_answers, share_bar, spliced_answer, words_bars

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "qwen-mini"


def test_a_share_comes_with_its_n_and_interval():
    bar = share_bar("right", [True, True, True, False], at_least=0.5)
    assert (bar.value, bar.n, bar.passed) == (0.75, 4, True)
    low, high = bar.interval
    assert low < 0.75 < high
    assert share_bar("right", [False], at_least=0.5).passed is False
    assert share_bar("right", [False]).passed is None


def test_a_splice_is_half_of_each():
    assert spliced_answer("one two three four", "a b c d e") == "one two c d e"


def test_a_blend_names_one_answer_and_reasons_for_the_other():
    pet = known_questions()[0]
    blends = blended_answers(pet, 30, rng=random.Random(0))
    assert len(blends) == 30
    assert all(pet.state_of(text) is None for text in blends)
    reasons = {reason.lower(): answer.state for answer in pet.answers for reason in answer.reasons}
    for text in blends:
        (reason_of,) = {state for reason, state in reasons.items() if reason in text.lower()}
        named = ({"a cat", "a goldfish"} - {reason_of}).pop()
        assert named in text.lower()


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
