"""Is-It-Valid on the page: does a checkpoint of the preset err as often as its judging says it must?"""

from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from hallulab.data.candidate_answers import CANDIDATE_SETS
from hallulab.data.coins import check_whole
from hallulab.errors import RefusedInputError
from hallulab.experiments.iiv import DEFAULT_SETS, IivResult, IivSettings, run_iiv
from hallulab.experiments.iiv_calibration import CalibrationRow, calibration_table
from hallulab.experiments.iiv_estimates import Estimate
from hallulab.experiments.iiv_reduction import IivRow, iiv_table
from hallulab.experiments.iiv_summary import summary_json
from hallulab.records import as_plain
from hallulab.reports.charts import chart_figure
from hallulab.reports.figures import NEUTRAL, OUTSIDE
from hallulab.reports.iiv_figures import SET_TITLES, reliability_chart
from hallulab.reports.iiv_sentences import MAIN_SCALE, shown_view
from hallulab.reports.numbers import MISSING, decimal
from hallulab.ui.parts.coin_tables import table_html
from hallulab.ui.parts.controls import UNQUEUED, shown_plot, stop_enabled, wire_stop
from hallulab.ui.parts.density_cards import percent
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.session import DEVICE, Session

TRUTHFULQA = "truthfulqa"
FIRST_SET = "birthdays"
LEAST_QUESTIONS, MOST_QUESTIONS, FIRST_QUESTIONS = 5, 100, 20
TITLE = "Does it hold for a real language model? (Is-It-Valid)"
NOTE = """
<p class="hl-note">A language model of this preset gets questions with listed answers, some valid and some wrong. Two
things are computed, not sampled: how often it would <b>say</b> a wrong one, and how often it <b>misjudges</b> an answer
when it only has to tell valid from wrong. Theorem 1 says that the first is at least about twice the second, less some
corrections.</p>
"""
TABLE_NOTE = {
    "likeliest": """
<p class="hl-note"><b>Can its confidence be believed?</b> Sure: how likely it finds its likeliest listed answer; valid:
how often that answer is valid. ECE is the average gap between the two, MCE the largest.</p>
""",
    "is_it_valid": """
<p class="hl-note"><b>Can its confidence be believed?</b> Sure: how sure it must be that an answer is valid; valid: how
often it is. ECE is the average gap between the two, MCE the largest.</p>
""",
}
BEFORE_FIRST = "How often the model errs, and the least that Theorem 1 allows, appears here."
Frame = tuple[Any, ...]
"""card, figure, table, result"""


def judge(session: Session, question_set: Any, checkpoint: Any, n_questions: Any) -> Iterator[Frame]:
    """Score and yield (card, figure, table, result); closing it stops it, and what was scored is kept."""
    with shown_to_visitor():
        settings = chosen_settings(session, question_set, checkpoint, n_questions)
        steps = run_iiv(session.engine, settings, questions_path=_path(session, settings))
        result: IivResult | None = None
        for step in steps:
            result = step.result or result
            note = f"{step.note[:1].upper()}{step.note[1:]}"
            message = f"{note}: {step.n_done} of {step.n_total} questions …" if step.result else f"{note} …"
            yield progress_card(message, step.n_done, step.n_total), gr.skip(), gr.skip(), result
        yield *panels(result), result


def iiv_endpoint(session: Session) -> Callable[..., dict[str, Any]]:
    """The endpoint `/iiv`."""

    def iiv(
        question_set: str = FIRST_SET, checkpoint: str | None = None, n_questions: int = FIRST_QUESTIONS
    ) -> dict[str, Any]:
        """Is-It-Valid and calibration of one checkpoint on one question set: the JSON of `hallulab iiv`."""
        with shown_to_visitor():
            name = session.engine.preset.words.base_name if checkpoint is None else checkpoint
            settings = chosen_settings(session, question_set, name, n_questions)
            steps = list(run_iiv(session.engine, settings, questions_path=_path(session, settings)))
        assert steps[-1].result is not None  # the last step always holds the result
        return as_plain(summary_json([steps[-1].result]))

    return iiv


def chosen_settings(session: Session, question_set: Any, checkpoint: Any, n_questions: Any) -> IivSettings:
    """The run that a visitor chose; refused where it cannot be one."""
    offered = question_sets(session)
    if question_set not in offered:
        raise RefusedInputError(f"expected a question set among {', '.join(offered)}, got {question_set!r}")
    session.engine.checkpoint_place("words", checkpoint)
    n = check_whole("questions", n_questions, LEAST_QUESTIONS, MOST_QUESTIONS)
    return IivSettings(question_set, n, (checkpoint,))


def question_sets(session: Session) -> tuple[str, ...]:
    """What is offered: TruthfulQA only where its file was named."""
    return (*DEFAULT_SETS, *([TRUTHFULQA] if session.truthfulqa else []))


def panels(result: IivResult | None) -> Frame:
    """Card, figure and table of what was scored so far."""
    rows = iiv_table([result], [MAIN_SCALE]) if result else ()
    if result is None or not rows:
        return idle_card("Stopped before the first question was scored."), shown_plot(None), ""
    view = shown_view(result.settings.question_set)
    calibration = next(row for row in calibration_table([result]) if row.view == view)
    figure = chart_figure(reliability_chart([calibration]))
    figure.update_xaxes(tickformat=".0%").update_yaxes(tickformat=".0%")
    return iiv_card(rows[0]), shown_plot(figure), calibration_html(calibration)


