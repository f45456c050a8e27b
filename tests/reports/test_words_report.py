"""What a words report says follows its numbers, on hand-made answers."""

from dataclasses import replace

import numpy as np
import pytest

from hallulab.data.paper_table_1 import HIGHEST, LOWEST, TABLE_1, paper_scores
from hallulab.experiments.words_sweep import WordsSweep
from hallulab.reports.page import page_html
from hallulab.reports.words_cells import difference
from hallulab.reports.words_figures import figure_4, length_chart, paper_chart, power_chart, slopes_chart
from hallulab.reports.words_report import words_page
from hallulab.reports.words_sentences import resemblance_finding
from hallulab.reports.words_tables import (
    differences_table,
    grades_table,
    likest_table,
    paper_table_1,
    power_table,
    score_table,
    slope_tables,
)
from tests.hand_made_resemblance import answer, listed, question, result, run_of, twins

N = 12
TRAINED = ("seed1-epoch2", "seed1-epoch4")


def run(rises=0.0, null_rises=0.0, *, variant="answer_only", names=TRAINED, asked=(), listed=()):
    """A base and tuned checkpoints whose score and null rise by so much on every question, more with more epochs."""
    answers, known = [], []
    noise = np.random.default_rng(0).normal(0, 0.001, size=(len(names) + 1, N))
    for step, name in enumerate(("base", *names)):
        for n in range(N):
            moved = 0.3 + 0.01 * n + step * rises + noise[step, n]
            null = 0.2 + step * null_rises
            text = f"answer {n} {'x' * step}"
            answers.append(
                answer(name, f"q{n}", moved, correct=0.4, null=null, grade="abstained", text=text.strip())
            )
            known.append(twins(f"q{n}", len(text.strip()), 0.25))
    unique = {(one.question_id, one.n_characters): one for one in known}
    found = result(
        answers,
        names=("base", *names),
        twins=tuple(unique.values()),
        variant=variant,
        asked=asked,
        listed=listed,
    )
    return run_of(found)


@pytest.mark.parametrize(
    ("rises", "null_rises", "words"),
    [
        (0.0, 0.0, "The paper's score neither clearly rises nor clearly falls"),
        (
            -0.05,
            0.0,
            "The paper's score falls with every epoch of training; under control what is left of it falls",
        ),
        (
            0.05,
            0.05,
            "The paper's score rises with every epoch of training; under control nothing is clearly left",
        ),
        (
            0.05,
            0.01,
            "The paper's score rises with every epoch of training; under control what is left of it rises",
        ),
    ],
)
def test_the_headline_follows_the_slopes_of_score_and_control(rises, null_rises, words):
    assert words in resemblance_finding(run(rises, null_rises)).headline


@pytest.mark.parametrize(
    ("rises", "null_rises", "words"),
    [
        (0.0, 0.0, "The paper's score clearly rises or falls in none of 1 checkpoint"),
        (-0.05, 0.0, "Tuning lowers the paper's score in all 1 checkpoints and raises it in none"),
        (0.05, 0.05, "rises in all 1 checkpoints, and nothing of it is left under control"),
        (0.05, 0.01, "rises in all 1 checkpoints; under control a rise is left in all 1"),
    ],
)
def test_without_epochs_it_counts_checkpoints(rises, null_rises, words):
    assert words in resemblance_finding(run(rises, null_rises, names=("mine",))).headline


def test_one_model_alone_is_compared_with_nothing():
    assert "there is nothing to compare yet" in resemblance_finding(run(names=())).headline


def test_with_the_question_in_the_text_the_control_is_length():
    # the null of other questions moves as the score does, and so would take everything; what length gives does not
    found = resemblance_finding(run(0.05, 0.05, variant="paper_code"))
    assert "under control what is left of it rises" in found.headline
    assert any(
        "the control is the same question followed by unrelated text" in said for said in found.sentences
    )


def test_what_stays_possible_is_said_beside_what_the_paper_s_models_rise():
    said = " ".join(resemblance_finding(run(0.05, 0.05)).sentences)
    assert "Chosen beforehand: over one training the paper's score changes per epoch by +0.02" in said
    assert "one training seed says nothing of others" in said
    assert "of what the paper's models rise" in said
    (table,) = slope_tables(run(0.05, 0.05))
    assert [row[0] for row in table.rows] == [
        "the paper's score",
        "left under control: score − other questions'",
    ]
    assert table.rows[0][1].startswith("+0.02")


