"""`bounds`: its contract, its words, what it refuses."""

import numpy as np
import pytest


def test_the_contract(run):
    report = run("bounds", "--states", 3, "--radius", 0.1, "--draws", 20_000, "--json").json
    assert report["setting"]["n_states"] == 3
    assert report["paper"]["silent"] is False
    assert 0 < report["paper"]["value"] < report["measured"]["rate"]
    assert {bound["name"] for bound in report["proved"]} == {"union", "conditional", "moments", "lattice"}
    low, high = report["measured"]["interval"]
    assert low <= report["measured"]["rate"] <= high
    assert (report["measured"]["n"], report["measured"]["seed"]) == (20_000, 0)


def test_a_silent_theorem_is_null_with_a_reason(run):
    paper = run("bounds", "--radius", 0.9, "--draws", 1000, "--json").json["paper"]
    assert paper["value"] is None
    assert "the theorem is silent here" in paper["reason"]
    assert "the theorem is silent here" in run("bounds", "--radius", 0.9, "--draws", 1000).out


def test_people_read_a_table(run):
    out = run("bounds", "--states", 3, "--draws", 1000).out
    assert "the paper's product" in out
    assert "not proved" in out
    assert "union bound" in out


def test_delta_becomes_a_radius(run):
    # N(μ, 4): −2 ln 0.1 − ln(2π · 4) = 1.3810, times 4: r = 2.3503
    report = run("bounds", "--delta", 0.1, "--region-variance", 4, "--draws", 100, "--json").json
    assert report["setting"]["radius"] == pytest.approx(np.sqrt(4 * (-2 * np.log(0.1) - np.log(8 * np.pi))))


def test_means_from_a_file(run, tmp_path):
    np.save(tmp_path / "means.npy", np.random.default_rng(0).normal(size=(60, 2, 5)))
    report = run("bounds", "--means", tmp_path / "means.npy", "--radius", 0.2, "--json").json
    assert report["n_dimensions"] == 5
    assert [state["n"] for state in report["states"]] == [60, 60]
    assert report["measured_by_frame"] is None
    assert "Promised at least" in run("bounds", "--means", tmp_path / "means.npy", "--radius", 0.2).out


def test_a_frame_and_its_held_out_images(run, tiny_preset):
    report = run("bounds", "--frame", tiny_preset.parent / "frame", "--images", 3, "--json").json
    assert [state["state"] for state in report["states"]] == ["cat", "dog"]
    assert report["measured_by_frame"]["n"] == report["measured"]["n"]


def test_a_frame_and_prompts(run, tiny_preset):
    prompts = [f"a {kind} {{state}}" for kind in ("cute", "big", "sad", "red")]
    arguments = [part for prompt in prompts for part in ("--prompt", prompt)]
    frame = tiny_preset.parent / "frame"
    report = run("bounds", "--frame", frame, *arguments, "--images", 2, "--json").json
    assert [state["n"] for state in report["states"]] == [4, 4]
    refusal = run("bounds", "--frame", frame, "--prompt", "a cat").refusal
    assert "expected a prompt with {state} in it" in refusal


def test_the_search_and_the_grid(run, tmp_path, monkeypatch):
    report = run("bounds", "--states", 2, "--search", 100, "--json").json
    assert report["n_exceeding"] == 0
    assert "settings have a product above P_H" in run("bounds", "--states", 2, "--search", 100).out

    from hallulab.experiments import bounds_audit

    small = bounds_audit.tightness_grid
    monkeypatch.setattr(
        bounds_audit, "tightness_grid", lambda **options: small(("gaussian",), (2,), (0.1, 0.9), **options)
    )
    report = run("bounds", "--grid", tmp_path / "grid.html", "--draws", 1000, "--json").json
    assert {point["radius"] for point in report["points"]} == {0.1, 0.9}
    assert "plotly" in (tmp_path / "grid.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--law", "cauchy"], "expected a law among gaussian"),
        (["--radius", "0.1", "--delta", "0.1"], "expected --radius or --delta, got both"),
        (["--delta", "0"], "expected δ above 0, got 0"),
        (["--weight", "0.4", "--weight", "0.4"], "weights that sum to 1, got a sum of 0.8"),
        (["--states", "0"], "at least one state, got 0"),
        (["--region-variance", "-1", "--delta", "0.1"], "positive definite covariance"),
        (["--law", "student_t", "--degrees-of-freedom", "3"], "more than 4 degrees of freedom, got 3"),
        (["--prompt", "a {state}"], "expected --prompt together with --frame"),
        (["--means", "nowhere.npy", "--radius", "1"], "cannot read nowhere.npy"),
        (["--means", "nowhere.npy", "--frame", "x"], "expected --means or --frame, got both"),
        (["--states", "9", "--search", "10"], "expected 2 to 7 states"),
    ],
)
def test_refusals(run, arguments, words):
    assert words in run("bounds", *arguments).refusal
