"""Ask many times: the answers as they come, their hallucination rate, and an interval that shrinks until it decides."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from hallulab.densities.hcdr import Verdict
from hallulab.records import as_plain
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE
from hallulab.scoring.words import AskSettings
from hallulab.scoring.words_rate import RateResult, RateSettings, hallucination_rate
from hallulab.ui.parts.ask_inputs import AskInputs, asked
from hallulab.ui.parts.controls import UNQUEUED, stop_enabled, wire_stop
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.interval_bar import interval_bar
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.parts.verdict import ANSWERS, verdict_card
from hallulab.ui.session import DEVICE, Session

DEFAULTS = RateSettings(AskSettings(""))
TITLE = f"Ask {DEFAULTS.n_answers} times: how often is the answer a hallucination?"
NOTE = f"""
<p class="hl-note">One answer is a draw. This draws up to {DEFAULTS.n_answers} (seed, seed + 1, …) and stops as soon as
it is clear whether most of them hallucinate.</p>
"""
BEFORE_FIRST = "The rate appears here, with an interval that shrinks with every answer."


def sample_rate(session: Session, *values: Any) -> Iterator[tuple[Any, ...]]:
    """Sample and judge, yielding the panels after every token; what exists is kept when it is closed."""
    shown: RateResult | None = None
    with shown_to_visitor():
        for step in hallucination_rate(session.engine, RateSettings(asked(*values))):
            if step.result is None or not (step.result.answers or step.result.reason):
                card = progress_card(step.message.capitalize() + " …", round(100 * step.fraction), 100)
                yield card, "", None, None
            elif step.result is not shown or step.fraction == 1:
                shown = step.result
                yield (*rate_panels(shown), shown)


def rate_endpoint(session: Session) -> Callable[..., dict[str, Any]]:
    """The function behind `/ask_rate`; gradio reads its interface off the type hints."""

    def endpoint(
        question: str,
        states: list[str] | None = None,
        checkpoint: str | None = None,
        seed: int = AskSettings.seed,
        answers: int = RateSettings.n_answers,
        line: float = RateSettings.line,
        hdr_mass: float = AskSettings.hdr_mass,
        temperature: float | None = None,
    ) -> dict[str, Any]:
        """Sample answers until it is decided whether their hallucination rate is above or below `line`."""
        settings = AskSettings(
            question=question, states=tuple(states or ()), checkpoint=checkpoint, seed=seed,
            hdr_mass=hdr_mass, temperature=temperature,
        )  # fmt: skip
        with shown_to_visitor():
            steps = list(hallucination_rate(session.engine, RateSettings(settings, answers, line)))
        assert steps[-1].result is not None  # the last progress always holds the result
        return as_plain(steps[-1].result.to_json())

    return endpoint


def rate_panels(result: RateResult) -> tuple[str, str, dict[str, Any]]:
    """Card, list of answers and record."""
    if result.reason is not None:
        card = verdict_card(None, ANSWERS, hdr_mass=result.hdr_mass, reason=result.reason)
        return card, "", as_plain(result.to_json())
    return rate_card(result), answers_table(result), as_plain(result.to_json())


def rate_card(result: RateResult, *, is_stopped: bool = False) -> str:
    """The decision, the rate with its interval, every answer as one mark, and the interval as a bar."""
    text, tone = _decision(result, is_stopped)
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{tone}"><span class="hl-pill">{text}</span>'
        f'<p class="hl-sentence">{rate_sentence(result)}</p>{_marks(result)}{_bar(result)}</div>'
    )


def rate_sentence(result: RateResult) -> str:
    """How many hallucinate, the interval, and why sampling ended."""
    n, interval, settings = result.n_judged, result.interval, result.settings
    if not n:
        return "Every answer so far is empty, so there is nothing to judge."
    sentence = (
        f"{result.n_hallucinations} of {n} answers hallucinate: {result.rate:.0%}, and the true rate is between "
        f"{interval.low:.0%} and {interval.high:.0%} ({settings.confidence:.0%} interval)."
    )
    n_empty = len(result.answers) - n
    if n_empty:
        sentence += f" {n_empty} empty and not counted."
    if result.decided is not None and len(result.answers) < settings.n_answers:
        sentence += f" All of that is {result.decided} {settings.line:.0%}, so no more answers are needed."
    return sentence


def answers_table(result: RateResult) -> str:
    """The different answers, the most frequent first, each with its verdict."""
    counts = Counter(result.answers)
    verdicts = dict(zip(result.answers, result.verdicts, strict=True))
    rows = ""
    for answer, n in counts.most_common():
        text = escape(answer) or "(nothing)"
        rows += f'<tr><td class="hl-wide">{text}</td><td>{n}</td>{_verdict_cell(verdicts[answer])}</tr>'
    return (
        '<div class="hl-scroll"><table class="hl-table"><thead><tr><th>answer</th><th>times</th><th>verdict</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def decide_rate_again(result: RateResult | None, hdr_mass: float) -> tuple[Any, ...]:
    """The panels of the sampled answers at another mass, with no model call."""
    if result is None:
        return idle_card(BEFORE_FIRST), "", None
    with shown_to_visitor():
        return rate_panels(result.with_mass(hdr_mass))


def stopped_rate(result: RateResult | None, hdr_mass: float) -> tuple[Any, ...]:
    """After Stop: the answers judged so far stay."""
    if result is None:
        return idle_card("Stopped before the first answer was judged."), "", None, stop_enabled(False)
    result = result.with_mass(hdr_mass)
    _, table, record = rate_panels(result)
    return rate_card(result, is_stopped=True), table, record, stop_enabled(False)


def build_rate_panel(session: Session, inputs: AskInputs) -> None:
    """Lay the panel out and wire it."""
    result = gr.State()
    with gr.Accordion(TITLE, open=False):
        gr.HTML(NOTE)
        with gr.Row():
            start = gr.Button(f"Sample {DEFAULTS.n_answers} answers", variant="primary", scale=3)
            stop = gr.Button("Stop sampling", variant="stop", scale=1, interactive=False)
        card = gr.HTML(idle_card(BEFORE_FIRST))
        table = gr.HTML()
        with gr.Accordion("Receipt (JSON): everything that repeats this rate", open=False):
            record = gr.JSON(show_label=False)
    starting = start.click(partial(stop_enabled, True), None, stop, **UNQUEUED)
    sampling = starting.then(
        partial(sample_rate, session), inputs.components(), [card, table, record, result],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    sampling.then(partial(stop_enabled, False), None, stop, **UNQUEUED)
    wire_stop(stop, sampling, stopped_rate, [result, inputs.hdr_mass], [card, table, record, stop])
    inputs.hdr_mass.change(
        decide_rate_again, [result, inputs.hdr_mass], [card, table, record],
        trigger_mode="always_last", **UNQUEUED,
    )  # fmt: skip


def _verdict_cell(verdict: Verdict | None) -> str:
    if verdict is None:
        return "<td>empty</td>"
    css, word = ("hl-out", "✕ hallucination") if verdict.is_hallucination else ("hl-in", "✓ plausible")
    return f'<td class="{css}">{word}<small>{verdict.margin_nats:+.1f} nats</small></td>'


def _decision(result: RateResult, is_stopped: bool) -> tuple[str, str]:
    if result.decided == "above":
        return "✕ Mostly hallucinations", OUTSIDE
    if result.decided == "below":
        return "✓ Mostly not hallucinations", INSIDE
    if is_stopped:
        return f"? Stopped after {len(result.answers)}, not decided", NEUTRAL
    n, most = len(result.answers), result.settings.n_answers
    return (f"? Not decided after {n}" if n >= most else f"… {n} of at most {most}"), NEUTRAL


def _marks(result: RateResult) -> str:
    marks = ""
    for answer, verdict in zip(result.answers, result.verdicts, strict=True):
        css, sign = (
            ("", "∅") if verdict is None else ("hl-out", "✕") if verdict.is_hallucination else ("hl-in", "✓")
        )
        marks += f'<span class="{css}" title="{escape(answer)}">{sign}</span>'
    left = result.settings.n_answers - len(result.answers)
    marks += "<span>·</span>" * (0 if result.decided else left)
    return f'<div class="hl-marks" aria-hidden="true">{marks}</div>'


def _bar(result: RateResult) -> str:
    return interval_bar(
        result.interval,
        result.rate,
        line=result.settings.line,
        genuine=1 - result.hdr_mass,
        things="answers",
        note="The interval holds at every look, so stopping early is fair.",
    )
