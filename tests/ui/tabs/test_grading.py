import json
import re
from dataclasses import replace

import gradio as gr
import pytest

from hallulab.data.target_prompts import target_sentence
from hallulab.experiments.grade_rules import check_rules
from hallulab.experiments.over_worlds import over_worlds
from hallulab.experiments.post_training_run import BASE, BINARY, CROWDED, LEARNERS
from hallulab.experiments.post_training_summary import (
    PolicyRow,
    calibration_of,
    policy_calibrations,
    policy_table,
)
from hallulab.models.facts_qwen import FactsQwenSettings
from hallulab.ui.parts import grading_training
from hallulab.ui.parts.grading_cards import ALL, FILTERS, MISTAKES, OTHERS, WITHHELD
from hallulab.ui.parts.grading_inputs import MAX_CHARACTERS, MAX_GRADED, pasted_source
from hallulab.ui.parts.grading_play import (
    choose_examples,
    filter_answers,
    grading_panels,
    read_pasted,
    show_grades,
    whose_choices,
)
from hallulab.ui.parts.grading_policies import policies_card
from hallulab.ui.parts.grading_rules import rules_table, show_observation
from hallulab.ui.parts.grading_training import base_note, settled, train_policies
from hallulab.ui.tabs.grading import EXAMPLE_LINE, build_grading_tab, grade


def text_of(html):
    return re.sub("<.*?>", "", html).replace("\N{NO-BREAK SPACE}", " ")


def refusal(call, *args, **kwargs):
    with pytest.raises(gr.Error) as caught:
        call(*args, **kwargs)
    return caught.value.message


def line(number, answer, confidence=None, **more):
    return json.dumps(
        {
            "id": str(number), "question": "Capital of France?", "answer": answer, "confidence": confidence,
            "correct_answers": ["Paris"], "incorrect_answers": ["Lyon"],
        } | more
    )  # fmt: skip


def pasted(*lines):
    return pasted_source("\n".join(lines))


def many(kinds, n=30, **more):
    """Lines of n questions, the kinds of answers by turns."""
    return pasted(*(line(place, kinds[place % len(kinds)], 0.95, **more) for place in range(n)))


FOUR = pasted(
    line(1, "Paris", 0.9), line(2, "Lyon", 0.6), line(3, "Lyon", 0.8), line(4, "I do not know", 0.2)
)
"""at t = 0.75 a mistake costs 3: as given (1 − 3 − 3 + 0) / 4 = −1.25; above t (1 + 0 − 3 + 0) / 4 = −0.5"""


def test_points_at_a_target_by_hand():
    card = text_of(grading_panels(FOUR, 0.75, ALL)[0])
    assert "a mistake costs 3 points" in card
    assert "Of 4 graded answers 2 are wrong: −1.25 points a question" in card
    assert "Withhold the 1 it is at most 75 % sure of, and it is −0.50 instead of −1.25" in card
    assert "with 25.0 % wrong instead of 50.0 %" in card


def test_the_table_is_regraded_as_t_moves():
    def rows(target):
        table = grading_panels(FOUR, target, ALL)[5]
        cells = re.findall(r"<td>(.*?)</td>", table)
        return [tuple(text_of(cell) for cell in cells[i + 3 : i + 5]) for i in range(0, len(cells), 5)]

    assert rows(0.0) == [("+1", "+1"), ("0", "0"), ("0", "0"), ("0", "0")]
    assert rows(0.5) == [("+1", "+1"), ("−1", "−1"), ("−1", "−1"), ("0", "0")]
    assert rows(0.75) == [("+1", "+1"), ("−3", "0"), ("−3", "−3"), ("0", "0")]
    assert rows(0.9) == [("+1", "0"), ("−9", "0"), ("−9", "0"), ("0", "0")]


def test_the_verdict_says_whether_answering_pays():
    assert "✓ Better than saying nothing" in grading_panels(None, 0.5, ALL)[0]
    assert "✕ Worse than saying nothing" in grading_panels(None, 0.95, ALL)[0]
    assert "? Too few questions for a verdict" in grading_panels(FOUR, 0.5, ALL)[0]
    assert "? Not told from saying nothing" in grading_panels(many(["Paris", "Lyon"]), 0.5, ALL)[0]
    assert "withholding an answer can only lose points" in grading_panels(None, 0, ALL)[0]
    nothing = pasted(line(1, "Paris", correct_answers=[], incorrect_answers=[]))
    assert "? Nothing to grade" in grading_panels(nothing, 0.5, ALL)[0]


