"""The panel of the whole words experiment: which runs it offers, and what it shows of one."""

from dataclasses import replace

import pytest

from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.reports.kept_words import words_shipped
from hallulab.reports.page import Finding, PageTable
from hallulab.ui.parts.ask_experiment import SHIPPED, findings_html, read_run, run_choices, table_html
from hallulab.ui.session import Session


@pytest.fixture(scope="module")
def swept(tmp_path_factory, tiny_preset):
    """A folder of runs with one finished sweep in it."""
    from hallulab.cli.main import main

    home = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HALLULAB_PRESET", str(tiny_preset))
        command = ["sweep", "words", "--questions", "misconceptions", "--limit", "3", "--only", "resemblance"]
        assert main([*command, "--out", str(home / "mine")]) == 0
    return home


@pytest.fixture
def session(swept):
    return Session(Engine(load_preset(None), device="cpu"), home=swept)


def test_runs_below_the_folder_are_offered_behind_the_shipped_one(session, swept):
    assert [folder for _, folder in run_choices(session)] == [SHIPPED, str(swept / "mine")]
    assert [folder for _, folder in run_choices(replace(session, home=None))] == [SHIPPED]
    assert [folder for _, folder in run_choices(replace(session, home=swept / "none"))] == [SHIPPED]


def test_a_run_of_one_s_own_is_read_as_its_report_would_say_it(session, swept):
    kept = read_run(session, str(swept / "mine"))
    assert "misconceptions, answer_only: 3 questions, 9 answers of 3 checkpoints" in kept.caption
    tables = [table.title for section in kept.page.sections for table in section.tables]
    assert "Table 1, measured here: misconceptions, answer_only" in tables
    assert read_run(session, str(swept / "mine")) is kept  # read once
    assert read_run(session, SHIPPED).caption == words_shipped().caption


def test_only_what_is_offered_is_read(session, tmp_path):
    with pytest.raises(RefusedInputError, match="expected the records of a words sweep"):
        read_run(session, str(tmp_path))


def test_findings_and_tables_are_shown_letter_by_letter():
    card = findings_html([Finding("<b>run</b>", "It <i>rises</i>", ["a < b"])])
    assert "&lt;b&gt;run&lt;/b&gt;" in card
    assert "It &lt;i&gt;rises&lt;/i&gt;" in card
    assert "a &lt; b" in card
    table = table_html(PageTable("T", ("a", "b"), [("1", "<2>")], note="how & why"))
    assert "<td>&lt;2&gt;</td>" in table
    assert "how &amp; why" in table