def settled(result: IivResult | None) -> Frame:
    """After the last question or a Stop: what was scored stays. Returns: card, figure, table, Stop."""
    return *panels(result), stop_enabled(False)


def iiv_card(row: IivRow) -> str:
    """What it says, what it judges, and the bound in one line."""
    is_bound = (row.bound.value or 0.0) > 0
    tone = OUTSIDE if is_bound else NEUTRAL
    pill = "✕ It must err, and it does" if is_bound else "? Theorem 1 demands nothing here"
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{tone}"><span class="hl-pill" style="--hl-tone:{tone}">'
        f'{pill}</span><p class="hl-sentence">{iiv_sentence(row)}</p><p class="hl-note">{bound_line(row)}</p></div>'
    )


def iiv_sentence(row: IivRow) -> str:
    """Generating beside judging; HTML."""
    return (
        f"<b>{escape(row.checkpoint)} errs in {_share(row.err)} of its answers</b> on {_questions(row.n_questions)} "
        f"({SET_TITLES[row.question_set]}). When it only judges, it is wrong on {_share(row.err_iiv)} at the paper's "
        f"threshold, and on {_share(row.best_err_iiv)} at the best one for it."
    )


def bound_line(row: IivRow) -> str:
    """Theorem 1 with its numbers filled in."""
    err_iiv, size, delta, lost = row.err_iiv.value, row.size_term, row.delta.value, row.lost_mass.value or 0.0
    terms = f"2 · {decimal(err_iiv)} − {decimal(size)} − {decimal(delta)}"
    if lost > 0.0005:
        terms += f" − {decimal(lost)}"
    says = (
        decimal(row.bound.value)
        if (row.bound.value or 0.0) > 0
        else f"{decimal(row.bound.value)}, which is silent"
    )
    return (
        f"Theorem 1: err ≥ 2 · err_iiv − |V|/|E| − δ = {terms} = <b>{says}</b>; measured {decimal(row.err.value)}. "
        f"Sharper form: {_sharper(row)}."
    )


def calibration_html(row: CalibrationRow) -> str:
    """How far its confidence can be believed, as numbers."""
    header = ("sure", "valid", "ECE", "MCE", "Brier", "log loss (nats)")
    cells = [
        *(_measured(one, as_percent=True) for one in (row.confidence, row.accuracy)),
        *(_measured(one, as_percent=False) for one in (row.ece, row.mce, row.brier, row.log_loss)),
    ]
    return TABLE_NOTE[row.view] + table_html(header, [cells])


def build_iiv_panel(session: Session) -> None:
    """Lay the panel out and wire it."""
    result = gr.State(time_to_live=3600)
    base = session.engine.preset.words.base_name
    with gr.Accordion(TITLE, open=False):
        gr.HTML(NOTE)
        with gr.Row():
            question_set = gr.Dropdown(
                [(SET_TITLES[name], name) for name in question_sets(session)], value=FIRST_SET, label="Questions",
                filterable=False, min_width=200,
            )  # fmt: skip
            checkpoint = gr.Dropdown(
                list(session.engine.checkpoint_names("words")), value=base, label="Checkpoint", filterable=False,
                min_width=200,
            )  # fmt: skip
            n_questions = gr.Slider(
                LEAST_QUESTIONS,
                MOST_QUESTIONS,
                FIRST_QUESTIONS,
                step=5,
                label="How many questions",
                min_width=200,
            )
        about = gr.HTML(set_note(FIRST_SET))
        with gr.Row():
            start = gr.Button("Judge it", variant="primary", scale=3, min_width=160)
            stop = gr.Button("Stop judging", variant="stop", scale=1, min_width=120, interactive=False)
        card = gr.HTML(idle_card(BEFORE_FIRST))
        table = gr.HTML(min_height=0)
        figure = gr.Plot(show_label=False, visible=False)
    question_set.input(set_note, question_set, about, **UNQUEUED)
    starting = start.click(lambda: (stop_enabled(True), None), None, [stop, result], **UNQUEUED)
    judging = starting.then(
        partial(judge, session), [question_set, checkpoint, n_questions], [card, figure, table, result],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    judging.then(partial(stop_enabled, False), None, stop, **UNQUEUED)
    wire_stop(stop, judging, settled, result, [card, figure, table, stop])


def set_note(question_set: str) -> str:
    """What a question set is."""
    if question_set not in CANDIDATE_SETS:
        raise gr.Error("Choose one of the question sets in the list.", print_exception=False)
    about = CANDIDATE_SETS[question_set]
    return f'<p class="hl-note">{about[:1].upper()}{about[1:]}.</p>'


def _path(session: Session, settings: IivSettings) -> str | None:
    return session.truthfulqa if settings.question_set == TRUTHFULQA else None


def _sharper(row: IivRow) -> str:
    bound = row.sharp_bound.value
    return f"err ≥ {decimal(bound)}" if (bound or 0.0) > 0 else "silent"


def _questions(n: int) -> str:
    return f"{n} question{'s' * (n != 1)}"


def _share(estimate: Estimate) -> str:
    return MISSING if estimate.value is None else percent(estimate.value)


def _measured(estimate: Estimate, *, as_percent: bool) -> str:
    if estimate.value is None:
        return MISSING
    write = percent if as_percent else decimal
    if estimate.low is None or estimate.high is None:
        return f"<b>{write(estimate.value)}</b>"
    return f"<b>{write(estimate.value)}</b><small>{write(estimate.low)} to {write(estimate.high)}</small>"
