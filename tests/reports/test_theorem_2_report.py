"""The report of worlds of Theorem 2: silent worlds are counted apart, and not drawn."""

import csv
from dataclasses import replace

import pytest

from hallulab.data.facts_world import WorldSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.facts_audit import AuditSettings, FactsAudit, row_of
from hallulab.experiments.facts_audit_run import audit_worlds
from hallulab.reports.theorem_2_report import (
    audit_chart,
    audit_headline,
    audit_table,
    held_words,
    points_csv,
    write_theorem_2_report,
)

SETTINGS = AuditSettings(WorldSettings(n_prompts=50, n_answers=30), 60, 4)


@pytest.fixture(scope="module")
def audit() -> FactsAudit:
    """In one of four worlds the paper's lower bound speaks, and is broken; it is silent in the others."""
    worlds = list(audit_worlds(SETTINGS))
    assert all(world.lower_bounds["paper_lower"]["memoriser"] < 0 for world in worlds)
    err = worlds[0].err["memoriser"]
    speaks = worlds[0].lower_bounds | {"paper_lower": dict.fromkeys(worlds[0].err, err + 0.1)}
    return FactsAudit(SETTINGS, (replace(worlds[0], lower_bounds=speaks), *worlds[1:]))


def test_silent_worlds_are_no_worlds_in_which_it_held(audit):
    row = row_of(audit.rows, "paper_lower")
    assert (row.n_spoke, row.n_held, row.n_silent) == (1, 0, 3)
    assert held_words(row) == "held in 0 of 1 where it speaks, silent in 3"
    assert held_words(replace(row, n_spoke=0, n_held=0)) == "silent in all 4"
    assert "Theorem 2, at least: held in 0 of 1 where it speaks, silent in 3" in audit_headline(audit)
    line = next(row for row in audit_table(audit).rows if row[0] == "Theorem 2, at least: memoriser")
    assert line[1] == "0 of 1"
    assert line[3] == "3"


def test_means_and_figure_are_of_the_worlds_where_a_bound_speaks(audit):
    first = audit.worlds[0].err["memoriser"]
    row = row_of(audit.rows, "paper_lower")
    assert (row.mean_bound, row.mean_err) == (pytest.approx(first + 0.1), pytest.approx(first))
    drawn = {series.name: series.y for series in audit_chart(audit).series}
    assert drawn["Theorem 2, at least"] == [pytest.approx(first + 0.1)]


def test_every_world_is_a_line_of_the_points(audit):
    rows = list(csv.DictReader(points_csv([audit, audit]).splitlines()))
    assert len(rows) == 8
    assert {row["fewest_errors"] for row in rows} == {"29"}
    assert float(rows[0]["paper_lower_memoriser"]) == audit.worlds[0].lower_bounds["paper_lower"]["memoriser"]


def test_a_folder_without_worlds_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="at least one world of Theorem 2"):
        write_theorem_2_report(tmp_path)
