"""docs/theory.md says what the code does: its commands print what it shows, and what its table names exists."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from hallulab.cli.main import main

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```\n\$ python -m hallulab (.*)\n([\s\S]*?)```", PAGE)
ROWS = re.findall(r"\| `([\w.]+)` \| `([\w/.]+)::(\w+)` \|", PAGE)


@pytest.mark.parametrize(("command", "shown"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
def test_every_example_prints_what_the_page_shows(command, shown, capsys):
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out == shown


def test_every_theorem_has_an_example():
    assert [command.split()[:2] for command, _ in EXAMPLES] == [
        *(["construct", theorem] for theorem in ("5.1", "5.2", "5.2.1", "5.3", "C.1")),
        ["bounds", "--radius"],
    ]


@pytest.mark.parametrize(("function", "file", "test"), ROWS)
def test_what_the_table_names_exists(function, file, test):
    parts = function.split(".")
    found = import_module(f"hallulab.{parts[0]}.{parts[1]}")
    for name in parts[2:]:
        found = getattr(found, name)
    assert f"\ndef {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


def test_the_table_has_no_row_that_is_not_looked_up():
    assert len(ROWS) == len(re.findall(r"^\| .* \| `.*` \| `.*` \|$", PAGE, flags=re.MULTILINE)) >= 20
