"""A sweep kept as a record says what its page says, and the one that is shipped is about the shipped weights."""

import json
from dataclasses import replace

from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.experiments.words_sweep import WordsSweep
from hallulab.reports.kept_pages import page_of_record, page_record, without_lists
from hallulab.reports.kept_words import KeptWords, kept_text, words_shipped
from hallulab.reports.words_report import words_page
from tests.hand_made_resemblance import answer, question, result, run_of


def sweep(folder) -> WordsSweep:
    answers = [
        answer(name, f"q{n}", 0.3 + 0.01 * n, text=f"answer {n}")
        for name in ("base", "seed1-epoch2")
        for n in range(6)
    ]
    found = run_of(
        result(answers, names=("base", "seed1-epoch2"), asked=[question(f"q{n}") for n in range(6)])
    )
    path = folder / found.path
    path.write_text("records")
    return WordsSweep((replace(found, path=path),), None)


def test_a_kept_page_says_what_the_page_says(tmp_path):
    page = words_page(sweep(tmp_path))
    again = page_of_record(json.loads(json.dumps(page_record(page))))
    assert again.findings[0].headline == page.findings[0].headline
    for kept, section in zip(again.sections, page.sections, strict=True):
        assert kept.title == section.title
        assert [list(map(list, table.rows)) for table in kept.tables] == [
            list(map(list, table.rows)) for table in section.tables
        ]
        for figure, original in zip(kept.figures, section.figures, strict=True):
            assert (figure.title, figure.caption) == (original.title, original.caption)
            assert json.loads(figure.figure.to_json()) == json.loads(original.figure.to_json())
    # and nothing is lost on a second way through
    assert json.loads(json.dumps(page_record(again))) == json.loads(json.dumps(page_record(page)))


def test_the_questions_of_others_are_left_out(tmp_path):
    page = words_page(sweep(tmp_path))
    assert any(table.is_list for section in page.sections for table in section.tables)
    text = kept_text(KeptWords("", without_lists(page)))
    assert "What of q1?" not in text
    assert "How answers are graded" not in text  # a section of rules alone


def test_the_shipped_run_is_about_the_shipped_weights():
    kept = words_shipped()
    settings = dict(kept.page.receipt.settings.rows)
    engine = Engine(load_preset(None), device="cpu")
    hashes = {name: engine.qwen(name).sha256 for name in engine.checkpoint_names("words")}
    for part in (
        "TruthfulQA, answer_only",
        "TruthfulQA, paper_code",
        "misconceptions, answer_only",
        "verdicts",
    ):
        for name, sha256 in hashes.items():
            assert settings[f"{part}: SHA-256 of {name}"] == sha256, part
    titles = [table.title for section in kept.page.sections for table in section.tables]
    for title in (
        "Table 1, measured here: TruthfulQA, paper_code",
        "The paper's Table 1: its numbers, none measured here",
    ):
        assert title in titles
    assert not any(table.is_list for section in kept.page.sections for table in section.tables)
