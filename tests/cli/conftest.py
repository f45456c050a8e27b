"""A command line that works in a tiny world, in this process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hallulab.cli.main import main


@dataclass(frozen=True)
class Outcome:
    """What one command left behind."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout; NaN and infinity are not JSON."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out, parse_constant=refuse)

    @property
    def refusal(self) -> str:
        """The one line of a refused input."""
        assert (self.exit_code, self.out) == (2, "")
        assert self.err.count("\n") == 1, self.err
        return self.err.strip()


@pytest.fixture
def run(
    tiny_preset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> Callable[..., Outcome]:
    """Run a command in the tiny world; its runs go to a temporary folder."""
    monkeypatch.setenv("HALLULAB_PRESET", str(tiny_preset))
    monkeypatch.setenv("HALLULAB_HOME", str(tmp_path / "home"))

    def run_command(*arguments: str | Path) -> Outcome:
        capfd.readouterr()
        exit_code = main([str(argument) for argument in arguments])
        return Outcome(exit_code, *capfd.readouterr())

    return run_command
