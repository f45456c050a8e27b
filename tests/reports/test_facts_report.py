"""The report of a facts run: words that its numbers make true, figures, files."""

import csv
from dataclasses import replace

import pytest

from hallulab.data.facts_world import WorldSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.facts import records_path, run_facts
from hallulab.experiments.facts_run import FactsSettings, LearnerPoint
from hallulab.experiments.facts_summary import FactsResult
from hallulab.records import RecordFile
from hallulab.reports.facts_figures import bounds_chart, sizes_chart
from hallulab.reports.facts_report import facts_sentences, write_facts_report
from hallulab.reports.facts_tables import bounds_table, size_text
from hallulab.theory.arbitrary_facts import FirstSize

SETTINGS = FactsSettings(world=WorldSettings(n_prompts=40, n_answers=9), n_samples=80, rounds=2)


@pytest.fixture(scope="module")
def points():
    return tuple(run_facts(SETTINGS))


def test_sentences_follow_the_numbers(points):
    said = " ".join(facts_sentences(FactsResult(SETTINGS, points)))
    assert "No bound was broken" in said
    spoke = sum(point.bound > 0 for point in points if isinstance(point, LearnerPoint))
    assert f"Theorem 1 held in {spoke} of {spoke} where it speaks, silent in {12 - spoke}" in said
    assert "Theorem 2 from below never spoke, silent in 12" in said  # N = 80 is far below 7,995
    assert "sharper form from above held in" in said
    assert "Theorem 2, at most: says something in this world from" in said
    assert "does not err at all" in said
    broken = tuple(
        replace(point, bound=point.err + 0.1) if isinstance(point, LearnerPoint) else point
        for point in points
    )
    said = " ".join(facts_sentences(FactsResult(SETTINGS, broken)))
    assert "Broken bounds: 12." in said
    assert "Theorem 1 held in 0 of 12 where it speaks" in said


def test_a_bound_that_says_nothing_is_not_drawn(points):
    result = FactsResult(SETTINGS, points)
    lower = next(series for series in sizes_chart(result).series if series.name == "paper: at least")
    assert set(lower.y) == {None}
    drawn = {series.name: list(series.y) for series in bounds_chart(result).series}
    assert drawn["error rate, measured"] == [row.err.mean for row in result.table]
    assert drawn["judging error err_iiv"] == [row.err_iiv.mean for row in result.table]
    assert set(drawn["Theorem 2: at least"]) == {None}
    # the upper bounds are about the memoriser, the first of the learners
    assert drawn["at most, sharper"][1:] == [None] * 5
    world_means = [point.sharp_upper_bound for point in result.worlds]
    assert drawn["at most, sharper"][0] in (None, pytest.approx(sum(world_means) / 2))


def test_one_table_holds_every_bound_beside_what_it_bounds(points):
    result = FactsResult(SETTINGS, points)
    table = bounds_table(result, has_intervals=False)
    assert len(table.rows) == len(result.table) + 1
    memoriser, counter, says = dict_rows(table, "memoriser"), dict_rows(table, "counter"), table.rows[-1]
    row = result.table[0]
    assert memoriser[2:5] == [f"{row.err_iiv.mean:.4f}", "0.0000", "0.0000"]
    assert memoriser[7].startswith("(−")  # Theorem 2 says nothing
    assert memoriser[9].strip("()") != "–"
    assert counter[9:] == ["–", "–"]
    sizes = result.first_sizes
    assert list(says[7:]) == [size_text(sizes[name]) for name in ("paper_lower", "sharp_lower", "paper_upper",
                                                                  "sharp_upper")]  # fmt: skip
    assert size_text(FirstSize(10, 20, 3_000)) == "20 to 3,000"
    assert size_text(FirstSize(10, 20, None)) == "20 on"
    assert size_text(FirstSize(10, None, None)) == "none here"


def dict_rows(table, learner):
    return list(next(row for row in table.rows if row[0] == learner))


def test_all_files_are_written(tmp_path):
    list(run_facts(SETTINGS, records=RecordFile(records_path(tmp_path, SETTINGS))))
    written = write_facts_report(tmp_path)
    page = written.path.read_text()
    assert "Arbitrary facts: what a language model must get wrong" in page
    assert page.count('class="live"') == 3  # no network, no training curve
    assert written.figures[0].read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(written.points.open()))
    assert len(rows) == 12
    assert {row["learner"] for row in rows} == set(SETTINGS.learners)
    assert b"<svg" in written.figures[1].read_bytes()


def test_a_run_without_learners_is_refused(tmp_path):
    records = RecordFile(records_path(tmp_path, SETTINGS))
    running = run_facts(SETTINGS, records=records)
    next(running)
    running.close()
    with pytest.raises(RefusedInputError, match="at least one measured learner"):
        write_facts_report(tmp_path)
