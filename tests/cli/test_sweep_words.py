"""`sweep words` in a tiny world: the contract's keys, a run that is killed, what is refused, its report."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hallulab.data.paper_table_1 import TABLE_1
from hallulab.records import RecordFile

COMMAND = ("sweep", "words", "--questions", "misconceptions", "--limit", "3")
ANSWERS = "words-resemblance-misconceptions-answer_only.jsonl"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "sweep"


def test_json_has_the_contract_s_keys_and_the_run_is_reported(run, out):
    found = run(
        *COMMAND, "--seeds", 2, "--checkpoint", "base", "--checkpoint", "epoch-2", "--out", out, "--json"
    ).json
    assert (found["run"], found["n_done"]) == (str(out), found["n_total"])
    assert [row["checkpoint"] for row in found["table"]] == ["base", "epoch-2"]
    base, tuned = (row["resemblance"] for row in found["table"])
    assert (base["n_questions"], base["n_answers"], base["against_base"]) == (3, 6, {})
    assert tuned["against_base"]["incorrect"]["n"] <= 3
    assert found["paper"]["measured_here"] is False
    assert len(found["paper"]["rows"]) == len(TABLE_1) == 14
    assert {Path(path).name for path in found["records"]} == {ANSWERS, "words-verdicts.jsonl"}
    assert {row["questions"]: row["withheld"]["n"] for row in found["verdicts"]["questions"]} == {
        "known": 3, "reworded": 3, "unknown": 3,
    }  # fmt: skip
    written = run("report", out, "--json").json
    assert written["path"] == str(out / "report.html")
    points = list(csv.DictReader(Path(written["points"]).read_text().splitlines()))
    kept = [record for record in RecordFile(out / ANSWERS).read() if record["kind"] == "answer"]
    assert len(points) == len(kept) == 12
    recorded = {(r["checkpoint"], str(r["seed"]), r["question_id"]): r["resemblance"] for r in kept}
    for point in points:
        ratios = recorded[point["checkpoint"], point["seed"], point["question_id"]]
        assert point["incorrect"] == ("" if ratios is None else str(ratios["incorrect"]))


def test_words_print_the_paper_s_numbers_as_the_paper_s(run, out):
    said = run(*COMMAND, "--checkpoint", "base", "--out", out).out
    assert "Table 1, measured here: misconceptions, answer_only" in said
    assert "The paper's Table 1: its numbers, none measured here" in said
    assert "Qwen2.5-7B-Instruct, seed 2    0.1868    0.1997    0.2028    0.2099" in said
    assert "there is nothing to compare yet" in said


def test_a_killed_process_goes_on_and_ends_like_an_unbroken_one(run, out, tmp_path, tiny_preset):
    command = (*COMMAND, "--seeds", "4", "--checkpoint", "base", "--checkpoint", "epoch-2", "--json")
    broken = tmp_path / "broken"
    world = {"HALLULAB_PRESET": str(tiny_preset), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "hallulab", *command, "--out", str(broken)],
        env=os.environ | world, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while n_answers(broken) < 6 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_kept = n_answers(broken)
    assert 6 <= n_kept < 24  # killed within the answers: 2 checkpoints, 3 questions, 4 seeds
    resumed = run(*command, "--out", broken).json
    whole = run(*command, "--out", out).json
    for found in (resumed, whole):
        assert (found["n_done"], n_answers(Path(found["run"]))) == (found["n_total"], 24)
    same = ("table", "verdicts", "n_total", "questions_sha256")
    assert {key: resumed[key] for key in same} == {key: whole[key] for key in same}


def test_question_sets_and_variants_share_a_folder(run, out, tmp_path, monkeypatch):
    table = tmp_path / "TruthfulQA.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("Category", "Question", "Correct Answers", "Incorrect Answers"))
        writer.writerows(
            ("c", f"What of {n}?", f"It is {n}; Nothing", f"It is {n + 1}; All") for n in range(6)
        )
    monkeypatch.setenv("HALLULAB_TRUTHFULQA", str(table))
    one = ("--limit", "3", "--checkpoint", "base", "--out", out)
    assert run("sweep", "words", *one, "--variant", "paper_code", "--json").json["variant"] == "paper_code"
    found = run("sweep", "words", *one, "--questions", "misconceptions", "--json").json
    assert [Path(path).name for path in found["records"]] == [
        "words-resemblance-truthfulqa-paper_code.jsonl",
        ANSWERS,
        "words-verdicts.jsonl",
    ]
    run("report", out)
    page = (out / "report.html").read_text()
    assert "<h2>TruthfulQA, paper_code</h2>" in page
    assert "<h2>misconceptions, answer_only</h2>" in page
    assert page.index("TruthfulQA, paper_code</h2>") < page.index("misconceptions, answer_only</h2>")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--checkpoint", "epoch-3"), "unknown checkpoint 'epoch-3'"),
        (("--limit", "0"), "expected a limit of at least 1 question, got 0"),
        (("--limit", "1"), "expected at least 2 questions and 1 other for each"),
        (("--seeds", "0"), "expected n_seeds of at least 1"),
        (("--preset", "large"), "unknown preset 'large'"),
        (("--questions", "riddles"), "riddles"),
    ],
)
def test_refusals_are_one_line(run, out, arguments, words):
    assert words in run("sweep", "words", "--questions", "misconceptions", *arguments, "--out", out).refusal


def test_added_seeds_are_read_and_reported(run, out):
    one = (*COMMAND, "--checkpoint", "base", "--checkpoint", "epoch-2", "--only", "resemblance", "--out", out)
    first = run(*one, "--seeds", 1, "--json").json
    assert [row["resemblance"]["n_answers"] for row in first["table"]] == [3, 3]
    grown = run(*one, "--seeds", 4, "--json").json
    assert (grown["n_done"], n_answers(out)) == (grown["n_total"], 24)
    assert [row["resemblance"]["n_answers"] for row in grown["table"]] == [12, 12]
    again = run(*one, "--seeds", 1, "--json").json  # less was asked for, and nothing is lost
    assert again["table"] == grown["table"]
    run("report", out)
    assert "seeds of the answers: 4, at most" in (out / "report.html").read_text()


def test_the_comparison_chosen_beforehand_and_the_positive_control_are_in_the_json(run, out):
    found = run(*COMMAND, "--seeds", 2, "--only", "resemblance", "--out", out, "--json").json
    assert set(found["slopes"]) == {"incorrect", "excess"}
    slope = found["slopes"]["incorrect"]
    assert [one["training"] for one in slope["by_training"]] == ["tuned"]
    assert slope["by_training"][0]["epochs"] == [2, 10]
    assert [power["quantity"] for power in found["powers"]] == ["incorrect", "margin", "excess"]
    assert found["n_compared"] > 0
    tuned = found["table"][1]["resemblance"]
    assert (
        tuned["against_base"]["is_ungradable"]["p_holm"] >= tuned["against_base"]["is_ungradable"]["p_value"]
    )


def test_settings_that_do_not_fit_are_refused_before_anything_is_written(run, out):
    run(*COMMAND, "--checkpoint", "base", "--out", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    # the resemblance of another variant would have a file of its own, but the verdicts of this folder had another seed
    again = run(*COMMAND, "--checkpoint", "base", "--variant", "paper_code", "--seed", "3", "--out", out)
    assert "expected a run with the same settings" in again.refusal
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_other_settings_in_the_same_folder_are_refused(run, out):
    run(*COMMAND, "--checkpoint", "base", "--out", out)
    again = run(*COMMAND, "--checkpoint", "base", "--seed", "7", "--out", out)
    assert "expected a run with the same settings" in again.refusal


def test_without_truthfulqa_one_sentence_says_what_to_do(run, out, monkeypatch):
    def load_dataset(*_, **__):
        raise ConnectionError("Couldn't reach 'truthfulqa/truthful_qa' on the Hub")

    monkeypatch.delenv("HALLULAB_TRUTHFULQA", raising=False)
    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    found = run("sweep", "words", "--out", out)
    assert (found.exit_code, found.out) == (1, "")
    *_, last = found.err.strip().splitlines()
    for words in ("cannot get TruthfulQA from the Hub", "HALLULAB_TRUTHFULQA", "misconceptions"):
        assert words in last
    assert not out.exists()


def n_answers(folder: Path) -> int:
    """Whole answers in a folder's records."""
    path = folder / ANSWERS
    lines = path.read_text(errors="replace").split("\n") if path.is_file() else []
    return sum(1 for line in lines if line.startswith('{"kind": "answer"') and is_whole(line))


def is_whole(line: str) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    return True
