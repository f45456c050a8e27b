import json
import re

import pytest

from hallulab.data.target_prompts import target_sentence
from hallulab.scoring.answer_file import EXAMPLE_ANSWERS


@pytest.fixture
def answers(tmp_path):
    rows = [("1", "Paris.", 0.9), ("2", "Rome.", 0.6), ("3", "I do not know.", None), ("4", "Blue", 0.5)]
    lines = [
        json.dumps({
            "id": name, "question": "Where?", "answer": text, "confidence": confidence,
            "correct_answers": ["Paris"], "incorrect_answers": ["Rome"],
        })
        for name, text, confidence in rows
    ]  # fmt: skip
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_the_object_by_hand(run, answers):
    found = run("grade", answers, "--target", "0.75", "--json").json
    assert (found["target"], found["penalty"], found["reading"], found["n"]) == (0.75, 3, "assistive", 4)
    assert found["as_given"]["n_by_grade"] == {
        "correct": 1, "wrong": 1, "abstained": 1, "empty": 0, "ungradable": 1,
    }  # fmt: skip
    assert found["as_given"]["score"]["mean"] == pytest.approx(-2 / 3)
    assert found["by_confidence"]["score"]["mean"] == pytest.approx(1 / 3)
    assert found["binary_score"] == pytest.approx(1 / 3)
    assert found["break_even_target"] == 0.5
    assert found["answers"][1]["is_withheld"] is True
    assert found["answers"][3]["score_as_given"] is None
    assert found["bad_lines"] == []
    assert found["ranking"] == []


def test_the_words_say_the_same(run, answers):
    shown = run("grade", answers, "--target", "0.75")
    assert shown.exit_code == 0
    assert (
        "At t = 0.75 (assistive) a wrong answer costs 3 points. To state it, add to the prompt:" in shown.out
    )
    assert target_sentence(0.75) in shown.out
    assert "As given: −0.667" in shown.out
    assert "too few questions to say whether that beats saying nothing" in shown.out
    assert (
        "1 answer could not be graded and is left out: were all wrong, it would be −1.250 points" in shown.out
    )
    assert "wrong, withheld" in shown.out


@pytest.mark.parametrize("target", ["1", "-0.5", "nan"])
def test_targets_without_a_penalty_are_refused(run, answers, target):
    assert "0 <= t < 1" in run("grade", answers, "--target", target).refusal


def test_bad_lines_are_named_and_the_rest_is_graded_when_asked(run, answers):
    answers.write_text(answers.read_text() + "\n{broken\n", encoding="utf-8")
    assert "line 5: no JSON" in run("grade", answers).refusal
    found = run("grade", answers, "--skip-bad-lines", "--json").json
    assert (found["n"], [line["line"] for line in found["bad_lines"]]) == (4, [5])


def test_records_become_a_report(run, answers, tmp_path):
    out = tmp_path / "run"
    first = run("grade", answers, "--out", out, "--json").json
    assert (
        run("grade", answers, "--out", out, "--target", "0.9", "--json").json["records"] == first["records"]
    )
    written = run("report", out, "--json").json
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "mine.jsonl: 4 answers at t = 0.9" in page
    assert written["points"].endswith("points.csv")
    answers.write_text(answers.read_text().replace("Rome", "Oslo"), encoding="utf-8")
    assert "of another mine.jsonl" in run("grade", answers, "--out", out).refusal


def test_the_shipped_example_keeps_what_the_docs_say_of_it(run):
    found = run("grade", EXAMPLE_ANSWERS, "--target", "0.75", "--json").json
    assert found["as_given"]["n_by_grade"] == {
        "correct": 160, "wrong": 31, "abstained": 9, "empty": 0, "ungradable": 0,
    }  # fmt: skip
    assert found["as_given"]["score"]["mean"] == pytest.approx((160 - 3 * 31) / 200)
    assert found["by_confidence"]["score"]["mean"] == pytest.approx(142 / 200)
    # intervals that hold together for five targets: of 111 right answers out of 111 they do not reach 0.95
    verdicts = {point["target"]: point["verdict"] for point in found["audit"]}
    assert verdicts == dict.fromkeys((0.0, 0.5, 0.75, 0.9), "keeps its word") | {0.95: "not decided"}
    assert found["worth"] == "better than saying nothing"
    assert found["best_threshold"]["threshold"] == pytest.approx(0.8807)


