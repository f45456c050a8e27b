"""`sweep pictures` in the tiny world: its contract, its text, its refusals."""

import pytest

ARGUMENTS = (
    "--images",
    "4",
    "--best-of",
    "2",
    "--checkpoint",
    "base",
    "--checkpoint",
    "step-10",
    "--prompt",
    "a cat",
)


@pytest.fixture
def swept(run, tmp_path):
    return run("sweep", "pictures", "--out", tmp_path / "run", *ARGUMENTS, "--json").json


def test_the_contract_of_sweep_pictures(swept, run, tmp_path):
    assert (swept["run"], swept["n_done"], swept["n_total"]) == (str(tmp_path / "run"), 8, 8)
    assert [(row["checkpoint"], row["prompt"], row["n"]) for row in swept["table"]] == [
        ("base", "a cat", 4),
        ("step-10", "a cat", 4),
    ]
    for row in swept["table"]:
        assert row["interval"]["low"] <= row["hallucination_rate"] <= row["interval"]["high"]
        assert set(row["mean"]) == {"log_density", "paper", "k_matched", "own_law", "displacement"}
    assert {row["way"] for row in swept["guided"]} == {"plain", "kept", "best of 2"}
    assert set(swept["false_alarms"]) == {"paper", "k_matched", "own_law"}
    assert {row["way"] for row in swept["guided_differences"]} <= {"kept", "best of 2"}
    again = run("sweep", "pictures", "--out", tmp_path / "run", *ARGUMENTS, "--json").json
    assert again == swept  # from the records
    report = run("report", tmp_path / "run", "--json").json
    assert report["path"] == str(tmp_path / "run" / "report.html")


def test_a_person_reads_two_tables(run, tmp_path):
    found = run("sweep", "pictures", "--out", tmp_path / "run", *ARGUMENTS)
    assert found.exit_code == 0
    for words in ("8 images painted and judged", "K-matched", "step-10, best of 2", "painted per image"):
        assert words in found.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--checkpoint", "step-7"], "unknown checkpoint 'step-7'"),
        (["--best-of", "65"], "expected the best of 2 to 64 images, as many as there are per prompt, got 65"),
        (["--images", "1"], "expected 2 to 4096 images per prompt, got 1"),
        (["--prompt", " "], "expected a prompt, got an empty one"),
        (["--preset", "large"], "unknown preset 'large'"),
    ],
)
def test_wrong_input_is_refused_in_one_line(run, tmp_path, arguments, words):
    assert words in run("sweep", "pictures", "--out", tmp_path / "run", *arguments).refusal
