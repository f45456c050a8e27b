"""A words sweep as the page of the app shows it: from the folder of a run, or from the run shipped with hallulab."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hallulab.experiments.words_sweep import WordsSweep, read_words_sweep
from hallulab.reports.kept_pages import page_of_record, page_record, without_lists
from hallulab.reports.page import Page
from hallulab.reports.words_report import words_page
from hallulab.reports.words_tables import title_of

SHIPPED_RUN = Path(__file__).with_name("words_run.json")


@dataclass(frozen=True)
class KeptWords:
    """What a sweep found, to be shown without its records."""

    caption: str
    """what was run, on how much, and when"""
    page: Page


def words_of_run(folder: Path) -> KeptWords:
    """The sweep that a folder holds; RefusedInputError as `read_words_sweep`."""
    sweep = read_words_sweep(folder)
    return KeptWords(_caption(sweep), without_lists(words_page(sweep)))


def words_shipped() -> KeptWords:
    """The sweep of the small world that comes with hallulab."""
    record = json.loads(SHIPPED_RUN.read_text(encoding="utf-8"))
    return KeptWords(record["caption"], page_of_record(record["page"]))


def kept_text(kept: KeptWords) -> str:
    """What `words_shipped` reads."""
    record = {"caption": kept.caption, "page": page_record(kept.page)}
    return json.dumps(record, ensure_ascii=False) + "\n"


def _caption(sweep: WordsSweep) -> str:
    last = max(path.stat().st_mtime for path in sweep.record_paths)
    return f"Measured on {datetime.fromtimestamp(last, UTC):%Y-%m-%d}. " + "; ".join(_parts(sweep)) + "."


def _parts(sweep: WordsSweep) -> Iterator[str]:
    for run in sweep.resemblance:
        models = len(run.result.models)
        yield (
            f"{title_of(run)}: {run.result.questions.n} questions, {len(run.result.answers):,} answers of "
            f"{models} checkpoint{'' if models == 1 else 's'}"
        )
    if sweep.verdicts:
        asked = {frame.question for frame in sweep.verdicts.result.frames}
        yield f"text verdicts: {len(asked)} open-ended questions"
