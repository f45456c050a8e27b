"""The report of Is-It-Valid runs: which checkpoint changes are held against, and words that the numbers make true."""

from dataclasses import replace

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.experiments.asked_model import AskedModel
from hallulab.experiments.iiv import CandidateScores, IivResult, IivSettings, ListedQuestion
from hallulab.experiments.iiv_calibration import calibration_table
from hallulab.experiments.iiv_reduction import iiv_table
from hallulab.experiments.poor_models import PoorModels, PoorModelsSettings
from hallulab.reports.iiv_report import iiv_page, write_iiv_report
from hallulab.reports.iiv_sentences import calibration_sentences, iiv_headline, iiv_sentences
from hallulab.reports.poor_models_report import opt_words, poor_sentences
from hallulab.theory.circle_separator import FamilyPoint
from hallulab.theory.poor_ngrams import WindowPoint

N = 12


def run_of(first: list[float], second: list[float], base: str | None = None) -> IivResult:
    """Checkpoints `a` and `b` with the same log-likelihoods for every question: one valid answer, two errors."""
    questions = tuple(
        ListedQuestion(f"q{n}", f"Q{n}?", "", ("x", "y", "z"), (True, False, False), (1.0, 0.0, 0.0))
        for n in range(N)
    )
    scores = {
        (name, one.id): CandidateScores(name, one.id, tuple(row), (2.0,) * 3)
        for name, row in (("a", first), ("b", second))
        for one in questions
    }
    models = tuple(AskedModel(name, name, "", is_base=name == base) for name in "ab")
    return IivResult(IivSettings("misconceptions", checkpoints=("a", "b")), questions, models, scores)


LIKELY, SURE = (np.log(p).tolist() for p in ([0.6, 0.3, 0.1], [0.8, 0.1, 0.1]))


def words_of(result: IivResult) -> str:
    page = iiv_page([result], None, [])
    return " ".join(text for section in page.sections for text in (section.title, *section.paragraphs))


def test_changes_are_told_against_the_base_wherever_it_stands():
    assert "Changes are against b." in words_of(run_of(LIKELY, SURE, base="b"))
    assert "Changes are against a." in words_of(run_of(LIKELY, SURE, base="a"))
    assert "Changes are against a." in words_of(run_of(LIKELY, SURE))  # no base: the first
    alone = run_of(LIKELY, SURE)
    alone = replace(
        alone,
        models=alone.models[:1],
        scores={key: one for key, one in alone.scores.items() if key[0] == "a"},
    )
    assert "Changes are against" not in words_of(alone)
    assert "before and after" not in words_of(alone)


def test_sentences_follow_the_numbers():
    result = run_of(LIKELY, SURE)
    rows = iiv_table([result])
    # both misjudge nothing: the valid answer lies above 1/2, the errors below
    assert iiv_headline(rows) == "No answer was misjudged, so there is no ratio to compare with 2."
    said = " ".join(iiv_sentences(rows))
    assert "40.0 % of its probability is on errors" in said
    assert "No bound was broken: 6 combinations of checkpoint, set and scale, two bounds each." in said
    broken = [replace(rows[0], bound=replace(rows[0].bound, value=0.9)), *rows[1:]]
    assert "Broken bounds: 1 of 6 combinations" in " ".join(iiv_sentences(broken))


def test_a_change_is_told_with_the_number_of_comparisons():
    said = " ".join(calibration_sentences(calibration_table([run_of(LIKELY, SURE)])))
    assert "60.0 % sure of its likeliest listed answer, which is valid for 100.0 % of 12 questions" in said
    assert "under-confident" in said
    assert "is worse in 0, better in 1 of 1 comparisons" in said
    assert "Holm's correction for all 1" in said


def test_poor_models_are_told_by_what_is_known_of_opt():
    exact = FamilyPoint("linear", 385, 0.25, 0.25, 0.5, 0.75, 0.0)
    assert opt_words(exact) == "opt(G) is 0.250 exactly"
    assert opt_words(replace(exact, opt_high=0.5)) == "opt(G) lies between 0.250 and 0.500"
    windows = tuple(WindowPoint(n, 1, 0.5 * (n < 5), 0.5, 0.5, 101, 0.5, 0.5) for n in range(1, 6))
    poor = PoorModels(PoorModelsSettings(), windows, windows, (exact, exact), {})
    said = " ".join(poor_sentences(poor))
    assert (
        "every such model errs in at least 50.0 % of its answers; the best of 385 tried errs in 75.0 %"
        in said
    )
    assert "from n = 4: 0.5 → 0." in said


def test_a_folder_without_scores_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="Is-It-Valid"):
        write_iiv_report(tmp_path)