def test_an_over_confident_model_is_called_so():
    sure = pasted(*(line(n, "Lyon" if n % 2 else "Paris", 0.95) for n in range(40)))
    assert "over-confident" in grading_panels(sure, 0.9, ALL)[0]
    assert "keeps its word" in grading_panels(None, 0.75, ALL)[0]


def test_answers_without_confidence_need_no_second_policy():
    card, marks, *_, risk, table, ranking, _ = grading_panels(
        pasted(line(1, "Paris"), line(2, "Lyon")), 0.5, ALL
    )
    assert "None of them says how sure it is" in card
    assert (marks, risk) == ("", None)
    assert "Paris" in table
    assert "only when" not in ranking
    assert not show_grades(pasted(line(1, "Paris")), 0.5, ALL)[4].visible


def test_the_prompt_states_the_target_and_named_targets_are_lit():
    for target, named in ((0.9, 0.9), (0.6, None)):
        _, _, prompt, *_, lit = grading_panels(FOUR, target, ALL)
        assert prompt == target_sentence(target)
        assert lit == named


def test_filters_choose_rows():
    def n_rows(shown):
        return filter_answers(FOUR, 0.75, shown).count("<tr") - 1

    assert [n_rows(shown) for shown in (ALL, MISTAKES, WITHHELD, OTHERS)] == [4, 2, 1, 1]
    assert "No answer of this kind" in filter_answers(pasted(line(1, "Paris")), 0.5, MISTAKES)
    assert "expected one of" in refusal(grading_panels, FOUR, 0.5, "<b>")
    assert len(FILTERS) == 4


@pytest.mark.parametrize("target", [1, -0.1, float("nan"), None])
def test_targets_that_are_none_are_refused(target):
    assert "confidence target t with 0 &lt;= t &lt; 1" in refusal(show_grades, FOUR, target, ALL)


def test_binary_grading_and_targets_rank_the_same_answers_differently():
    ranking = text_of(grading_panels(None, 0.9, ALL)[6])
    assert "Binary grading puts “Answers whatever it has” first" in ranking
    assert "at t = 0.9 it is “Answers only when over 90 % sure”, ahead of it by" in ranking
    assert "200 questions in common" in ranking
    assert "p = " in ranking
    assert "This is binary grading itself" in grading_panels(None, 0, ALL)[6]


def two_models():
    lines = [
        line(n, answer, 0.9, model=model)
        for n in range(20)
        for model, answer in (
            ("bold", "Paris" if n < 12 else "Lyon"),
            ("shy", "I do not know" if n % 2 else "Paris"),
        )
    ]
    return pasted(*lines)


def test_a_verdict_is_about_one_of_several_and_the_ranking_about_all():
    source = two_models()
    assert whose_choices(source) == [("bold", 0), ("shy", 1)]
    bold, shy = (grading_panels(source, 0.5, ALL, place) for place in (0, 1))
    assert "Of 20 graded answers 8 are wrong" in text_of(bold[0])
    assert "Of 20 graded answers 0 are wrong" in text_of(shy[0])
    assert bold[6] == shy[6]
    assert "at t = 0.5 it is “shy”" in text_of(bold[6])
    assert bold[5].count("<tr") == shy[5].count("<tr") == 21
    assert grading_panels(source, 0.5, ALL, 9)[0] == bold[0]  # a choice of an earlier file
    assert read_pasted("\n".join([line(1, "Paris", model="a"), line(1, "Paris", model="b")]))[2].visible
    assert not choose_examples()[2].visible


