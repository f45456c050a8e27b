"""What a words report says follows its numbers, on hand-made answers."""

from dataclasses import replace
from pathlib import Path

import pytest

from hallulab.data.paper_table_1 import HIGHEST, LOWEST, TABLE_1, paper_scores
from hallulab.data.question_sets import ReferencedQuestion
from hallulab.experiments.words_resemblance_run import (
    AnsweringModel,
    LengthAlone,
    QuestionsUsed,
    ResemblanceResult,
    ScoredAnswer,
    Variant,
    WordsResemblanceSettings,
)
from hallulab.experiments.words_resemblance_summary import summarise_resemblance
from hallulab.experiments.words_sweep import ResemblanceRun, WordsSweep
from hallulab.reports.page import page_html
from hallulab.reports.words_figures import figure_4, length_chart, paper_chart
from hallulab.reports.words_report import words_page
from hallulab.reports.words_sentences import resemblance_finding
from hallulab.reports.words_tables import difference, likest_table, paper_table_1, score_table
from hallulab.scoring.resemblance import Resemblance

N = 12


def run(
    rises: float = 0.0, null_rises: float = 0.0, variant: Variant = "answer_only", asked=()
) -> ResemblanceRun:
    """A base and one tuned checkpoint whose score and null rise by so much on every question."""
    answers = [
        ScoredAnswer(
            name, 0, f"q{place}", f"answer {place}", f"answer {place}", 2, True,
            Resemblance(0.3 + 0.01 * place + is_tuned * rises, 0.4, 0.2 + is_tuned * null_rises, 0.2),
            "abstained", "abstention",
        )
        for is_tuned, name in enumerate(("base", "seed1-epoch2"))
        for place in range(N)
    ]  # fmt: skip
    models = (AnsweringModel("base", "m", "1", True), AnsweringModel("seed1-epoch2", "m + t", "2", False))
    result = ResemblanceResult(
        WordsResemblanceSettings(variant=variant), QuestionsUsed("here", N, "sha"), models, tuple(answers),
        (LengthAlone(1.0, 0.1, 0.1, N), LengthAlone(50.0, 0.25, 0.2, N)), tuple(asked),
    )  # fmt: skip
    path = Path(f"words-resemblance-truthfulqa-{variant}.jsonl")
    return ResemblanceRun(path, "truthfulqa", result, summarise_resemblance(result), {})


@pytest.mark.parametrize(
    ("rises", "null_rises", "words"),
    [
        (0.0, 0.0, "Tuning does not change the paper's score"),
        (-0.05, 0.0, "Tuning lowers the paper's score in all 1 checkpoints and raises it in none"),
        (0.05, 0.05, "rises in all 1 checkpoints, and nothing of it is left under control"),
        (0.05, 0.01, "rises in all 1 checkpoints; under control a rise is left in all 1"),
    ],
)
def test_the_headline_follows_score_and_control(rises, null_rises, words):
    assert words in resemblance_finding(run(rises, null_rises)).headline


def test_with_the_question_in_the_text_the_control_is_length():
    # the null of other questions does not move, and so says nothing; the texts keep their length
    found = resemblance_finding(run(0.05, 0.0, "paper_code"))
    assert "under control a rise is left" in found.headline
    assert any(
        "the control is the same question followed by unrelated text" in said for said in found.sentences
    )


def test_the_paper_s_numbers_are_its_own():
    assert (LOWEST, HIGHEST) == (0.1868, 0.2539)
    assert paper_scores("Qwen1.5-1.8B-Chat", 2) == {0: 0.1975, 2: 0.2431, 3: 0.2486, 4: 0.2539}
    table = paper_table_1()
    assert "none measured here" in table.title
    cells = [cell for row in table.rows for cell in row[1:]]
    assert sorted(set(cells)) == sorted({f"{one.resemblance:.4f}" for one in TABLE_1})
    drawn = {y for series in paper_chart().series for y in series.y}
    assert drawn == {one.resemblance for one in TABLE_1}


def test_table_and_figure_hold_the_summary_s_numbers():
    found = run(0.05, 0.01)
    base, tuned = score_table(found).rows
    assert base[1].startswith("0.355 [")
    assert tuned[2].startswith("+0.0500 [")
    assert base[2] == "–"
    scores = next(series for series in figure_4(found).series if series.colour == "#D55E00")
    assert list(scores.x) == ["base", "2 epochs"]
    assert list(scores.y) == pytest.approx([0.355, 0.405])
    assert {series.name for series in length_chart(found).series} >= {"base", "tuned"}


def test_the_likest_answers_come_with_their_closest_wrong_reference_once(tmp_path):
    assert likest_table(run()) is None  # the questions were not kept
    asked = [
        ReferencedQuestion(
            f"q{n}", f"What of {n}?", "", ("Nothing",), ("Something else", f"answer {n}!"), "here"
        )
        for n in range(N)
    ]
    table = likest_table(run(asked=asked))
    assert table is not None
    assert table.is_list
    assert [row[1] for row in table.rows[:2]] == ["answer 11", "answer 10"]
    assert table.rows[0][2] == "answer 11!"
    assert table.rows[0][-2:] == ("2", "all 2")
    path = tmp_path / "words-resemblance-truthfulqa-answer_only.jsonl"
    path.write_text("records")
    page = page_html(words_page(WordsSweep((replace(run(asked=asked), path=path),), None)))
    assert page.count('class="list"') == 1
    assert 'type="search"' in page


def test_a_missing_difference_is_a_dash():
    assert difference(None) == "–"