def test_models_are_ranked_by_both_gradings(run, tmp_path):
    # the guesser: 6 right, 4 wrong; the modest one: 5 right, 5 times IDK
    lines = [
        json.dumps({
            "id": n, "question": "Where?", "model": model, "answer": text, "correct_answers": ["Paris"],
            "incorrect_answers": ["Rome"],
        })
        for n in range(10)
        for model, text in (
            ("guesser", "Paris" if n < 6 else "Rome"),
            ("modest", "Paris" if n < 5 else "I do not know"),
        )
    ]  # fmt: skip
    path = tmp_path / "two.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    found = run("grade", path, "--target", "0.75", "--json").json
    assert [(one["model"], one["rank"], one["binary_rank"]) for one in found["ranking"]] == [
        ("modest", 1, 2), ("guesser", 2, 1),
    ]  # fmt: skip
    assert found["by_confidence"] is None
    assert found["ranking"][1]["below_first"]["mean"] == pytest.approx(1.1)
    assert found["ranking"][1]["below_first"]["n"] == 10
    assert (found["worth"], found["best_threshold"]) == (None, None)  # of two models nothing is said together
    assert [one["worth"] for one in found["answerers"]] == ["not told from saying nothing"] * 2
    shown = run("grade", path, "--target", "0.75").out
    assert "rank, binary" in shown
    assert "Binary grading puts “guesser” first; at t = 0.75 it is “modest”, ahead of it by 1.10" in shown


def write(path, *rows):
    """Rows of (answer, more) as a file of one question each, Paris right, Rome wrong."""
    lines = [
        json.dumps(
            {
                "id": n, "question": "Where?", "answer": text, "correct_answers": ["Paris"],
                "incorrect_answers": ["Rome"],
            } | more
        )
        for n, (text, more) in enumerate(rows)
    ]  # fmt: skip
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_model_without_a_gradable_answer_is_shown_with_dashes(run, tmp_path):
    rows = [("Paris", {"model": "a"}), ("Blue", {"id": 0, "model": "b"}), ("Blue", {"id": 0})]
    shown = run("grade", write(tmp_path / "odd.jsonl", *rows))
    assert shown.exit_code == 0
    assert re.search(r"^  b +– +– ", shown.out, re.MULTILINE)
    assert re.search(r"^  \(no name\) +– ", shown.out, re.MULTILINE)
    assert "None" not in shown.out


def test_the_number_without_confidence_and_both_policies_on_the_same_answers_are_said(run, tmp_path):
    rows = [("Rome", {})] * 20 + [("Paris", {"confidence": 0.99})] * 5
    path = write(tmp_path / "some.jsonl", *rows)
    shown = run("grade", path, "--target", "0.5").out
    assert "No answer has a confidence of 0.5 or less, so nothing is withheld." in shown
    assert "20 answers without a confidence are left out of this comparison" in shown
    found = run("grade", path, "--target", "0.5", "--json").json
    assert found["withholding"]["as_given"]["score"]["mean"] == 1
    assert found["withholding"]["gain"]["mean"] == 0
    assert found["by_confidence"]["n_missing"] == 20


def test_questions_that_list_nothing_wrong_are_warned_of(run, tmp_path):
    rows = [("Paris" if n < 5 else "London", {"incorrect_answers": []}) for n in range(10)]
    path = write(tmp_path / "open.jsonl", *rows)
    shown = run("grade", path).out
    assert "Careful: 10 of 10 answers are to questions that list no incorrect_answers" in shown
    assert "were all wrong, it would be −1.000 points; abstentions, +0.500; right, +1.000" in shown
    assert "better than saying nothing" not in shown
    found = run("grade", path, "--others-are-wrong", "--json").json
    assert found["as_given"]["n_by_grade"]["wrong"] == 5
    assert found["as_given"]["score"]["mean"] == pytest.approx((5 - 3 * 5) / 10)
    assert "Careful" not in run("grade", path, "--others-are-wrong").out


def test_half_a_character_is_a_bad_line(run, tmp_path):
    path = write(tmp_path / "half.jsonl", ("Paris", {}), ("\ud800", {}))
    assert "line 2: answer with half a character" in run("grade", path).refusal
    assert run("grade", path, "--skip-bad-lines", "--json").json["bad_lines"][0]["line"] == 2


def test_stated_targets_are_audited(run, tmp_path):
    rows = [("Paris" if n % 2 else "Rome", {"model": "m", "stated_target": 0.9}) for n in range(40)]
    path = write(tmp_path / "told.jsonl", *rows)
    found = run("grade", path, "--json").json
    [point] = found["stated_audit"]
    assert (point["model"], point["target"], point["verdict"]) == ("m", 0.9, "over-confident")
    assert found["audit"] == []
    shown = run("grade", path).out
    assert "Answering a prompt that states t:" in shown
    assert re.search(r"m, told t = 0.9 .*over-confident", shown)


def test_a_target_just_below_1_is_not_called_1(run, answers):
    shown = run("grade", answers, "--target", "0.9999999999999999").out
    assert "At t = 0.9999999999999999" in shown
    assert "99.99999999999999 % confident" in shown
