"""The whole words experiment on the page: what a sweep over all checkpoints found, with its figures and tables."""

from collections.abc import Sequence
from functools import lru_cache
from html import escape
from pathlib import Path

import gradio as gr

from hallulab.errors import HallulabError
from hallulab.reports.kept_words import KeptWords, words_of_run, words_shipped
from hallulab.reports.page import Finding, PageSection, PageTable
from hallulab.ui.parts.progress import idle_card
from hallulab.ui.session import Session

TITLE = "The whole experiment: does fine-tuning make models hallucinate more?"
NOTE = """
<p class="hl-note">Everything above looks at one question. Here every checkpoint has answered hundreds: the paper’s
Table 1 and Figure 4 as measured on this project’s small models, what length alone explains of them, and how far the
verdicts can be trusted.</p>
"""
SHIPPED, SHIPPED_TITLE = "", "Small world (shipped with hallulab)"
RECORDS = "words-*.jsonl"
RUNS_REMEMBERED = 4
"""runs of this machine whose page is kept in memory: its intervals take seconds"""


def run_choices(session: Session) -> list[tuple[str, str]]:
    """What can be shown, as pairs (title, folder): the shipped run, then the sweeps below the folder of runs."""
    found = sorted({path.parent for path in session.home.rglob(RECORDS)}) if session.home else []
    return [(SHIPPED_TITLE, SHIPPED), *((str(folder), str(folder)) for folder in found)]


def read_run(session: Session, folder: str) -> KeptWords:
    """A run of `run_choices`.

    Raises RefusedInputError for records that cannot be read.
    """
    if folder == SHIPPED:
        return words_shipped()
    if folder not in [value for _, value in run_choices(session)]:
        return words_of_run(Path(folder) / "gone")  # says that there is none
    states = tuple((path.name, path.stat().st_mtime_ns) for path in sorted(Path(folder).glob(RECORDS)))
    return _remembered(folder, states)


def findings_html(findings: Sequence[Finding]) -> str:
    """What came out: each headline with the sentences behind it."""
    cards = "".join(
        f'<div class="hl-card hl-quiet"><p class="hl-note">{escape(finding.title)}</p>'
        f'<p class="hl-sentence" style="margin-top:2px"><b>{escape(finding.headline)}</b></p>'
        f"<details><summary>In sentences</summary>{''.join(map(_sentence, finding.sentences))}</details></div>"
        for finding in findings
    )
    return f'<div class="hl-found">{cards}</div>'


def table_html(table: PageTable) -> str:
    """A table with how to read it, letter by letter."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    note = f'<p class="hl-note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<p class="hl-sentence"><b>{escape(table.title)}</b></p><div class="hl-scroll"><table class="hl-table">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}"
    )


def build_experiment_panel(session: Session) -> None:
    """Lay the panel out and wire it; nothing is read before it is opened."""
    shown = gr.State()
    with gr.Accordion(TITLE, open=False) as panel:
        gr.HTML(NOTE)
        run = gr.Dropdown(
            [(SHIPPED_TITLE, SHIPPED)], value=SHIPPED, label="Run", filterable=False,
            info="Your own `sweep words` runs are listed when they are in the folder of runs (HALLULAB_HOME).",
        )  # fmt: skip

        @gr.render(inputs=shown, triggers=[shown.change])
        def _(what: tuple[str, str] | None) -> None:
            if what is not None:
                _show_run(session, shown, *what)

    panel.expand(
        lambda: (gr.Dropdown(run_choices(session)), (SHIPPED, "")), None, [run, shown],
        api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    run.input(lambda folder: (folder, ""), run, shown, api_visibility="private", show_progress="hidden")


def _show_run(session: Session, shown: gr.State, folder: str, part: str) -> None:
    """Lay out what came out of a run and one of its parts, inside a render; another part is chosen through `shown`."""
    try:
        kept = read_run(session, folder)
    except HallulabError as error:
        gr.HTML(idle_card(str(error)))
        return
    gr.HTML(f'<p class="hl-note">{escape(kept.caption)}</p>')
    gr.HTML(findings_html(kept.page.findings))
    sections = {section.title: section for section in kept.page.sections}
    section = sections.get(part, kept.page.sections[0])
    parts = gr.Radio(list(sections), value=section.title, label="Look into", interactive=True)
    # one part at a time: figures that are laid out while hidden take a width of their own
    parts.input(lambda title: (folder, title), parts, shown, api_visibility="private", show_progress="hidden")
    show_section(section)


def show_section(section: PageSection) -> None:
    """Lay out one part of a run: what was done, its figures, its tables."""
    gr.HTML("".join(map(_sentence, section.paragraphs)))
    for figure in section.figures:
        gr.HTML(f'<p class="hl-sentence"><b>{escape(figure.title)}</b></p>')
        gr.Plot(figure.figure, show_label=False)
        gr.HTML(f'<p class="hl-note">{escape(figure.caption)}</p>')
    for place, table in enumerate(section.tables):
        with gr.Accordion(table.title, open=place == 0):
            gr.HTML(table_html(table))


@lru_cache(maxsize=RUNS_REMEMBERED)
def _remembered(folder: str, states: tuple[tuple[str, int], ...]) -> KeptWords:  # noqa: ARG001
    return words_of_run(Path(folder))


def _sentence(text: str) -> str:
    return f'<p class="hl-note">{escape(text)}</p>'
