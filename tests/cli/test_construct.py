import json

import pytest

from hallulab.cli.main import main


def test_json_is_one_object_with_the_certificate(capsys):
    arguments = [
        "5.3",
        "--weights",
        "0.3",
        "--weights",
        "0.2",
        "--weights",
        "0.5",
        "--lipschitz",
        "2",
        "--json",
    ]
    assert main(["construct", *arguments, "--hint-norms", "0.5", "--n-dimensions", "4"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    found = json.loads(out)
    assert (found["theorem"], found["version"], found["holds"]) == ("5.3", "repaired", True)
    assert found["parameters"]["weights"] == pytest.approx([0.3, 0.2, 0.5])
    assert found["parameters"]["largest_reach"] == 1.0
    assert {claim["kind"] for claim in found["claims"]} == {"estimator", "hypothesis", "conclusion"}


def test_people_read_where_and_why_a_theorem_fails_as_written(capsys):
    arguments = ["5.1", "--version", "as_written", "--weights", "0.1", "--weights", "0.9"]
    assert main(["construct", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Theorem 5.1, as written: N = 2, d = 2, δ = 0.1"
    # −ln 2π − ln 0.1 − (ln 10 · 2 / 2)(0.1/0.9)² / (2 · 0.1) · 2 = 0.1804
    assert any(
        line.split()[-6:] == ["conclusion", "0.180438", "-2.30259", "-2.48", "nats", "NO"] for line in lines
    )
    assert "because Σ_N = δ^(2/d)·I makes det(Σ_N)^(−1/2) equal to 1/δ, where the proof needs δ." in lines[-2]


def test_a_long_certificate_is_cut_for_people(capsys):
    assert main(["construct", "5.2", "--n-states", "20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("… and 29 claims with more room; --json has all." in line for line in lines)
    assert "41 of 41 claims hold." in lines


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["7.1"], "expected theorem 5.1, 5.2, 5.2.1, 5.3 or C.1, got '7.1'"),
        (["5.1", "--delta", "0"], "expected δ above 0, got 0"),
        (["5.1", "--epsilon", "1"], "Theorem 5.1 has no epsilon"),
        (["5.1", "--variance", "-1"], "positive definite"),
        (["C.1", "--weights", "0.3", "--weights", "0.7"], "Theorem C.1 is about equal weights"),
    ],
)
def test_refusals_are_one_line_and_exit_code_2(capsys, arguments, words):
    assert main(["construct", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert (captured.err.count("\n"), captured.out) == (1, "")
