import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from hallulab.cli.coins import coins
from hallulab.cli.main import main
from hallulab.errors import RefusedInputError
from hallulab.records import RecordFile

QUICK = {"flips": 200, "epochs": 1, "batch_size": 64, "seed": 3, "rounds": 1}
ROOT = Path(__file__).parents[2]


def run_json(capsys, **options):
    coins(**(QUICK | options), as_json=True)
    captured = capsys.readouterr()
    return json.loads(captured.out)


def test_json_is_one_object_with_the_contracts_keys(capsys):
    result = run_json(capsys, coins_per_draw=[3], rounds=2)
    assert (result["coins_per_draw"], result["flips"], result["variant"]) == (3, 200, "fixed")
    assert [r["seed"] for r in result["rounds"]] == [3, 4]
    (epoch,) = result["rounds"][0]["epochs"]
    assert epoch["epoch"] == 1
    assert 0 <= epoch["conditional_probability"] <= 1
    assert 0 <= epoch["hallucination_rate"] <= 1
    assert epoch["train_loss"] > 0
    exact = {name: result["exact"][name]["conditional_probability"] for name in
             ("bayes_mean_ceil", "bayes_mean_rounded", "mode")}  # fmt: skip
    assert exact == pytest.approx(
        {"bayes_mean_ceil": 0.4535, "bayes_mean_rounded": 0.4993, "mode": 0.5160}, abs=5e-5
    )
    (row,) = result["table"]
    assert row["conditional_probability"]["exact"] == pytest.approx(0.5076, abs=5e-5)  # halves either way
    assert row["conditional_probability"]["n_rounds"] == 2


def test_a_grid_has_every_combination_and_one_table(capsys, tmp_path):
    found = run_json(
        capsys, variant=["fixed", "paper_code"], objective=["squared_error", "cross_entropy"], out=tmp_path
    )
    assert found.keys() == {"runs", "table", "objectives"}
    assert [(run["variant"], run["objective"]) for run in found["runs"]] == [
        ("fixed", "squared_error"), ("fixed", "cross_entropy"),
        ("paper_code", "squared_error"), ("paper_code", "cross_entropy"),
    ]  # fmt: skip
    assert [row["answer"] for row in found["table"]] == [*("prediction", "mode", "mean", "sample")] * 2
    assert found["table"][0]["hallucination_rate_difference"] is None
    assert all(row["hallucination_rate_difference"]["n_rounds"] == 1 for row in found["table"][1:])
    references = [row["reference"] for row in found["table"]]
    assert references == [None, *["squared_error"] * 3, "fixed", *["squared_error"] * 3]
    assert [(way["variant"], way["answer"]) for way in found["objectives"]] == [
        (variant, answer) for variant in ("fixed", "paper_code") for answer in ("mode", "mean", "sample")
    ]
    curve = found["objectives"][0]["hallucination_rate_difference"]
    assert (
        len(curve["total"]["mean"]) == len(found["objectives"][0]["deltas"]) == len(curve["exact_off_ties"])
    )
    assert found["runs"][3]["records"] == str(tmp_path / "coins-N2-paper_code-cross_entropy.jsonl")


def test_without_json_the_network_stands_beside_the_exact_answers(capsys):
    coins(**(QUICK | {"rounds": 2}), variant=["paper_code"], objective=["cross_entropy"])
    lines = capsys.readouterr().out.splitlines()
    assert "2 of 4 coins, 200 flips, epochs: 1, rounds: 2, variant: paper_code" in lines[0]
    assert lines[0].endswith("objective: cross_entropy, δ = 0.3")
    names = [line.strip().split("  ")[0] for line in lines[2:19]]
    assert names == [
        *(name for answer in ("mode", "mean", "sample")
          for name in (f"network, {answer}", "exact counterpart", "gap", "on held-out flips")),
        "exact: average", "exact: rounded average", "exact: rounded average, halves to the likelier count",
        "exact: average, rounded up", "exact: most likely count: the best possible",
    ]  # fmt: skip
    assert "0.6042" in lines[18]
    # the mean, a hair off, answers with its ceiling: 0.4635 and, under the shifted law, 0.1979
    assert "0.4635" in lines[7]
    assert any("mean: P(right) as the public code scores" in line and "0.1979" in line for line in lines)
    assert any("mean, before rounding: cannot happen in 100.0 %" in line for line in lines)
    assert any("exact values: over all 6 draws" in line for line in lines)


def test_what_is_a_sample_of_draws_says_so(capsys):
    coins(**(QUICK | {"flips": 20}), coins_per_draw=[12])
    out = capsys.readouterr().out
    assert "estimated: rounded average" in out
    assert "exact:" not in out
    assert "estimated from 16,384 draws made at random, with 95 % intervals; networks from 4,096" in out


def test_without_json_a_grid_ends_with_its_comparison(capsys):
    coins(**(QUICK | {"rounds": 2}), objective=["squared_error", "modal"])
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("All of them:")
    assert lines[start + 2].strip().startswith("N 2, fixed, squared_error, prediction")
    assert lines[start + 3].strip().startswith("N 2, fixed, modal, prediction")
    reference, modal = lines[start + 7 : start + 9]
    assert reference.split()[-4:] == ["–"] * 4
    assert "to squared_error" in modal
    assert modal.rstrip().endswith("]")
    assert lines[-1].startswith("N = 2, at every δ: Too few rounds to tell objectives apart")


def test_out_keeps_records_and_finished_rounds_are_not_run_again(capsys, tmp_path):
    first = run_json(capsys, out=tmp_path / "run")
    records = RecordFile(tmp_path / "run" / "coins-N2-fixed-squared_error.jsonl")
    n_records = len(records.read())
    more = run_json(capsys, out=tmp_path / "run", rounds=2)
    assert more["rounds"][0] == first["rounds"][0]
    assert first["records"] == str(records.path)
    # the second round added what one round writes: all but the settings
    assert len(records.read()) == n_records + (n_records - 1)


