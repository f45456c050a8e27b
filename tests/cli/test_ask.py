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


def test_more_is_added_under_its_own_keys(run):
    command = ("ask", QUESTION, "--samples", "20", "--seed", "3", "--checkpoint", "epoch-2")
    plain = run(*command, "--json").json
    more = ("--answers", "4", "--compare", "base", "--choices", "3", "--propose")
    grown = run(*command, *more, "--json").json
    assert grown.keys() - plain.keys() == {"rate", "comparison", "choices", "proposed"}
    assert {key: grown[key] for key in plain} == plain
    # untrained models follow no hint, so there is no rate, and that is null
    assert (grown["rate"]["hallucination_rate"], grown["rate"]["n_sampled"]) == (None, 0)
    assert grown["comparison"]["compared"][0]["answer"] == plain["answer"]
    assert [one["checkpoint"] for one in grown["comparison"]["compared"]] == ["epoch-2", "base"]
    assert len(grown["choices"]) == len(plain["tokens"])
    for place, token in zip(grown["choices"], plain["tokens"], strict=True):
        assert place["written"] == token["token_id"]
        assert [choice["rank"] for choice in place["choices"][:3]] == [1, 2, 3]
    assert grown["proposed"]["n_sampled"] == 64


def test_more_is_printed_below_the_verdict(run):
    out = run(
        "ask",
        QUESTION,
        "--samples",
        "20",
        "--answers",
        "4",
        "--compare",
        "base",
        "--choices",
        "2",
        "--propose",
    ).out
    for words in (
        "No rate: the scorer qwen-tiny",
        "answer on the same seed",
        "instead",
        "Of 64 answers without",
    ):
        assert words in out


def test_a_beginning_is_kept(run):
    found = run("ask", QUESTION, "--samples", "20", "--begin", "A goldfish", "--json").json
    assert found["answer"].startswith("A goldfish")
    assert found["begun"] == "A goldfish"


def test_an_answer_to_a_listed_question_is_held_against_both_lists(run):
    asked = ("ask", "How far can an owl turn its head?", "--references", "misconceptions", "--samples", "20")
    found = run(*asked, "--answer", "A full circle, 360 degrees.", "--json").json["resemblance"]
    assert (found["finding"], found["grade"]) == ("incorrect", "wrong")
    assert (found["incorrect"]["ratio"], found["incorrect"]["n_as_alike"], found["incorrect"]["n_null"]) == (
        1,
        0,
        74,
    )
    assert found["incorrect"]["p_value"] == pytest.approx(1 / 75)
    assert found["correct"]["ratio"] < 0.5
    assert (
        "like a listed wrong answer; graded wrong"
        in run(*asked, "--answer", "A full circle, 360 degrees.").out
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--answers", "0"], "expected 1 to 256 answers, got 0"),
        (["--answers", "4", "--temperature", "0"], "expected a temperature above 0 for a rate"),
        (["--answers", "4", "--answer", "A cat."], "expected answers to sample for a rate"),
        (["--compare", "gpt"], "unknown checkpoint 'gpt'"),
        (["--compare", "epoch-10"], "expected 2 to 12 different checkpoints, got epoch-10, epoch-10"),
        (["--choices", "0"], "expected 1 to 100 choices, got 0"),
        (["--begin", "A", "--answer", "A cat."], "an answer to judge or the beginning of one, got both"),
        (["--references", "riddles"], "unknown question set 'riddles'"),
        (["--references", "misconceptions"], "expected one of the 75 questions of misconceptions"),
    ],
)
def test_more_that_cannot_be_had_is_refused_before_anything_is_printed(run, arguments, words):
    assert words in run("ask", QUESTION, *arguments, "--json").refusal


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
