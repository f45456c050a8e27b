import csv
import json
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest
import typer

from hallulab.cli.coins import coins
from hallulab.cli.facts import facts
from hallulab.cli.report import WRITERS, report
from hallulab.errors import RefusedInputError
from hallulab.experiments import (
    coin_records,
    facts_audit_run,
    grading,
    iiv,
    poor_models,
    post_training,
    stated_targets,
)
from hallulab.experiments import facts as facts_records
from hallulab.reports.written import WrittenReport


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    coins(flips=200, epochs=2, batch_size=64, rounds=2, out=folder)
    return folder


def test_a_real_run_becomes_a_page_with_its_files_beside_it(run, capsys, tmp_path):
    capsys.readouterr()
    report(run, out=tmp_path / "page.html", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["path"] == str(tmp_path / "page.html")
    assert found["figures"] == [str(tmp_path / name) for name in ("figure.png", "figure.svg")]
    assert found["points"] == str(tmp_path / "points.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "figure.png", "figure.svg", "page.html", "points.csv",
    ]  # fmt: skip


def test_without_out_the_page_lies_in_the_run(run, capsys):
    report(run)
    assert capsys.readouterr().out.startswith(f"Wrote {run / 'report.html'}.")
    assert (run / "report.html").stat().st_size > 1_000_000


def test_several_kinds_of_run_get_a_page_each(run, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "runs"
    shutil.copytree(run, folder)
    (folder / "report.html").unlink(missing_ok=True)
    facts(prompts=30, answers=5, samples=60, rounds=1, learner=["memoriser"], out=folder)
    (folder / "words-begun.jsonl").write_text("{}")
    capsys.readouterr()
    report(folder, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert [page["kind"] for page in found["pages"]] == ["coins", "facts"]
    assert found["path"] == found["pages"][0]["path"] == str(folder / "report-coins" / "report.html")
    assert [one["kind"] for one in found["not_reported"]] == ["words"]
    for page in found["pages"]:
        assert all(Path(path).exists() for path in (page["path"], page["points"], *page["figures"]))
    assert not (folder / "report.html").exists()  # nothing that would stand for all

    # the same for people, without drawing it all again
    def written(_folder, out):
        return WrittenReport(out, (), out.parent / "points.csv")

    for kind in ("coins", "facts"):
        monkeypatch.setitem(WRITERS, kind, (WRITERS[kind][0], written))
    report(folder, out=tmp_path / "pages" / "mine.html")
    said = capsys.readouterr().out
    assert f"Wrote {tmp_path / 'pages' / 'mine-facts' / 'mine.html'} about facts." in said
    assert "Not reported: words, " in said


def test_every_record_file_is_of_one_kind():
    leave = (coin_records, facts_records, facts_audit_run, grading, stated_targets, post_training, iiv)
    for module in leave:
        name = module.RECORDS_PATTERN.replace("*", "one")
        kinds = [
            kind for kind, (patterns, _) in WRITERS.items() if any(fnmatch(name, one) for one in patterns)
        ]
        assert len(kinds) == 1, (name, kinds)
    assert fnmatch(poor_models.FILE_NAME, WRITERS["iiv"][0][0])


def test_another_line_judges_the_records_anew(run, tmp_path):
    for delta, rate in ((0.3, None), (1.0, "1.0")):
        report(run, out=tmp_path / f"{delta}" / "page.html", delta=delta)
        rows = list(csv.DictReader((tmp_path / f"{delta}" / "points.csv").open(encoding="utf-8")))
        assert rows[-1]["delta"] == str(delta)
        assert rate is None or rows[-1]["hallucination_rate"] == rate
    report(run, out=tmp_path / "mass" / "page.html", hdr_mass=0.5)
    assert "HDR mass 0.5" in (tmp_path / "mass" / "page.html").read_text(encoding="utf-8")


def test_a_line_for_another_kind_of_run_is_refused(tmp_path):
    (tmp_path / "facts-x.jsonl").write_text("{}\n")
    with pytest.raises(RefusedInputError, match="expected --delta or --hdr-mass for a coin run"):
        report(tmp_path, delta=0.3)
    (tmp_path / "coins-x.jsonl").write_text("{}\n")
    with pytest.raises(RefusedInputError, match="got both"):
        report(tmp_path, delta=0.3, hdr_mass=0.9)


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="expected a folder with the records of a run, found none at"):
        report(tmp_path / "nowhere")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RefusedInputError, match="found none at"):
        report(tmp_path / "file")


def test_a_folder_without_records_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(
        RefusedInputError, match=r"expected records of a run \(.*coins-\*.jsonl.*\), found none in"
    ):
        report(tmp_path)


def test_half_written_records_are_refused(tmp_path):
    (tmp_path / "coins-N2-fixed-squared_error.jsonl").write_text('{"kind": "settings", "sett')
    with pytest.raises(RefusedInputError, match="expected the records of a coin run"):
        report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_an_out_that_cannot_be_written_is_refused(run, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RefusedInputError, match="expected a report file that can be written"):
        report(run, out=tmp_path / "file" / "page.html")


def test_typer_understands_the_signature(run, tmp_path, capsys):
    app = typer.Typer()
    app.command()(report)
    capsys.readouterr()
    app([str(run), "--out", str(tmp_path / "page.html"), "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["path"] == str(tmp_path / "page.html")
