import csv
import re

import pytest

from hallulab.errors import RefusedInputError
from hallulab.experiments.grading import GradingSettings, grade_file, records_path
from hallulab.records import RecordFile
from hallulab.reports.grading_report import write_grading_report
from hallulab.scoring.answer_file import EXAMPLE_ANSWERS
from tests.cli.test_grade import write


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<(script|svg|style).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graded")
    rows = [
        (text, {"id": n, "model": model} | ({} if told is None else {"stated_target": told}))
        for n in range(12)
        for model, text, told in (
            ("guesser", "Paris" if n < 8 else "Rome", None),
            ("modest", "Paris" if n < 7 else "I do not know", None),
            ("told", "Paris" if n < 3 else "Rome", 0.9),
        )
    ]
    own = write(folder / "mine.jsonl", *rows)
    for path in (own, EXAMPLE_ANSWERS):
        grade_file(path, GradingSettings(), records=RecordFile(records_path(folder, path.name)))
    write_grading_report(folder)
    return folder


def test_everybody_is_judged_alone_and_ranked_together(folder):
    page = text_of((folder / "report.html").read_text(encoding="utf-8"))
    assert "Binary grading puts “guesser” first; at t = 0.75 it is “modest”" in page
    for name in ("guesser: As given: ", "modest: As given: ", "told, told t = 0.9: As given: "):
        assert name in page
    assert "Behavioural calibration: answering a prompt that states t" in page
    assert "over-confident" in page
    # the shipped example: one answerer, its best threshold and its figures
    assert "The confidence above which answers score most at t = 0.75" in page
    assert "Does it keep its word?" in page
    assert page.count("Answer only if you are more than 75 % confident") == 2


def test_the_rules_are_measured_and_observation_1_is_shown(folder):
    page = text_of((folder / "report.html").read_text(encoding="utf-8"))
    assert "How often are the written rules right?" in page
    assert "Of what the rules call correct or wrong, the person says the same: 98." in page
    assert "When is “I do not know” the best answer?" in page


def test_every_answer_is_in_the_points(folder):
    with (folder / "points.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 36 + 200
    assert {row["model"] for row in rows} == {"guesser", "modest", "told", "qwen-mini"}


def test_a_folder_without_grades_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="expected grading runs"):
        write_grading_report(tmp_path)