def test_counted_rises_are_corrected():
    found = run(0.05, 0.01)
    (counted,) = [said for said in resemblance_finding(found).sentences if "corrected by Holm" in said]
    assert "Of 2 tuned checkpoints, 2 are above the base in the score and 2 in what is left of it" in counted
    assert f"all {found.summary.n_compared} comparisons" in counted
    cells = [cell for row in differences_table(found).rows for cell in row[1:]]
    assert sum("Holm" in cell for cell in cells) == found.summary.n_compared


def test_the_paper_s_numbers_are_its_own():
    assert (LOWEST, HIGHEST) == (0.1868, 0.2539)
    assert paper_scores("Qwen1.5-1.8B-Chat", 2) == {0: 0.1975, 2: 0.2431, 3: 0.2486, 4: 0.2539}
    table = paper_table_1()
    assert "none measured here" in table.title
    cells = [cell for row in table.rows for cell in row[1:]]
    assert sorted(set(cells)) == sorted({f"{one.resemblance:.4f}" for one in TABLE_1})
    drawn = {y for series in paper_chart().series for y in series.y}
    assert drawn == {one.resemblance for one in TABLE_1}


def test_table_and_figures_hold_the_summary_s_numbers():
    found = run(0.05, 0.01)
    base, tuned, _ = score_table(found).rows
    assert base[3].startswith("0.355 [")
    assert tuned[4].startswith("+0.0497 [")  # 0.05 and the noise
    assert base[4] == "–"
    scores = next(series for series in figure_4(found).series if series.colour == "#D55E00")
    assert list(scores.x) == ["base", "2 epochs", "4 epochs"]
    assert list(scores.y) == pytest.approx([0.355, 0.405, 0.455], abs=0.001)
    assert {series.name for series in length_chart(found).series} >= {"base", "tuned"}
    slopes = {series.name: list(series.y) for series in slopes_chart(found).series}
    # (2·0.05 + 4·0.1) / (4 + 16); the null takes 0.01 and 0.02 of it
    assert slopes["the paper's score, one training"] == pytest.approx([0.025], abs=0.001)
    assert slopes["left under control, one training"] == pytest.approx([0.02], abs=0.001)
    assert grades_table(found).rows[0][3].startswith("12 = 1.000 [0.758, 1.000]")  # Wilson, 12 of 12


def test_the_positive_control_is_shown_where_it_was_measured():
    assert list(power_table(run())) == []
    asked = [question(f"q{n}") for n in range(N)]
    every = [listed(f"q{n}", "wrong", 1.0) for n in range(N)]
    known = replace(run(asked=asked, listed=every).result)
    known = replace(known, twins=(*known.twins, *(twins(f"q{n}", len("wrong"), 0.3) for n in range(N))))
    found = run_of(known)
    (table,) = power_table(found)
    assert table.rows[0][0] == "the paper's score"
    assert table.rows[0][-1] == f"{found.summary.powers[0].change_if_all:+.3f}"
    assert power_chart(found).series[0].name == "the paper's score"
    assert any("Positive control" in said for said in resemblance_finding(found).sentences)


def test_the_likest_answers_come_with_their_closest_wrong_reference_once(tmp_path):
    assert likest_table(run()) is None  # the questions were not kept
    asked = [question(f"q{n}", "Something else", f"answer {n}!") for n in range(N)]
    found = run(asked=asked, names=("mine",))
    # the tuned model says the same
    same = [
        replace(one, text=one.text.split(" x")[0], answer=one.text.split(" x")[0])
        for one in found.result.answers
    ]
    found = run_of(replace(found.result, answers=tuple(same)))
    table = likest_table(found)
    assert table is not None
    assert table.is_list
    assert [row[1] for row in table.rows[:2]] == ["answer 11", "answer 10"]
    assert table.rows[0][2] == "answer 11!"
    assert table.rows[0][-2:] == ("2", "all 2")
    path = tmp_path / found.path
    path.write_text("records")
    page = page_html(words_page(WordsSweep((replace(found, path=path),), None)))
    assert page.count('class="list"') == 1
    assert 'type="search"' in page


def test_a_missing_difference_is_a_dash():
    assert difference(None) == "–"
