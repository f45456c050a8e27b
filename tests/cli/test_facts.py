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
    assert "No bound was broken" in said
    assert "Theorem 2 ≤" in said
    assert "says something at N" in said


def test_the_network_when_asked(capsys):
    assert main(["facts", *SMALL, "--learner", "qwen", "--epochs", "1", "--rounds", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["epoch"] for row in found["training"]] == [0, 1]


def test_many_worlds_leave_records_and_a_report(capsys, tmp_path):
    asked = ["facts", *SMALL[:-2], "--worlds", "20", "--out", str(tmp_path)]
    assert main([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_worlds"] == 20
    assert found["records"].startswith(str(tmp_path))
    assert {row["n_silent"] for row in found["table"] if row["bound"] == "paper_lower"} == {20}
    assert main(asked) == 0  # from the records
    said = capsys.readouterr().out
    assert "Theorem 2 in 20 worlds:" in said
    assert "Theorem 2, at least: memoriser" in said
    assert "0 of 0" in said
    assert main(["report", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "silent in all 20" in page
    assert (tmp_path / "points.csv").read_text().count("\n") == 21


def test_the_training_text(capsys, tmp_path):
    assert main(["facts", *SMALL[:-2], "--show-corpus", "3"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 3
    assert all(line.startswith("When is ") for line in shown)
    path = tmp_path / "corpus.txt"
    assert main(["facts", *SMALL[:-2], "--corpus", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_lines"] == 80
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 80
    assert lines[:3] == shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--learner", "nobody"], "learners among"),
        (["--learner", "qwen", "--all-learners"], "got both"),
        (["--prompts", "0"], "n_prompts as a whole number"),
        (["--zipf", "-1"], "Zipf exponent"),
        (["--answer-rate", "0"], "answer rate"),
        (["--worlds", "0"], "worlds as a whole number"),
        (
            ["--worlds", "3", "--learner", "counter", "--rounds", "2"],
            "expected --worlds without --learner, --rounds",
        ),
        (["--worlds", "3", "--show-corpus", "2"], "one of --worlds, --show-corpus"),
        (["--corpus", "x.txt", "--out", "x"], "expected --corpus without --out"),
        (["--corpus", "/proc/none/x.txt"], "choose another --corpus"),
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
