import json

import pytest
import typer

from hallulab.cli.coins import coins
from hallulab.errors import RefusedInputError
from hallulab.records import RecordFile

QUICK = {"flips": 200, "epochs": 1, "batch_size": 64, "seed": 3}


def run_json(capsys, **options):
    coins(**(QUICK | options), as_json=True)
    captured = capsys.readouterr()
    return json.loads(captured.out)


def test_json_is_one_object_with_the_contracts_keys(capsys):
    result = run_json(capsys, coins_per_draw=3, rounds=2)
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


def test_without_json_the_network_stands_above_the_exact_answers(capsys):
    coins(**QUICK)
    lines = capsys.readouterr().out.splitlines()
    assert "2 of 4 coins, 200 flips, epochs: 1, variant: fixed" in lines[0]
    assert "network, seed 3" in lines[2]
    assert "exact: most likely count" in lines[-1]
    assert "0.6042" in lines[-1]


def test_out_keeps_records_and_finished_rounds_are_not_run_again(capsys, tmp_path):
    first = run_json(capsys, out=tmp_path / "run")
    records = RecordFile(tmp_path / "run" / "coins.jsonl")
    n_records = len(records.read())
    more = run_json(capsys, out=tmp_path / "run", rounds=2)
    assert more["rounds"][0] == first["rounds"][0]
    assert first["records"] == str(records.path)
    # the second round added what one round writes: all but the settings
    assert len(records.read()) == n_records + (n_records - 1)


def test_a_mass_replaces_the_delta(capsys):
    assert run_json(capsys, hdr_mass=0.8)["delta"] is None
    assert run_json(capsys, hdr_mass=0.8, delta=0.2)["delta"] == 0.2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"coins_per_draw": 65}, "expected coins per draw as a whole number from 1 to 64, got 65"),
        ({"flips": 5}, "expected flips as a whole number from 10"),
        ({"hdr_mass": 1.5}, "expected an HDR mass between 0 and 1"),
        ({"delta": 0.0}, "expected δ in"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(RefusedInputError, match=words):
        coins(**(QUICK | options))


def test_an_out_that_is_a_file_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RefusedInputError, match="expected a folder that can be written"):
        coins(out=tmp_path / "file")


def test_typer_understands_the_signature(capsys):
    app = typer.Typer()
    app.command()(coins)
    app(["--flips", "200", "--epochs", "1", "--variant", "paper_code", "--json"], standalone_mode=False)
    result = json.loads(capsys.readouterr().out)
    assert result["variant"] == "paper_code"
    assert result["choices"]["law"] == "shifted"
