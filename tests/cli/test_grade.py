import json

import pytest

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
    assert "At t = 0.75 (assistive) a wrong answer costs 3: -0.667" in shown.out
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
    assert {point["verdict"] for point in found["audit"]} == {"keeps its word"}


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
    assert "rank, binary" in run("grade", path).out
