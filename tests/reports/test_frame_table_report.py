"""The report of a table of frames: sentences and charts that its rows make true, files, refusals."""

import csv
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from hallulab.cli.report import report
from hallulab.errors import RefusedInputError
from hallulab.experiments.frame_table import FrameTableSettings
from hallulab.experiments.frame_table_run import run_frame_table
from hallulab.experiments.frame_table_summary import OverFits, read_frame_table
from hallulab.records import RecordFile
from hallulab.reports.frame_table_report import (
    frame_table_charts,
    frame_table_csv,
    frame_table_findings,
    write_frame_table_report,
)
from tests.hand_made_frames import table_source

SETTINGS = FrameTableSettings(
    pca_dimensions=(2, 4), component_counts=(1, 3), seeds=(0, 1), n_blends=40, n_mean_images=8, n_means=50
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("table")
    list(run_frame_table(table_source(), SETTINGS, RecordFile(folder / "frame-table-clouds.jsonl")))
    return folder


def test_report_writes_page_figures_and_points(run, tmp_path, capsys):
    report(run, out=tmp_path / "page.html")
    assert capsys.readouterr().out.startswith(f"Wrote {tmp_path / 'page.html'}.")
    page = (tmp_path / "page.html").read_text()
    for words in ("In plain words", "4 ways to draw the line, 2 fits each", "Tests of the mean of 8 images"):
        assert words in page
    assert all((tmp_path / name).stat().st_size > 1000 for name in ("figure.png", "figure.svg"))
    rows = list(csv.DictReader((tmp_path / "points.csv").open()))
    # four frames by percentile with three tests each, four by the conformal rule with none
    assert len(rows) == 4 * 3 + 4
    assert {row["test"] for row in rows} == {"paper", "k_matched", "own_law", ""}


def test_sentences_follow_the_rows(run):
    header, rows = read_frame_table(run)
    rows = [
        replace(
            row,
            coverage={"cat": 0.9, "dog": 0.88 if row.pca_dimension == 2 else 0.91},
            auroc=0.95 if row.n_components == 1 else 0.97,
            means=tuple(
                replace(one, false_alarms={"cat": OverFits(0.5, 0.2, 0.8), "dog": OverFits(0.1, 0.1, 0.1)})
                for one in row.means
            ),
        )
        for row in rows
    ]
    coverage, blends, means = frame_table_findings(header, rows)
    assert coverage.headline == (
        "Between 88.0 % and 91.0 % of fresh genuine images are inside; 90.0 % are meant to be."
    )
    assert (
        "2 dimensions and 3 Gaussians tell blends from genuine images best (AUROC 0.970)" in blends.headline
    )
    assert "2 dimensions and 1 Gaussian worst (0.950)" in blends.headline
    assert means.headline.startswith(
        "The paper's test calls between 10.0 % and 80.0 % of means of 8 genuine images"
    )
    assert any("from 20.0 % to 80.0 % of means of cat images" in sentence for sentence in means.sentences)


def test_the_charts_draw_the_rows(run):
    header, rows = read_frame_table(run)
    papers = [row for row in rows if row.rule == "percentile"]
    auroc, alarms, power = frame_table_charts(header, rows)
    assert [series.name for series in auroc.series] == ["1 Gaussian", "3 Gaussians"]
    assert auroc.series[0].y == [row.auroc for row in papers if row.n_components == 1]
    assert alarms.x_names == ["2/1", "2/3", "4/1", "4/3"]
    for place, series in enumerate(alarms.series):
        shares = [list(row.means[place].false_alarms.values()) for row in papers]
        assert series.y == pytest.approx([sum(one.mean for one in each) / 2 for each in shares])
        assert series.high == [max(one.most for one in each) for each in shares]
    assert power.series[0].y == [row.means[0].power[0.1].mean for row in papers]


def test_points_hold_what_the_rows_hold(run):
    _, rows = read_frame_table(run)
    first = next(csv.DictReader(StringIO(frame_table_csv(rows))))
    assert (int(first["pca_dimension"]), float(first["auroc"])) == (rows[0].pca_dimension, rows[0].auroc)
    assert float(first["false_alarms_dog_most"]) == rows[0].means[0].false_alarms["dog"].most
    assert float(first["power_0.25_mean"]) == rows[0].means[0].power[0.25].mean


def test_a_begun_table_and_an_empty_folder_are_refused(run, tmp_path):
    header = RecordFile(run / "frame-table-clouds.jsonl").read()[0]
    RecordFile(tmp_path / "frame-table-clouds.jsonl").append(header)
    with pytest.raises(RefusedInputError, match="at least one frame, found only a begun one"):
        write_frame_table_report(tmp_path)
    (tmp_path / "folder" / "frame-table-x.jsonl").mkdir(parents=True)
    with pytest.raises(RefusedInputError, match="expected one table of frames .* found 0"):
        report(tmp_path / "folder")
