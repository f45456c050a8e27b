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
from hallulab.reports.facts_figures import learners_chart, sizes_chart
from hallulab.reports.facts_report import facts_sentences, write_facts_report

SETTINGS = FactsSettings(world=WorldSettings(n_prompts=40, n_answers=9), n_samples=80, rounds=2)


@pytest.fixture(scope="module")
def points():
    return tuple(run_facts(SETTINGS))


def test_sentences_follow_the_numbers(points):
    said = " ".join(facts_sentences(FactsResult(SETTINGS, points)))
    assert "No lower bound was broken: 12 learners and worlds, 4 bounds each." in said
    assert "does not err at all" in said
    broken = tuple(
        replace(point, bound=point.err + 0.1) if isinstance(point, LearnerPoint) else point
        for point in points
    )
    assert "Broken lower bounds: bound: 12 of 12" in " ".join(facts_sentences(FactsResult(SETTINGS, broken)))


def test_a_bound_that_says_nothing_is_not_drawn(points):
    result = FactsResult(SETTINGS, points)
    lower = next(series for series in sizes_chart(result).series if series.name == "paper: at least")
    assert set(lower.y) == {None}
    errs = learners_chart(result).series[0]
    assert list(errs.y) == [row.err.mean for row in result.table]


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
