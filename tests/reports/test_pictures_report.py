"""The report of a sweep of pictures: words that its numbers make true, figures, pictures, files."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.experiments.pictures_sweep import PictureSweep, read_picture_sweep
from hallulab.experiments.pictures_sweep_run import run_picture_sweep
from hallulab.experiments.pictures_sweep_summary import summarise
from hallulab.reports.pictures_figures import calibration_charts, prompts_chart, rate_chart
from hallulab.reports.pictures_report import _spread, pictures_page, write_pictures_report
from hallulab.reports.pictures_sentences import findings
from hallulab.theory.intervals import Interval


@pytest.fixture(scope="module")
def swept(tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    settings = PictureSweep(
        checkpoints=("base", "step-10"), prompts=("a <b>cat</b>", "a pet"), n_images=4, best_of=2
    )
    list(run_picture_sweep(Engine(load_preset(str(tiny_preset)), device="cpu"), settings, folder))
    return folder


def test_the_page_shows_figures_pictures_and_hashes(swept, tmp_path):
    written = write_pictures_report(swept, tmp_path / "page.html")
    page = written.path.read_text()
    run = read_picture_sweep(swept)
    assert "In plain words" in page
    assert "a &lt;b&gt;cat&lt;/b&gt;" in page
    assert "<b>cat" not in page.split("<script>")[0]
    n_outside = sum(not record["inside"] for record in run.images)
    before_scripts = page.split("<script>")[0]
    assert before_scripts.count('src="data:image/png;base64,') == n_outside  # fewer than the grid holds
    assert run.header["frame"] in page
    assert all(path.stat().st_size > 1000 for path in written.figures)
    rows = list(csv.DictReader(written.points.open()))
    assert [row["prompt"] for row in rows] == ["a <b>cat</b>", "a pet"] * 2


def test_without_a_probe_truth_is_not_claimed(swept):
    run = read_picture_sweep(swept)
    summary = summarise(run)
    assert all(row.truths is None for row in summary.guided)
    assert summary.confusion == summary.detectors == ()
    said = " ".join(sentence for finding in findings(run, summary) for sentence in finding.sentences)
    assert "truly genuine" not in said


def test_sentences_follow_the_numbers(swept):
    run = read_picture_sweep(swept)
    summary = summarise(run)
    plain, kept, best = (replace(row, checkpoint="step-10") for row in summary.guided[-3:])
    truths = {"genuine": 4, "blend": 4, "other": 0, "unclear": 0}
    plain = replace(plain, n=8, n_outside=4, truths=truths, states={"cat": 4, "dog": 4}, diversity=0.5)
    kept = replace(
        kept, n=4, n_outside=0, truths=truths | {"blend": 0}, images_per_kept=2.0, states={"cat": 3, "dog": 1},
        diversity=0.25,
    )  # fmt: skip
    best = replace(best, n=4, n_outside=1, truths=truths | {"genuine": 3, "blend": 1}, diversity=0.375)
    finding = findings(run, replace(summary, guided=(plain, kept, best)))[2]
    assert finding.headline == (
        "With step-10, keeping only what is inside costs 2.0 images for each one kept, and the share truly genuine "
        "goes from 50.0 % (4 of 8) to 100.0 % (4 of 4)."
    )
    said = " ".join(finding.sentences)
    assert (
        "diversity goes from 0.500 to 0.250, and 50.0 % cat, 50.0 % dog become 75.0 % cat, 25.0 % dog."
        in said
    )
    none = replace(kept, n=0, images_per_kept=None)
    finding = findings(run, replace(summary, guided=(plain, none, best)))[2]
    assert finding.headline == "No checkpoint painted anything inside, so nothing could be kept."


def test_a_rate_like_that_of_genuine_images_is_not_called_high(swept):
    run = read_picture_sweep(swept)
    summary = summarise(run)
    last = summary.checkpoints[-1]
    for interval, is_said in ((Interval(0.2, 0.6), True), (Interval(0.05, 0.3), False)):
        rows = (*summary.checkpoints[:-1], replace(last, interval=interval))
        said = " ".join(findings(run, replace(summary, checkpoints=rows))[0].sentences)
        assert ("is still above that" in said) == is_said


def test_the_charts_draw_the_records(swept):
    run = read_picture_sweep(swept)
    summary = summarise(run)
    rate = rate_chart(summary.checkpoints)
    assert rate.x_names == ["base", "10"]
    assert rate.series[0].y == [row.hallucination_rate for row in summary.checkpoints]
    assert [series.name for series in prompts_chart(run, summary.checkpoints).series] == [
        "a <b>cat</b>",
        "a pet",
    ]
    for chart in calibration_charts(run):
        assert all(sum(series.y) == pytest.approx(1) for series in chart.series)


def test_an_unfinished_run_is_reported_as_far_as_it_is(tiny_preset, tmp_path):
    settings = PictureSweep(checkpoints=("base", "step-10"), prompts=("a cat",), n_images=2)
    job = run_picture_sweep(Engine(load_preset(str(tiny_preset)), device="cpu"), settings, tmp_path)
    next(job)
    with pytest.raises(RefusedInputError, match="at least one finished prompt"):
        write_pictures_report(tmp_path)
    next(job)
    job.close()
    run = read_picture_sweep(tmp_path)
    assert [row.checkpoint for row in summarise(run).checkpoints] == ["base"]
    assert pictures_page(run, summarise(run), tmp_path).title == "Pictures: 2 images of 2 checkpoints"


def test_samples_are_spread():
    assert _spread(3, 12) == [0, 1, 2]
    assert _spread(100, 3) == [0, 50, 99] or _spread(100, 3) == [0, 49, 99]
