"""`facts`: JSON, words, records, refusals."""

import json

import pytest

from hallulab.cli.main import main

SMALL = ["--prompts", "40", "--answers", "9", "--samples", "80", "--rounds", "2"]


def test_json_is_one_object(capsys, tmp_path):
    assert main(["facts", *SMALL, "--out", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_worlds"] == 2
    assert {row["learner"] for row in found["table"]} >= {"memoriser", "trigram"}
    assert found["records"].startswith(str(tmp_path))
    assert main(["report", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(tmp_path / "report.html")


def test_words(capsys):
    assert main(["facts", *SMALL, "--learner", "memoriser"]) == 0
    said = capsys.readouterr().out
    assert "40 people, 80 training samples, worlds: 2." in said
    assert "memoriser" in said
    assert "No lower bound was broken" in said


def test_the_network_when_asked(capsys):
    assert main(["facts", *SMALL, "--learner", "qwen", "--epochs", "1", "--rounds", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["epoch"] for row in found["training"]] == [0, 1]


def test_many_worlds(capsys):
    assert main(["facts", *SMALL, "--worlds", "20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_worlds"] == 20
    assert main(["facts", *SMALL, "--worlds", "20"]) == 0
    assert "Theorem 2 in 20 worlds:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--learner", "nobody"], "learners among"),
        (["--learner", "qwen", "--all-learners"], "got both"),
        (["--prompts", "0"], "n_prompts as a whole number"),
        (["--zipf", "-1"], "Zipf exponent"),
        (["--answer-rate", "0"], "answer rate"),
        (["--worlds", "0"], "worlds as a whole number"),
        (["--worlds", "3", "--out", "x"], "without --out"),
        (["--prompts", "50000"], "choose fewer prompts"),
        (["--epochs", "0"], "epochs as a whole number"),
    ],
)
def test_refusals_are_one_line(capsys, arguments, words):
    assert main(["facts", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert captured.err.count("\n") == 1
