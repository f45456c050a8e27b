import csv
import hashlib
from dataclasses import asdict
from html import unescape
from xml.etree import ElementTree

import pytest

from hallulab.errors import RefusedInputError
from hallulab.experiments.coins import read_runs, records_path
from hallulab.records import RecordFile
from hallulab.reports.coin_report import coin_page, write_coin_report
from tests.hand_made_coins import finished, point, run


def record(folder, *results, versions=None):
    """The runs as `coins --out` leaves them."""
    for result in results:
        records = RecordFile(records_path(folder, result.settings))
        records.append(
            {
                "kind": "settings",
                "settings": asdict(result.settings),
                "versions": versions or {"numpy": "9.8.7"},
            }
        )
        for measured in result.points:
            records.append({"kind": "point"} | asdict(measured))


def tables(results):
    """Every table of a page by its title."""
    page = coin_page(results, [])
    return {table.title: table for section in page.sections for table in section.tables}


def test_the_page_is_drawn_from_the_records_alone(tmp_path):
    record(tmp_path, finished(2))
    report = write_coin_report(tmp_path)
    assert report.path == tmp_path / "report.html"
    html = unescape(report.path.read_text(encoding="utf-8")).replace("\N{NO-BREAK SPACE}", " ")
    (records,) = tmp_path.glob("*.jsonl")
    assert hashlib.sha256(records.read_bytes()).hexdigest() in html
    assert "9.8.7" in html
    assert "Its answer is right 59.0 % of the time" in html
    assert html.count("Figure 1.") == 1


def test_figures_and_points_lie_beside_the_page(tmp_path):
    record(tmp_path / "run", finished(2))
    report = write_coin_report(tmp_path / "run", tmp_path / "elsewhere" / "coins.html")
    png, svg = report.figures
    assert {path.parent for path in (report.path, png, svg, report.points)} == {tmp_path / "elsewhere"}
    assert png.read_bytes().startswith(b"\x89PNG")
    assert ElementTree.fromstring(svg.read_bytes()).tag.endswith("svg")
    with report.points.open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(read_runs(tmp_path / "run")[0].points)


def test_the_same_records_give_the_same_page(tmp_path):
    record(tmp_path, finished(2))
    first = write_coin_report(tmp_path).path.read_bytes()
    assert write_coin_report(tmp_path).path.read_bytes() == first


def test_markup_in_the_records_is_shown_as_text(tmp_path):
    record(tmp_path, finished(2), versions={"<script>alert(1)</script>": "<b>"})
    html = write_coin_report(tmp_path).path.read_text(encoding="utf-8")
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_begun_runs_alone_are_refused(tmp_path):
    record(tmp_path, run())
    with pytest.raises(RefusedInputError, match="at least one scored point, found only begun ones"):
        write_coin_report(tmp_path)


def test_a_begun_run_beside_a_finished_one_is_shown(tmp_path):
    record(tmp_path, finished(2), run(coins_per_draw=3))
    html = write_coin_report(tmp_path).path.read_text(encoding="utf-8")
    assert "No epoch was finished in this run" in html


def test_a_page_that_cannot_be_written_is_refused(tmp_path):
    record(tmp_path, finished(2))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RefusedInputError, match="expected a report file that can be written"):
        write_coin_report(tmp_path, tmp_path / "file" / "report.html")
    with pytest.raises(RefusedInputError, match="expected a report file that can be written"):
        write_coin_report(tmp_path, tmp_path)


def test_networks_stand_beside_their_exact_values():
    (row,) = tables([finished(2)])["Right answers, at the last epoch that all rounds reached"].rows
    # P(right) 0.59 ± 0.127 over rounds; the rounded average has 0.6042 exactly, the best possible
    assert list(row[:7]) == [
        "N = 2 · squared error", "2", "4", "59.0 % [46.3 to 71.7 %]", "60.4 %", "−1.4", "60.4 %",
    ]  # fmt: skip


def test_every_round_has_its_last_point():
    table = tables([run([point(0, 0), point(0, 1), point(1, 0)])])["Every round at its last scored epoch"]
    assert [row[1:3] for row in table.rows] == [("0", "1"), ("1", "0")]
    assert table.rows[1][3] == "–"
    assert table.rows[0][7] == "5.0 to 20.0 %"


def test_exact_values_are_given_once_for_each_n_and_rule():
    found = tables([finished(2), finished(2, objective="modal"), finished(2, delta=0.2)])
    exact = [title for title in found if title.startswith("Exact values")]
    assert exact == ["Exact values, N = 2, δ = 0.3", "Exact values, N = 2, δ = 0.2"]
    rows = {row[0]: row[1] for row in found[exact[0]].rows}
    assert (rows["average, rounded up"], rows["most likely count"]) == ("0.5000", "0.6042")


def test_comparisons_appear_only_where_there_is_something_to_compare():
    def titles(*results):
        return [section.title for section in coin_page(results, []).sections]

    training, numbers = "Training: the loss falls, and the answers?", "All numbers"
    objectives, variants = "Does another objective hallucinate less?", "Fixed against the public code"
    assert titles(finished(2), finished(2, coins_per_draw=3)) == [training, numbers]
    assert titles(finished(2), finished(2, objective="modal")) == [training, objectives, numbers]
    assert titles(finished(2), finished(2, variant="paper_code")) == [training, variants, numbers]
    assert titles(finished(2), finished(2, coins_per_draw=3, objective="modal")) == [training, numbers]


def test_objectives_have_paired_differences_and_sources():
    table = tables([finished(2), finished(2, objective="absolute_error")])["Objectives, N = 2"]
    reference, other = table.rows
    assert (reference[2], other[2]) == ("–", "0.0 % [0.0 to 0.0 %]")
    assert "Koenker and Bassett" in table.note


def test_variants_have_both_laws():
    fixed, public = tables([finished(2), finished(2, variant="paper_code")])["Variants"].rows
    assert (fixed[0], public[0]) == ("N = 2 · squared error", "N = 2 · squared error (public code)")
    assert public[2].startswith("20.0 %")


def test_settings_that_differ_are_listed():
    page = coin_page([finished(2), finished(2, coins_per_draw=5)], [])
    settings = dict(page.receipt.settings.rows)
    assert (settings["coins per draw"], settings["flips"], settings["delta"]) == ("2, 5", "20", "0.3")
