"""The report of a sweep of pictures: words that its numbers make true, figures, pictures, files."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from hallulab.densities.mean_tests import MEAN_TESTS
from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.experiments.guided_summary import DIVERSITY, GENUINE, GuidedDifference
from hallulab.experiments.pictures_sweep import PictureSweep, read_picture_sweep
from hallulab.experiments.pictures_sweep_run import run_picture_sweep
from hallulab.experiments.pictures_sweep_summary import summarise
from hallulab.reports.pictures_figures import (
    STEPS_BEFORE_FIRST,
    calibration_charts,
    loss_against_rate_chart,
    loss_chart,
    prompts_chart,
    rate_chart,
)
from hallulab.reports.pictures_report import _lost_files, _spread, pictures_page, write_pictures_report
from hallulab.reports.pictures_sentences import findings
from hallulab.theory.cluster_bootstrap import Estimate
from hallulab.theory.clustered_rate import ClusteredRate
from hallulab.theory.intervals import Interval


@pytest.fixture(scope="module")
def swept(tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    settings = PictureSweep(
        checkpoints=("base", "step-10"), prompts=("a <b>cat</b>", "a pet"), n_images=4, best_of=2,
        loss_pictures="pet-faces", n_loss_pictures=4,
    )  # fmt: skip
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


def test_what_choosing_buys_follows_the_numbers(swept):
    run = read_picture_sweep(swept)
    summary = summarise(run)
    plain, kept, best = (replace(row, checkpoint="step-10") for row in summary.guided[-3:])
    price = Estimate(2.0, None, 4)
    plain = replace(plain, n=8, genuine=ClusteredRate(0.5, None, 4, 8, 4, None))
    kept = replace(kept, n=4, genuine=ClusteredRate(1.0, None, 4, 4, 4, None), images_per_kept=price)
    best = replace(best, n=4, outside=ClusteredRate(0.25, None, 1, 4, 4, None), images_per_kept=price)
    differences = (
        GuidedDifference("step-10", "kept", DIVERSITY, 0.5, 0.25, Estimate(-0.25, Interval(-0.3, -0.2), 4)),
        GuidedDifference("step-10", "kept", GENUINE, 0.5, 1.0, Estimate(0.5, Interval(-0.1, 0.9), 4)),
    )
    finding = findings(run, replace(summary, guided=(plain, kept, best), differences=differences))[2]
    assert finding.headline == (
        "With step-10, keeping only what is inside costs 2.0 images for each one kept, and the share truly genuine "
        "goes from 50.0 % (4 of 8) to 100.0 % (4 of 4)."
    )
    said = " ".join(finding.sentences)
    assert "diversity −0.250 (−0.300 to −0.200)" in said
    assert "truly genuine +50.0 points (−10.0 to +90.0, which may be chance)" in said
    assert "Best of 2 with step-10: 1 of 4 are still outside" in said
    assert "2 paired comparisons" in said
    none = replace(kept, n=0, images_per_kept=None, genuine=None, outside=None)
    finding = findings(run, replace(summary, guided=(plain, none, best), differences=()))[2]
    assert finding.headline == "No checkpoint painted anything inside, so nothing could be kept."


def test_with_one_image_kept_and_no_best_the_page_is_made(swept):
    """A state without an image among the kept, and a way that leaves none, have a dash and no division."""
    run = read_picture_sweep(swept)
    inside = next(record for record in run.images if record["checkpoint"] == "step-10")
    images = tuple(
        record | {"inside": record is inside, "margin_nats": 1.0 if record is inside else -1.0}
        for record in run.images
    )
    lone = replace(run, images=images)
    summary = summarise(lone)
    assert [row.n for row in summary.guided if row.way == "kept"] == [0, 1]
    page = pictures_page(lone, summary, swept)
    assert "costs 8.0 images for each one kept" in page.findings[2].headline


def test_what_is_said_of_the_tests_of_means_is_counted(swept):
    run = read_picture_sweep(swept)
    alarms = {
        test: {state: rates["cat"] | {"rate": rate} for state, rate in zip(("cat", "dog"), of, strict=True)}
        for test, rates, of in (
            (test, run.header["false_alarms"][test], (0.0, 0.63) if test == "paper" else (0.1, 0.12))
            for test in MEAN_TESTS
        )
    }
    sides = iter((True, True, False, False))
    cells = tuple(
        cell | {"mean": cell["mean"] | {test: {"inside": is_in} for test in MEAN_TESTS}, "states": {"cat": 4, "dog": 0}}
        for cell, is_in in zip(run.cells, sides, strict=True)
    )  # fmt: skip
    finding = findings(
        replace(run, header=run.header | {"false_alarms": alarms}, cells=cells), summarise(run)
    )[1]
    assert finding.headline.startswith("The paper's test calls 2 of 4 means of 4 images hallucinations")
    said = " ".join(finding.sentences)
    assert "the paper's test: 0.0 % (cat), 63.0 % (dog)" in said
    assert "does not keep to that" in said
    assert "nearer to each kind" not in said  # every image is nearer to a cat
    mixed = tuple(cell | {"states": {"cat": 2, "dog": 2}} for cell in run.cells)
    right = {test: {state: rate | {"rate": 0.1} for state, rate in of.items()} for test, of in alarms.items()}
    finding = findings(
        replace(run, header=run.header | {"false_alarms": right}, cells=mixed), summarise(run)
    )[1]
    said = " ".join(finding.sentences)
    assert "does not keep to that" not in said
    assert "In 4 of 4 cells at least a fifth of the images is nearer to each kind" in said


def test_a_rate_like_that_of_genuine_images_is_not_called_high(swept):
    run = read_picture_sweep(swept)
    summary = summarise(run)
    last = summary.checkpoints[-1]
    for interval, is_said in ((Interval(0.2, 0.6), True), (Interval(0.05, 0.3), False), (None, False)):
        rows = (*summary.checkpoints[:-1], replace(last, rate=replace(last.rate, interval=interval)))
        said = " ".join(findings(run, replace(summary, checkpoints=rows))[0].sentences)
        assert ("is still above that" in said) == is_said


def test_rate_and_loss_stand_on_one_axis_of_steps(swept):
    run = read_picture_sweep(swept)
    rows = summarise(run).checkpoints
    rate, loss = rate_chart(rows), loss_chart(run, rows)
    assert rate.series[0].x == loss.series[0].x == [10 / STEPS_BEFORE_FIRST, 10]
    assert (
        (rate.is_log_x, rate.x_ticks)
        == (loss.is_log_x, loss.x_ticks)
        == (True, ((2.5, "base"), (10.0, "10")))
    )
    assert rate.series[0].y == [row.rate.value for row in rows]
    assert [series.name for series in rate.series[1:]] == [
        "prompts outside, the paper's test", "prompts outside, K-matched"
    ]  # fmt: skip
    assert loss.series[0].y == [run.losses[row.checkpoint]["mean"] for row in rows]
    assert loss.series[0].is_band
    band = loss.series[0]
    assert all(low < y < high for low, y, high in zip(band.low, band.y, band.high, strict=True))
    curve = loss_against_rate_chart(rows).series[0]
    assert (curve.x, curve.y) == (loss.series[0].y, rate.series[0].y)


def test_checkpoints_without_a_step_of_their_own_stand_by_name(swept):
    rows = summarise(read_picture_sweep(swept)).checkpoints
    nameless = (rows[0], replace(rows[1], checkpoint="mine", global_step=None))
    assert rate_chart(nameless).x_names == ["base", "mine"]
    alike = (rows[1], replace(rows[1], checkpoint="another"))
    assert rate_chart(alike).x_names == ["step-10", "another"]


def test_the_other_charts_draw_the_records(swept):
    run = read_picture_sweep(swept)
    summary = summarise(run)
    assert [series.name for series in prompts_chart(run, summary.checkpoints).series] == [
        "a <b>cat</b>",
        "a pet",
    ]
    for chart in calibration_charts(run):
        assert all(sum(series.y) == pytest.approx(1) for series in chart.series)


def test_an_unfinished_run_is_reported_as_far_as_it_is(tiny_preset, tmp_path):
    settings = PictureSweep(checkpoints=("base", "step-10"), prompts=("a cat",), n_images=2, best_of=2)
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
    assert _spread(101, 3) == [0, 50, 100]
    assert _spread(13, 12)[0] == 0
    assert _spread(13, 12)[-1] == 12
    assert len(set(_spread(13, 12))) == 12


def test_lost_files_are_told(swept, tmp_path):
    assert _lost_files(read_picture_sweep(swept), swept) == ()
    said = _lost_files(read_picture_sweep(swept), tmp_path)
    assert said[0].startswith("16 of 16 pictures are judged and recorded, but their files are gone")
