import json
from pathlib import Path

import pytest

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "pet-parts-probe"


@pytest.fixture
def probed(run, tiny_preset, monkeypatch):
    preset = json.loads(tiny_preset.read_text())
    preset["pictures"] |= {"attribute_probe": str(SHIPPED), "steps": 3}
    path = tiny_preset.with_name("tiny-probed-cli.json")
    path.write_text(json.dumps(preset))
    monkeypatch.setenv("HALLULAB_PRESET", str(path))
    return run


def test_the_contract_of_detectors(probed, tmp_path):
    arguments = (
        "detectors", "--out", tmp_path / "run", "--images", "2", "--drawn", "2", "--decoded", "3",
        "--checkpoint", "step-10", "--checkpoint", "step-10", "--json",
    )  # fmt: skip
    report = probed(*arguments).json
    assert (report["run"], report["n_done"], report["n_total"]) == (
        str(tmp_path / "run"),
        12,
        12,
    )  # step-10 once
    assert {row["group"] for row in report["confusion"]} == {"step-10", "drawn", "decoded"}
    assert sum(row["n"] for row in report["probe"]) == 6
    assert {row["detector"] for row in report["table"]} >= {"margin", "variance, last 3 steps"}
    assert probed(*arguments).json == report  # from the records


def test_a_person_reads_three_tables(probed, tmp_path):
    found = probed(
        "detectors",
        "--out",
        tmp_path / "run",
        "--images",
        "1",
        "--drawn",
        "1",
        "--decoded",
        "1",
        "--checkpoint",
        "step-2",
    )
    assert found.exit_code == 0
    for words in ("5 images judged", "AUROC", "kappa", "what the probe reads"):
        assert words in found.out


def test_a_world_without_truth_is_refused(run, tmp_path):
    assert "names no attribute_probe" in run("detectors", "--out", tmp_path / "run").refusal


def test_an_empty_prompt_leaves_no_header_behind(probed, tmp_path):
    assert "expected a prompt" in probed("detectors", "--out", tmp_path / "run", "--prompt", "").refusal
    assert not list((tmp_path / "run").glob("*.jsonl"))