def test_a_killed_grid_goes_on_where_it_was(capsys, tmp_path):
    """A kill without warning, while the second combination trains."""
    options = ["--flips", "1000", "--epochs", "10", "--batch-size", "64", "--rounds", "2"]
    grid = [*options, "--objective", "squared_error", "--objective", "modal", "--out", str(tmp_path)]
    first = RecordFile(tmp_path / "coins-N2-fixed-squared_error.jsonl")
    second = RecordFile(tmp_path / "coins-N2-fixed-modal.jsonl")
    running = subprocess.Popen([sys.executable, "-m", "hallulab", "coins", *grid], cwd=ROOT)
    try:
        give_up = time.monotonic() + 200
        while len(second.read()) < 6 and running.poll() is None and time.monotonic() < give_up:
            time.sleep(0.01)
        assert running.poll() is None
    finally:
        running.kill()
        running.wait()
    finished, n_left = first.path.read_bytes(), len(second.read())
    assert {record["seed"] for record in first.read() if record.get("epoch") == 10} == {0, 1}
    assert not [record for record in second.read() if record.get("epoch") == 10]

    assert main(["coins", *grid, "--json"]) == 0
    assert first.path.read_bytes() == finished
    assert len(second.read()) > n_left
    for run in json.loads(capsys.readouterr().out)["runs"]:
        assert [(r["seed"], [epoch["epoch"] for epoch in r["epochs"]]) for r in run["rounds"]] == [
            (seed, list(range(1, 11))) for seed in (0, 1)
        ]


def test_a_mass_replaces_the_delta_and_both_are_refused(capsys):
    assert run_json(capsys, hdr_mass=0.8)["delta"] is None
    with pytest.raises(RefusedInputError, match="got both"):
        coins(**QUICK, hdr_mass=0.8, delta=0.2)


def test_another_delta_judges_what_is_recorded_and_trains_nothing(capsys, tmp_path):
    options = {"coins_per_draw": [3], "flips": 2_000, "out": tmp_path}
    first, other = (run_json(capsys, delta=delta, **options) for delta in (0.3, 1.0))
    (records,) = tmp_path.glob("*.jsonl")
    assert len([r for r in RecordFile(records).read() if r["kind"] == "settings"]) == 1
    before, after = (found["rounds"][0]["epochs"][0] for found in (first, other))
    assert before["hallucination_rate"] < after["hallucination_rate"] == 1
    assert before["expected_loss"] == after["expected_loss"]
    assert (other["delta"], after["held_out_hallucination_rate"]) == (1.0, None)


def test_what_is_chosen_goes_before_the_papers_numbers(capsys):
    settings = run_json(capsys, as_in_paper=True)["settings"]
    assert (settings["learning_rate"], settings["batch_size"], settings["epochs"]) == (1e-4, 64, 1)


def test_the_public_codes_variant_brings_its_training(capsys):
    options = {"flips": 200, "epochs": 1, "rounds": 1, "variant": ["paper_code"]}
    coins(**options, as_json=True)
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert (settings["learning_rate"], settings["batch_size"]) == (1e-4, 64)


def test_help_shows_every_default(capsys):
    assert main(["coins", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for default in (
        "(20000)",
        "(fixed: 256, paper_code: 64)",
        "(fixed: 0.0003, paper_code: 0.0001)",
        "(0.3)",
    ):
        assert f"[default: {default}]" in text


def test_an_interrupt_says_that_the_run_can_go_on(capsys, monkeypatch, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("hallulab.experiments.coins.run_coin_grid", interrupted)
    assert main(["coins", "--out", str(tmp_path)]) == 130
    assert "Stopped. The same command goes on from here." in capsys.readouterr().err
    assert main(["coins"]) == 130
    assert "With --out, the same command would go on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--coins-per-draw", "0"], "expected coins per draw as a whole number from 1 to 64, got 0"),
        (["--coins-per-draw", "65"], "expected coins per draw as a whole number from 1 to 64, got 65"),
        (["--flips", "9"], "expected flips as a whole number from 10"),
        (["--objective", "huber"], "expected objective squared_error or absolute_error or"),
        (["--variant", "public"], "expected variant fixed or paper_code, got 'public'"),
        (["--hdr-mass", "1.5"], "expected an HDR mass between 0 and 1"),
        (["--delta", "0"], "expected δ in"),
        (["--device", "abacus"], "cannot use the device 'abacus'"),
        (["--device", "meta"], "cannot use the device 'meta'"),
        (["--out", ""], "expected the name of a folder, got an empty one"),
        (["--delta", "0.3", "--hdr-mass", "0.9"], "expected δ or an HDR mass, got both"),
        (["--flips", "many"], "--flips"),
    ],
)
def test_refusals_are_one_line_and_exit_code_2(capsys, options, words):
    assert main(["coins", *options]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_one_bad_combination_refuses_the_grid_before_it_trains(tmp_path):
    with pytest.raises(RefusedInputError, match="got 65"):
        coins(coins_per_draw=[2, 65], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_out_that_is_a_file_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RefusedInputError, match="expected a folder that can be written"):
        coins(out=tmp_path / "file")


def test_typer_understands_the_signature(capsys):
    app = typer.Typer()
    app.command()(coins)
    app(
        ["--flips", "200", "--epochs", "1", "--rounds", "1", "--variant", "paper_code", "--json"],
        standalone_mode=False,
    )
    result = json.loads(capsys.readouterr().out)
    assert result["variant"] == "paper_code"
    assert result["choices"]["law"] == "shifted"
