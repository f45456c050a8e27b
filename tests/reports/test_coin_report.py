import csv
import hashlib
from html import unescape
from xml.etree import ElementTree

import pytest

from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_records import read_runs
from hallulab.records import RecordFile
from hallulab.reports.coin_report import coin_page, write_coin_report
from hallulab.scoring.coin_rule import CoinRule
from tests.hand_made_coins import finished, measured, point, record, run

NBSP = "\N{NO-BREAK SPACE}"


def tables(results):
    """Every table of a page by its title."""
    page = coin_page(results, [])
    return {table.title: table for section in page.sections for table in section.tables}


def test_the_page_is_drawn_from_the_records_alone(tmp_path):
    record(tmp_path, measured())
    report = write_coin_report(tmp_path)
    assert report.path == tmp_path / "report.html"
    html = unescape(report.path.read_text(encoding="utf-8")).replace("\N{NO-BREAK SPACE}", " ")
    (records,) = tmp_path.glob("*.jsonl")
    assert hashlib.sha256(records.read_bytes()).hexdigest() in html
    assert "torch" in html
    assert "Its answer is right 60.4 % of the time (all 3 rounds alike)" in html
    assert html.count("Figure 1.") == 1


def test_another_line_decides_the_page_anew(tmp_path):
    record(tmp_path, measured(coins_per_draw=3))
    texts = [
        unescape(write_coin_report(tmp_path, rule=rule).path.read_text(encoding="utf-8")).replace(NBSP, " ")
        for rule in (None, CoinRule(delta=0.4))
    ]
    assert "0.0 % of its answers hallucinate" in texts[0]
    assert "10.0 % of its answers hallucinate" in texts[1]
    assert "at most δ = 0.4" in texts[1]


def test_figures_and_points_lie_beside_the_page(tmp_path):
    record(tmp_path / "run", measured())
    report = write_coin_report(tmp_path / "run", tmp_path / "elsewhere" / "coins.html")
    png, svg = report.figures
    assert {path.parent for path in (report.path, png, svg, report.points)} == {tmp_path / "elsewhere"}
    assert png.read_bytes().startswith(b"\x89PNG")
    assert ElementTree.fromstring(svg.read_bytes()).tag.endswith("svg")
    with report.points.open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(read_runs(tmp_path / "run")[0].points)


def test_the_same_records_give_the_same_page(tmp_path):
    record(tmp_path, measured())
    first = write_coin_report(tmp_path).path.read_bytes()
    assert write_coin_report(tmp_path).path.read_bytes() == first


def test_markup_in_the_records_is_shown_as_text(tmp_path):
    record(tmp_path, measured())
    (path,) = tmp_path.glob("*.jsonl")
    header, *others = RecordFile(path).read()
    path.unlink()
    RecordFile(path).append_all([header | {"versions": {"<script>alert(1)</script>": "<b>"}}, *others])
    html = write_coin_report(tmp_path).path.read_text(encoding="utf-8")
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_begun_runs_alone_are_refused(tmp_path):
    record(tmp_path, run())
    with pytest.raises(RefusedInputError, match="at least one scored point, found only begun ones"):
        write_coin_report(tmp_path)


def test_a_begun_run_beside_a_finished_one_is_shown(tmp_path):
    record(tmp_path, measured(), run(coins_per_draw=3))
    html = write_coin_report(tmp_path).path.read_text(encoding="utf-8")
    assert "No epoch was finished in this run" in html


def test_a_page_that_cannot_be_written_is_refused(tmp_path):
    record(tmp_path, measured())
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RefusedInputError, match="expected a report file that can be written"):
        write_coin_report(tmp_path, tmp_path / "file" / "report.html")
    with pytest.raises(RefusedInputError, match="expected a report file that can be written"):
        write_coin_report(tmp_path, tmp_path)


