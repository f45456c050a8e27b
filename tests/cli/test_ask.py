"""`ask`: the JSON contract, and what is refused."""

import shutil
from pathlib import Path

import pytest

KEYS = {
    "question", "answer", "model", "checkpoint", "seed", "states", "max_log_density", "margin_nats",
    "is_hallucination", "reason", "log_density_unhinted", "scorer", "tokens",
}  # fmt: skip
QUESTION = "What is a good pet for a small flat?"


def test_the_contract_holds_when_there_is_no_verdict(run):
    """An untrained scorer follows no hint, so nothing it samples is genuine."""
    found = run("ask", QUESTION, "--samples", "20", "--seed", "3", "--json")
    assert found.exit_code == 0
    result = found.json
    assert result.keys() >= KEYS
    assert (result["question"], result["checkpoint"], result["seed"]) == (QUESTION, "epoch-10", 3)
    assert (result["model"], result["scorer"]) == ("qwen-tiny + epoch-10", "qwen-tiny")
    assert result["is_hallucination"] is None
    assert result["reason"].startswith("no verdict")
    assert [state["state"] for state in result["states"]] == ["a cat", "a goldfish"]
    for state in result["states"]:
        assert state.keys() >= {"state", "log_density", "threshold", "inside"}
    assert all(0 <= token["probability"] <= 1 for token in result["tokens"])


def test_the_same_seed_gives_the_same_answer_and_another_checkpoint_another(run):
    command = ("ask", QUESTION, "--samples", "20", "--json", "--seed", "5")
    first, again = run(*command).json, run(*command).json
    assert first == again
    assert run(*command, "--checkpoint", "base").json["answer"] != first["answer"]


def test_states_and_an_answer_of_ones_own_are_taken(run):
    found = run(
        "ask", "Tea or coffee?", "--state", "tea", "--state", "coffee", "--answer", "Tea.", "--samples", "20",
        "--json",
    ).json  # fmt: skip
    assert found["answer"] == "Tea."
    assert [state["state"] for state in found["states"]] == ["tea", "coffee"]


def test_without_json_a_sentence_comes_first(run):
    found = run("ask", QUESTION, "--samples", "20")
    assert found.exit_code == 0
    assert found.out.splitlines()[0].startswith("No verdict: the scorer qwen-tiny")
    assert QUESTION in found.out
    assert "scored by qwen-tiny" in found.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([""], "expected a question, got an empty"),
        (["  \n "], "expected a question, got an empty"),
        (["why? " * 2000], "at most 2,000 characters, got 10,000"),
        (
            [QUESTION, "--checkpoint", "epoch-3"],
            "unknown checkpoint 'epoch-3' for words: use one of base, epoch-2",
        ),
        ([QUESTION, "--hdr-mass", "0"], "mass"),
        ([QUESTION, "--hdr-mass", "1"], "mass"),
        ([QUESTION, "--hdr-mass", "nan"], "mass"),
        ([QUESTION, "--samples", "0"], "genuine samples per state, got 0"),
        ([QUESTION, "--state", ""], "expected words in every state"),
        ([QUESTION, "--temperature", "-1"], "temperature from 0 to 5, got -1"),
        ([QUESTION, "--seed", "-1"], "seed from 0 to"),
    ],
)
def test_wrong_input_is_refused_in_one_line(run, arguments, words):
    assert words in run("ask", *arguments, "--json").refusal


@pytest.mark.parametrize(
    ("file", "checkpoint"),
    [("qwen-tiny/model.safetensors", "base"), ("adapters/epoch-2/adapter_model.safetensors", "epoch-2")],
)
def test_truncated_weights_are_refused_by_name(run, monkeypatch, tmp_path, tiny_preset, file, checkpoint):
    world = Path(shutil.copytree(tiny_preset.parent, tmp_path / "world"))
    (world / file).write_bytes((world / file).read_bytes()[:500])
    monkeypatch.setenv("HALLULAB_PRESET", str(world / tiny_preset.name))
    refusal = run("ask", QUESTION, "--checkpoint", checkpoint).refusal
    assert Path(file).name in refusal
    assert "damaged or cut short" in refusal
