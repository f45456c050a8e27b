"""The command line as a whole: exit codes, one line per refusal, quick help."""

import subprocess
import sys

import pytest

from hallulab.cli import main as cli
from hallulab.errors import HallulabError, RefusedInputError

COMMANDS = (
    "ask", "paint", "coins", "report", "frame", "score", "frame-table", "detectors", "bounds", "construct", "facts",
    "iiv",
    "grade", "check-rules", "observation-1", "targets", "post-train", "train", "sweep", "bars", "examples", "doctor",
)  # fmt: skip


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_threads_wait_without_starving_others_unless_somebody_chose(monkeypatch):
    code = (
        "import os, sys, hallulab.__main__; print(os.environ['GOMP_SPINCOUNT'], os.environ['OMP_WAIT_POLICY']); "
        "assert 'torch' not in sys.modules"  # which reads them when it is imported
    )
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    assert python("-c", code).stdout.split() == ["1000", "PASSIVE"]
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert python("-c", code).stdout.split() == ["7", "PASSIVE"]


def test_help_names_every_command_and_imports_nothing_heavy():
    code = (
        "import sys; from hallulab.cli.main import main; code = main(['--help']); "
        "heavy = {'torch', 'transformers', 'diffusers', 'gradio', 'sklearn'} & sys.modules.keys(); "
        "sys.exit(code or (f'imported {heavy}' if heavy else 0))"
    )
    found = python("-c", code)
    assert (found.returncode, found.stderr) == (0, "")
    for command in COMMANDS:
        assert f"\n  {command} " in found.stdout


def test_the_module_offers_the_app_as_well():
    found = python("-m", "hallulab")
    assert found.returncode == 0
    assert "\n  app " in found.stdout


def test_the_module_runs_and_refuses_in_one_line():
    found = python("-m", "hallulab", "ask")
    assert (found.returncode, found.stdout) == (2, "")
    assert "question" in found.stderr.lower()
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sing"], "No such command 'sing'"),
        (["ask", "q", "--seed", "x"], "Invalid value for '--seed'"),
        (["paint", "a cat", "--picture", "1"], "No such option"),
        (["train", "large-world"], "large-world"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, words, capfd):
    assert cli.main(arguments) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert words in err


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [(RefusedInputError("expected a\n  cat"), 2), (HallulabError("expected a\n  cat"), 1)],
)
def test_errors_become_one_line_and_an_exit_code(error, exit_code, capfd, monkeypatch):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(cli, "app", refuse)
    assert cli.main(["doctor"]) == exit_code
    assert capfd.readouterr() == ("", "expected a cat\n")


def test_a_bug_is_not_mistaken_for_a_refusal(monkeypatch):
    def bug(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", bug)
    with pytest.raises(ZeroDivisionError):
        cli.main(["doctor"])


def test_an_unknown_preset_is_refused(run, monkeypatch):
    monkeypatch.setenv("HALLULAB_PRESET", "large")
    assert "unknown preset 'large': use one of small-world, paper" in run("doctor").refusal