def test_what_is_left_out_and_what_it_could_change_is_on_the_card():
    source = pasted(*(line(n, "Paris" if n < 20 else "London", 0.9) for n in range(40)))
    card = text_of(grading_panels(source, 0.5, ALL)[0])
    assert "The ungradable answers would decide" in card
    assert "20 answers could not be graded and are left out: were all wrong, it would be 0.000 points" in card
    open_ended = many(["Paris", "London"], incorrect_answers=[])
    assert "Careful: 30 of 30 answers are to questions that list no incorrect_answers" in text_of(
        grading_panels(open_ended, 0.5, ALL)[0]
    )
    closed, *_ = read_pasted("\n".join(line(n, "London", incorrect_answers=[]) for n in range(20)), True)
    card = grading_panels(closed, 0.5, ALL)[0]
    assert "✕ Worse than saying nothing" in card
    assert "Careful" not in card
    unsure = pasted(line(1, "Paris", 0.9), line(2, "Paris"))
    assert "1 answer without a confidence left out of what is withheld" in text_of(
        grading_panels(unsure, 0.5, ALL)[0]
    )


def test_the_best_threshold_is_on_the_card():
    card = text_of(grading_panels(None, 0.75, ALL)[0])
    assert "these answers score most when given above confidence 0.881 [" in card


def test_answers_to_stated_targets_are_audited():
    told = many(["Paris", "Lyon"], stated_target=0.9)
    audited = text_of(grading_panels(told, 0.5, ALL)[6])
    assert "Told a target, does it keep to it?" in audited
    assert "over-confident" in audited
    assert "Told a target" not in grading_panels(None, 0.5, ALL)[6]


def test_observation_1_and_the_rules_are_shown():
    figure, caption = show_observation()
    assert figure.visible
    assert "“I do not know” is best under 0 of 31,053 beliefs" in caption
    table = text_of(rules_table(check_rules("held_out")))
    assert "held out: written by the same hand before the rules were changed" in table
    assert "258 answers to 30 questions" in table


def test_malformed_lines_are_named_by_number_and_the_rest_is_graded():
    source, note, _ = read_pasted("\n".join([line(1, "Paris"), "{", "", '{"id": 2}', line(3, "Lyon")]))
    assert len(source.graded.answers) == 2
    said = text_of(note)
    assert "2 answers read from your answers. 2 lines left out:" in said
    assert "line 2: no JSON" in said
    assert "line 4: no question" in said


