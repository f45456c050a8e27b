"""The frame of a question: genuine only if the hints are followed, remembered, refused in words."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hallulab.errors import RefusedInputError
from hallulab.scoring import words_frame
from hallulab.scoring.words_frame import (
    StateCheck,
    WordsFrameSettings,
    build_words_frame,
    check_text_mass,
    no_verdict_reason,
)
from hallulab.theory.regions import conformal_threshold
from tests.toy_scorer import ToyScorer

SCORER = SimpleNamespace(name="toy", sha256="1", model=SimpleNamespace(dtype=torch.float32))
SETTINGS = WordsFrameSettings("Which animal?", ("an otter", "a deer"), n_genuine=100)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch):
    def install(toy: ToyScorer) -> ToyScorer:
        monkeypatch.setattr(words_frame, "stream_answers", toy.stream)
        monkeypatch.setattr(words_frame, "log_likelihoods", toy.likelihoods)
        monkeypatch.setattr(words_frame, "_FRAMES", words_frame._FrameMemory(4))
        return toy

    return install


OTTER, DEER = "Which animal?\nHint: an otter", "Which animal?\nHint: a deer"


def test_followed_hints_make_a_frame_of_their_samples(use):
    use(ToyScorer({OTTER: ["An otter.", "My otter, I say."], DEER: ["A deer."]}))
    frame = build_words_frame(SCORER, SETTINGS)
    assert frame.reason is None
    assert frame.states_source == "given"
    assert [len(sample) for sample in frame.hcdr.genuine_log_densities] == [100, 100]
    # half of the otter samples have 9 characters, half 16: the 10th percentile is the lower value
    assert frame.hcdr.thresholds == pytest.approx([-16, -7], abs=2e-3)


def test_thresholds_are_conformal_so_that_few_samples_do_not_let_too_few_in(use):
    use(ToyScorer({OTTER: [f"An otter{'!' * k}" for k in range(20)], DEER: ["A deer."]}))
    frame = build_words_frame(SCORER, replace(SETTINGS, n_genuine=20))
    # log-densities −8 … −27; ⌊0.1 · 21⌋ = 2nd smallest; the 10th percentile would be −25.1
    assert frame.hcdr.thresholds[0] == pytest.approx(-26, abs=2e-3)


def test_ten_percent_of_strays_under_one_hint_are_left_out_and_eleven_refuse_the_verdict(use):
    use(ToyScorer({OTTER: ["An otter."] * 90 + ["A deer."] * 6 + ["I do not know."] * 4, DEER: ["A deer."]}))
    frame = build_words_frame(SCORER, SETTINGS)
    assert frame.checks[0] == StateCheck("an otter", 100, 90, "A deer.")
    assert len(frame.hcdr.genuine_log_densities[0]) == 90
    use(ToyScorer({OTTER: ["An otter."] * 89 + ["A deer."] * 7 + ["I do not know."] * 4, DEER: ["A deer."]}))
    frame = build_words_frame(SCORER, SETTINGS)
    assert frame.hcdr is None
    assert frame.reason == (
        "no verdict: the scorer toy does not follow every hint here: with the hint “an otter” only 89 of 100 "
        "answers keep to it (95% of all and 90% under each hint needed); typically it says “A deer.”"
    )


def test_under_all_hints_together_only_five_percent_may_stray(use):
    use(ToyScorer({OTTER: ["An otter."] * 94 + ["?!"] * 6, DEER: ["A deer."] * 96 + ["?!"] * 4}))
    assert build_words_frame(SCORER, SETTINGS).reason is None
    use(ToyScorer({OTTER: ["An otter."] * 94 + ["?!"] * 6, DEER: ["A deer."] * 95 + ["?!"] * 5}))
    assert "toy is not sure enough here" in build_words_frame(SCORER, SETTINGS).reason


def test_a_scorer_that_says_it_does_not_know_gives_no_verdict(use):
    use(ToyScorer({OTTER: ["I do not know."], DEER: ["I do not know."]}))
    reason = build_words_frame(SCORER, SETTINGS).reason
    assert reason is not None
    assert "does not know this question" in reason
    assert "typically it says “I do not know.”" in reason


def test_answers_that_never_end_are_not_genuine(use):
    use(ToyScorer({OTTER: ["An otter."], DEER: ["A deer."]}, is_cut=True))
    assert build_words_frame(SCORER, SETTINGS).checks[0].n_valid == 0


def test_known_answers_are_the_states_of_a_known_question(use):
    question = "Which pet suits a small flat?"
    use(
        ToyScorer(
            {
                f"{question}\nHint: a cat": ["A cat."],
                f"{question}\nHint: a goldfish": ["A goldfish is my answer."],
            }
        )
    )
    frame = build_words_frame(SCORER, WordsFrameSettings(question))
    assert (frame.states, frame.states_source) == (("a cat", "a goldfish"), "known")
    assert frame.reason is None


def test_states_are_proposed_from_answers_without_a_hint(use):
    question = "When was she born?"
    use(
        ToyScorer(
            {
                question: ["On 3 May.", "On 9 June.", "On 3 May."],
                f"{question}\nHint: On 3 May.": ["On 3 May."],
                f"{question}\nHint: On 9 June.": ["On 9 June."],
            }
        )
    )
    frame = build_words_frame(SCORER, WordsFrameSettings(question))
    assert (frame.states, frame.states_source) == (("On 3 May.", "On 9 June."), "proposed")


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (["I do not know."], "without a hint, toy says “I do not know.”; write possible answers"),
        ([f"w{place} v{place}" for place in range(64)], "toy hardly ever answers the same"),
    ],
)
def test_no_states_means_no_verdict(use, answers: list[str], words: str):
    use(ToyScorer({"Which?": answers}))
    frame = build_words_frame(SCORER, WordsFrameSettings("Which?"))
    assert frame.hcdr is None
    assert words in frame.reason


def test_a_frame_is_remembered_until_anything_that_decides_it_changes(use):
    toy = use(ToyScorer({OTTER: ["An otter."], DEER: ["A deer."]}))
    first = build_words_frame(SCORER, SETTINGS)
    assert build_words_frame(SCORER, SETTINGS) is first
    assert toy.n_sampled == 200
    build_words_frame(SCORER, replace(SETTINGS, seed=1))
    build_words_frame(SimpleNamespace(**vars(SCORER) | {"sha256": "2"}), SETTINGS)
    assert toy.n_sampled == 600


def test_the_least_recently_used_frame_is_forgotten_first():
    memory = words_frame._FrameMemory(2)
    memory.put((1,), "one")
    memory.put((2,), "two")
    memory.get((1,))
    memory.put((3,), "three")
    assert [memory.get((key,)) for key in (1, 2, 3)] == ["one", None, "three"]


def test_the_samples_of_a_state_do_not_depend_on_the_other_states():
    assert words_frame._sample_seeds(0, "a cat", 3) == words_frame._sample_seeds(0, "a cat", 3)
    assert words_frame._sample_seeds(0, "a cat", 3) != words_frame._sample_seeds(0, "a dog", 3)


def test_nothing_to_complain_about_is_no_reason():
    assert no_verdict_reason([StateCheck("a", 20, 19, "")], "toy") is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"states": ("a cat", "  ")}, "expected words in every state, got an empty one"),
        ({"states": ("a cat", "A CAT!")}, "expected different states, got 'a cat' more than once"),
        ({"states": ("x" * 301,)}, "expected states of at most 300 characters"),
        ({"states": tuple(f"s{place}" for place in range(13))}, "expected at most 12 states, got 13"),
        ({"n_genuine": 19}, "expected 20 to 1000 genuine samples per state, got 19"),
        ({"n_genuine": 1001}, "expected 20 to 1000 genuine samples per state, got 1001"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(changes: dict, words: str):
    with pytest.raises(RefusedInputError, match=words):
        replace(SETTINGS, **changes)


@pytest.mark.parametrize(("mass", "least"), [(0.9, 9), (0.95, 21), (0.99, 109)])
def test_a_mass_needs_as_many_samples_as_give_it_a_threshold(mass: float, least: int):
    check_text_mass(mass, least)
    with pytest.raises(
        RefusedInputError, match=f"expected at least {least} genuine samples per state .* got"
    ):
        check_text_mass(mass, least - 1)
    # the fewest that a followed hint leaves: one less, and no answer at all would be outside
    followed = [StateCheck("an otter", n, -(-9 * n // 10), "") for n in (least, least - 1)]
    assert all(check.is_followed for check in followed)
    enough, too_few = (conformal_threshold(np.arange(check.n_valid), mass) for check in followed)
    assert np.isfinite(enough)
    assert too_few == -np.inf


def test_a_mass_that_is_no_share_is_refused():
    with pytest.raises(RefusedInputError, match="expected an HDR mass between 0 and 1"):
        check_text_mass(1.0, 1_000)