def test_networks_stand_beside_their_exact_values():
    (row,) = tables([finished(3)])["Right answers, at the last epoch that all rounds reached"].rows
    # P(right) 0.58 ± 4.303 · 0.02 / √3; the rounded average has 0.6042 exactly, the best possible
    assert list(row) == [
        "N = 2 · squared error", "3", "4", "58.0 % [53.0 to 63.0 %]", "60.4 %", f"−2.4{NBSP}points", "60.4 %",
    ]  # fmt: skip


def test_the_output_before_rounding_has_a_table_of_its_own():
    (row,) = tables([measured()])["Before any rounding"].rows
    assert row[1:] == ("100.0 % [all 3 rounds alike]", "83.3 %", "83.3 % [all 3 rounds alike]", "83.3 %")


def test_held_out_flips_are_told_apart_from_exact_numbers():
    (row,) = tables([finished(3)])[
        "The same networks on flips kept from training, as the paper scores them"
    ].rows
    assert (row[1], row[3]) == ("300", "61.0 % [all 3 rounds alike]")
    assert row[6] == "7.9 to 15.0 %"  # Wilson's interval of 33 of 300


def test_every_round_has_its_last_point():
    table = tables([run([point(0, 0), point(0, 1), point(1, 0)])])["Every round at its last scored epoch"]
    assert [row[1:3] for row in table.rows] == [("0", "1"), ("1", "0")]
    assert table.rows[1][3] == "–"
    unfinished = tables([run([*(point(0, epoch) for epoch in range(5)), point(1, 2)])])
    assert [row[1] for row in unfinished["Every round at its last scored epoch"].rows] == [
        "0",
        "1 (left out)",
    ]


def test_exact_values_are_given_once_for_each_n_and_rule():
    found = tables([finished(2), finished(2, objective="modal"), finished(2, delta=0.2)])
    exact = [title for title in found if title.startswith("Exact values")]
    assert exact == ["Exact values, N = 2, δ = 0.3", "Exact values, N = 2, δ = 0.2"]
    rows = {row[0]: row[1] for row in found[exact[0]].rows}
    assert (rows["average, rounded up"], rows["most likely count"]) == ("0.5000", "0.6042")


def test_a_sample_of_draws_is_never_called_exact():
    found = tables([run(coins_per_draw=11)])
    (title,) = [title for title in found if "values, N = 11" in title]
    assert title.startswith("Estimated values")
    assert "Estimated from 16,384 draws made at random" in found[title].note
    assert all(" to " in cell for row in found[title].rows for cell in row[1:])


def test_sections_appear_only_where_there_is_something_to_say():
    def titles(*results):
        return [section.title for section in coin_page(results, []).sections]

    training, claim, numbers = (
        "Training: the loss falls, and the answers?",
        "Does being right stand still while the loss falls?",
        "All numbers",
    )  # fmt: skip
    objectives, variants = "Does another objective hallucinate less? N = 2", "Fixed against the public code"
    assert titles(run()) == [training, numbers]
    assert titles(finished(2), finished(2, coins_per_draw=3)) == [training, claim, numbers]
    assert titles(measured(), measured(objective="modal")) == [training, claim, objectives, numbers]
    assert titles(measured(), measured(variant="paper_code")) == [training, claim, variants, numbers]
    assert titles(measured(), measured(coins_per_draw=3, objective="modal")) == [training, claim, numbers]


def test_variants_have_both_laws():
    fixed, public = tables([finished(2), finished(2, variant="paper_code")])["Variants"].rows
    assert (fixed[0], public[0]) == ("N = 2 · squared error", "N = 2 · squared error (public code)")
    assert public[2].startswith("20.0 %")
    assert (fixed[5], public[5]) == ("–", f"0.0{NBSP}points [all 2 rounds alike]")


def test_settings_that_differ_are_listed():
    page = coin_page([finished(2), finished(2, coins_per_draw=5)], [])
    settings = dict(page.receipt.settings.rows)
    assert (settings["coins per draw"], settings["flips"], settings["delta"]) == ("2, 5", "20", "0.3")