def test_nothing_typed_becomes_markup():
    evil = "<img src=x onerror=alert(1)>"
    source, note, _ = read_pasted(
        "\n".join([
            line(1, f"Lyon {evil}", 0.3, question=evil, model=evil, correct_answers=[evil, "Paris"]),
            line(2, evil, 0.4, model="b"),
            f'{{"id": "{evil}", "question": 1}}', evil,
        ])
    )  # fmt: skip
    shown = "".join(str(panel) for panel in grading_panels(source, 0.5, ALL)[:2])
    shown += note + "".join(grading_panels(source, 0.5, ALL)[5:7])
    assert "<img" not in shown
    assert "&lt;img" in shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "got nothing"),
        (" \n", "got nothing"),
        ("x" * (MAX_CHARACTERS + 1), "at most 1,000,000 characters"),
        ("nonsense", "line 1: no JSON"),
        ("\n".join(line(n, "Paris") for n in range(MAX_GRADED + 1)), "at most 2,000 answers"),
        ("[" * 5_000, "line 1"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(text, words):
    assert words in refusal(read_pasted, text)


def test_a_byte_order_mark_is_no_mistake():
    assert len(pasted_source("\ufeff" + line(1, "Paris")).graded.answers) == 1


def test_the_examples_are_real_answers():
    source, note, _ = choose_examples()
    assert len(source.graded.answers) == 200
    assert "200 answers read from the shipped examples" in note
    assert pasted_source(EXAMPLE_LINE).graded.answers[0].grade == "correct"


def test_the_endpoint_gives_what_the_command_gives():
    text = "\n".join([line(1, "Paris", 0.9), line(2, "Lyon", 0.6), line(3, "Lyon", 0.8), line(4, "IDK", 0.2)])
    record = grade(text, 0.75)
    assert record["as_given"]["score"]["mean"] == pytest.approx(-1.25)
    assert record["by_confidence"]["score"]["mean"] == pytest.approx(-0.5)
    assert record["penalty"] == 3
    assert "line 5" in refusal(grade, text + "\n{")
    assert grade(text + "\n{", 0.75, True)["bad_lines"][0]["line"] == 5
    assert "got 1.0: the penalty" in refusal(grade, text, 1.0)
    assert "0 &lt;= t &lt; 1, got 'x'" in refusal(grade, text, "x")
    assert "0 &lt;= t &lt; 1, got nothing" in refusal(grade, text, None)
    assert "seed as a whole number" in refusal(grade, text, 0.5, False, None)
    assert "line 5: answer with half a character" in refusal(grade, text + "\n" + line(5, "\ud800"))
    raw = line(5, "HALF").replace("HALF", "\ud800")
    assert "line 5: answer with half a character" in refusal(grade, f"{text}\n{raw}")
    assert "at most 50,000 are graded" in refusal(grade, line(1, "Paris " * 10_000))
    assert grade(line(1, "London"), 0.5, False, 0, True)["as_given"]["n_by_grade"]["wrong"] == 1
    assert grade()["n"] == 200


def test_policies_train_stop_and_are_put_into_words(session, monkeypatch):
    small = replace(
        grading_training.DEFAULTS, world=replace(grading_training.DEFAULTS.world, n_prompts=200), n_samples=2_000,
        n_slots=100, n_steps=60, n_points=3,
    )  # fmt: skip
    monkeypatch.setattr(grading_training, "DEFAULTS", small)
    steps = train_policies(session, CROWDED, 2_000, 1, 0)
    next(steps)
    steps.close()
    assert session.engine.queue.holder is None
    frames = list(train_policies(session, CROWDED, 2_000, 2, 0))
    card, learned, told, reliability, table, calibration, result = frames[-1]
    rows = policy_table(result)
    before, binary = rows[0], next(row for row in rows if row.policy == BINARY and row.target == 0)
    assert f"from {100 * before.idk.mean:.1f} % to {100 * binary.idk.mean:.1f} %" in text_of(card)
    assert "Mean over 2 worlds" in card
    assert table.count("<tr>") == 7  # header, before, binary, told four times
    assert learned.visible
    assert told.visible
    assert reliability.visible
    calibrations = policy_calibrations(result)
    ece = calibration_of(calibrations, BINARY, 0.0).ece.mean
    assert f"{ece:.3f}" in text_of(calibration)
    assert calibration.count("<tr>") == 1 + 2 + 4 + 1  # header, before and binary, four graders, one told
    assert settled(result)[0] == policies_card(rows, calibrations)
    assert "Stopped" in settled(None)[0]
    assert "worlds as a whole number" in refusal(lambda: list(train_policies(session, CROWDED, 2_000, 99, 0)))
    assert "expected a base learner among" in refusal(
        lambda: list(train_policies(session, "<b>", 2_000, 1, 0))
    )


def test_the_small_network_is_a_base_on_the_page_and_not_for_ever(session, monkeypatch):
    small = replace(
        grading_training.DEFAULTS, world=replace(grading_training.DEFAULTS.world, n_prompts=60), n_steps=10, n_points=2,
        qwen=FactsQwenSettings(hidden_size=32, n_layers=1, n_heads=2, epochs=2),
    )  # fmt: skip
    monkeypatch.setattr(grading_training, "DEFAULTS", small)
    frames = list(train_policies(session, "qwen", 500, 1, 0))
    assert "the network reads, epoch 1 of 2" in frames[1][0]
    assert frames[-1][-1].n_worlds == 1
    assert "lower one" in refusal(lambda: list(train_policies(session, "qwen", 50_000, 10, 0)))


def test_the_verdict_tells_guessing_from_erring():
    def card(idk, wrong):
        share = {"before": over_worlds([0.2]), "idk": over_worlds([idk]), "wrong": over_worlds([wrong])}
        base = PolicyRow(BASE, 0.0, False, *[share["before"]] * 9)
        binary = replace(base, policy=BINARY, idk=share["idk"], wrong=share["wrong"])
        return policies_card([base, binary], [])

    assert "taught it to guess" in card(0.0, 0.3)
    assert "errs no more often" in card(0.0, 0.1)
    assert "changed little" in card(0.2, 0.3)


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_base_says_who_it_is(learner):
    assert len(text_of(base_note(learner))) > 20


def test_an_unknown_base_is_no_base():
    assert "in the list" in refusal(base_note, "<b>")


def test_the_tab_builds(session):
    with gr.Blocks():
        assert build_grading_tab(session).target.value == 0.75
