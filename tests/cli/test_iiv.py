"""`iiv` in a tiny world: one JSON object, records, the page about them."""

from dataclasses import replace

import pytest

from hallulab.experiments import poor_models


def test_iiv_measures_records_and_reports(run, tmp_path):
    out = tmp_path / "run"
    asked = ("iiv", "--questions", "misconceptions", "--limit", "4", "--checkpoint", "base")
    found = run(*asked, "--checkpoint", "epoch-2", "--out", out, "--json").json
    assert {row["scale"] for row in found["table"]} == {"renormalised", "per_token", "as_is"}
    assert {row["checkpoint"] for row in found["table"]} == {"base", "epoch-2"}
    assert not any(row["is_broken"] for row in found["table"])
    for row in found["table"]:
        assert abs(row["loss_slope"]) == pytest.approx(row["delta"]["value"], abs=1e-9)
    assert {row["view"] for row in found["calibration"]} == {"likeliest", "is_it_valid"}
    assert run(*asked, "--checkpoint", "epoch-2", "--out", out, "--json").json == found
    poor = run("iiv", "--poor-models", "--out", out, "--json").json
    assert [row["least_err"] for row in poor["corollary_2"]] == [0.5] * 8 + [0.0]
    written = run("report", out, "--json").json
    page = (out / "report.html").read_text()
    assert written["path"] == str(out / "report.html")
    for words in (
        "Generating and judging",
        "Calibration, before and after",
        "Every trigram errs in at least 50.0",
    ):
        assert words in page
    assert (out / "points.csv").read_text().count("\n") == 1 + len(found["table"])


def test_tables_for_people(run):
    shown = run("iiv", "--questions", "open_ended", "--limit", "3", "--checkpoint", "base").out
    assert "the paper's factor is 2" in shown
    assert "open_ended, base" in shown
    assert "Broken bounds: 0 of 3" in shown
    poor = run("iiv", "--poor-models").out
    assert "n = 9             0.0000" in poor
    assert "linear and |x|²" in poor
    assert "over every model of the family and every threshold, tried or not" in poor


def test_the_seed_places_the_points_of_the_circle(run, monkeypatch):
    compute = poor_models.compute_poor_models

    def in_short(settings, *, records=None):
        circle = replace(settings.circle, n_prompts=20, n_directions=4, n_sharpnesses=3)
        short = replace(settings, longest=3, corollary_steps=4, windows_steps=1, circle=circle)
        return compute(short, records=records)

    monkeypatch.setattr(poor_models, "compute_poor_models", in_short)
    first, second = (run("iiv", "--poor-models", "--seed", seed, "--json").json for seed in ("1", "2"))
    assert (first["settings"]["circle"]["seed"], second["settings"]["circle"]["seed"]) == (1, 2)
    assert first["circle"][1]["least_err"] != second["circle"][1]["least_err"]


def test_refusals(run, tmp_path):
    assert "unknown question set 'trivia'" in run("iiv", "--questions", "trivia").refusal
    assert "it asks no model" in run("iiv", "--poor-models", "--checkpoint", "base").refusal
    out = tmp_path / "run"
    run("iiv", "--questions", "misconceptions", "--limit", "2", "--checkpoint", "base", "--out", out)
    again = run("iiv", "--questions", "misconceptions", "--limit", "3", "--checkpoint", "base", "--out", out)
    assert "another n_questions" in again.refusal
