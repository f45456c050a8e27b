"""The report of two detectors, from records made by hand."""

import csv
from dataclasses import asdict
from pathlib import Path

import pytest

from hallulab.cli.report import report
from hallulab.errors import RefusedInputError
from hallulab.experiments.detector_summary import confusion, detector_rows, probe_rows
from hallulab.experiments.picture_detectors import DetectorSettings, read_detector_run
from hallulab.records import RecordFile
from hallulab.reports.detectors_report import detector_charts, detector_findings, write_detectors_report

HEADER = {
    "kind": "settings", "settings": asdict(DetectorSettings(n_images=2)), "frame": "f", "embedder": "e", "probe": "p",
    "paint": {"steps": 3}, "checkpoints": {"step-1": "hash", "hub": None}, "versions": {"python": "3"},
}  # fmt: skip


def judged(kind: str, margin: float, variance: float, truth: str | None = None, **more) -> dict:
    return {
        "kind": kind, "truth": truth, "margin_nats": margin, "inside": margin > 0,
        "x0_variance": {"5": variance}, **more,
    }  # fmt: skip


def painted(truth: str, margin: float, variance: float, seed: int) -> dict:
    return judged("painted", margin, variance, truth, checkpoint="step-1", prompt="a cat", seed=seed)


PAINTED = [
    painted("genuine", 2.0, 0.1, 0),
    painted("genuine", -1.0, 0.2, 1),
    painted("unclear", -3.0, 0.3, 2),
]
DRAWN = [
    judged("drawn", 1.0, 0.1, drawn_as="genuine", index=0),
    judged("drawn", -1.0, 0.3, drawn_as="blend", index=1),
    judged("drawn", 3.0, 0.4, drawn_as="genuine", index=2),
    judged("drawn", 2.0, 0.2, drawn_as="blend", index=3),
]
DECODED = [
    judged("decoded", 1.0, 0.1, "genuine", drawn_as="genuine", decoded_as="genuine", index=0),
    judged("decoded", -1.0, 0.1, "blend", drawn_as="blend", decoded_as="blend", index=1),
    judged("decoded", -1.0, 0.1, "unclear", drawn_as="blend", decoded_as="blend", index=3),
]


def written(folder: Path, records: list[dict]) -> Path:
    RecordFile(folder / "detectors-test.jsonl").append_all([HEADER, *records])
    return folder


def test_report_writes_page_figures_and_points(tmp_path, capsys):
    run = written(tmp_path, PAINTED + DRAWN + DECODED)
    report(run)
    assert capsys.readouterr().out.startswith(f"Wrote {run / 'report.html'}.")
    page = (run / "report.html").read_text()
    for words in ("In plain words", "10 pictures", "How far the probe can be believed", "on the Hub"):
        assert words in page
    assert all((run / name).stat().st_size > 1000 for name in ("figure.png", "figure.svg"))
    rows = list(csv.DictReader((run / "points.csv").open()))
    assert {row["table"] for row in rows} == {"outside", "auroc", "probe right", "rank correlation"}
    blends = next(
        row for row in rows if (row["table"], row["group"], row["what"]) == ("outside", "drawn", "blend")
    )
    assert (blends["n"], float(blends["value"])) == ("2", 0.5)


def test_sentences_follow_the_records():
    records = PAINTED + DRAWN + DECODED
    verdict, second, probe = detector_findings(
        confusion(records), detector_rows(records), probe_rows(records)
    )
    assert verdict.headline == "The verdict puts 1 of 2 drawn blends outside."
    assert any(
        sentence.startswith("step-1: outside are 1 of 2 genuine ones (") for sentence in verdict.sentences
    )
    # four pairs of a blend and a genuine drawing: margins −1 and 2 against 1 and 3, three right; variances two
    assert "margin reaches an AUROC of 0.750, the variance at best 0.500" in second.headline
    assert probe.headline == (
        "After the autoencoder the probe reads right: 100.0 % of 1 whole pets; 50.0 % of 2 blends."
    )
    assert any("read as blend 1, unclear 1" in sentence for sentence in probe.sentences)


def test_painted_pictures_alone_make_a_page(tmp_path):
    run = written(tmp_path, PAINTED)
    found = detector_findings(confusion(PAINTED), detector_rows(PAINTED), probe_rows(PAINTED))
    assert [finding.title for finding in found] == ["The verdict."]
    assert "How far the probe" not in write_detectors_report(run).path.read_text()


def test_the_charts_draw_the_tables():
    records = PAINTED + DRAWN
    shares, aurocs = detector_charts(confusion(records), detector_rows(records))
    assert shares.x_names == ["step-1", "drawn"]
    by_name = {series.name: series for series in shares.series}
    assert dict(zip(by_name["genuine"].x, by_name["genuine"].y, strict=True)) == {"step-1": 0.5, "drawn": 0.0}
    assert by_name["unclear"].y == [1.0]
    assert aurocs.x_names == ["drawn: blend"]  # no painted one is bad
    assert [series.y for series in aurocs.series] == [[0.75], [0.5]]


def test_a_begun_run_and_a_folder_of_that_name_are_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="at least one"):
        write_detectors_report(written(tmp_path, []))
    (tmp_path / "other" / "detectors-x.jsonl").mkdir(parents=True)
    with pytest.raises(RefusedInputError, match="expected one run of detectors .* found 0"):
        report(tmp_path / "other")


def test_a_run_reads_back(tmp_path):
    run = read_detector_run(written(tmp_path, PAINTED))
    assert (run.settings.n_images, len(run.images)) == (2, 3)
