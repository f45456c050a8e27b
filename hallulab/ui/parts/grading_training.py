"""The simulation: what graders teach a learner of arbitrary facts, with progress and stop."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from hallulab.data.coins import check_whole
from hallulab.experiments.post_training import (
    BASE,
    BINARY,
    STATED,
    PolicyPoint,
    PostTrainingResult,
    PostTrainingSettings,
    run_post_training,
)
from hallulab.experiments.post_training_summary import OverWorlds, PolicyRow, policy_table, row_of
from hallulab.reports.charts import chart_figure
from hallulab.reports.figures import NEUTRAL, OUTSIDE
from hallulab.reports.grading_figures import post_training_chart, stated_policy_chart
from hallulab.reports.numbers import MISSING
from hallulab.ui.parts.coin_tables import table_html
from hallulab.ui.parts.controls import UNQUEUED, shown_plot, stop_enabled, wire_stop
from hallulab.ui.parts.density_cards import percent
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.session import DEVICE, Session

DEFAULTS = PostTrainingSettings()
MAX_WORLDS = 10
"""worlds that one visitor may simulate at once"""
SECONDS_PER_FRAME = 0.7
SHOWN_TARGETS = (0.0, 0.5, 0.75, 0.9)
TITLE = "What do such grades teach? Train a policy on them (simulation)"
NOTE = """
<p class="hl-note">A model that is more or less sure of its facts is trained to get the most points: once by binary
grading, once by grades that cost what t says, with t <b>stated in the prompt</b>. Nothing is sampled: points and
gradients are exact. It is measured on people that it was not trained on.</p>
"""
BEFORE_FIRST = "What binary grading does to “I do not know”, and what stated targets do, appears here."
Frame = tuple[Any, ...]


def train_policies(session: Session, worlds: Any, seed: Any) -> Iterator[Frame]:
    """Train and yield (card, two figures, table, result); closing it stops it, finished policies are kept."""
    with shown_to_visitor():
        settings = replace(
            DEFAULTS,
            rounds=check_whole("worlds", worlds, 1, MAX_WORLDS),
            seed=check_whole("seed", seed, 0, 2**31),
        )
        with session.engine.enter("grading") as ticket:
            for position in ticket.positions():
                yield progress_card(f"Waiting: {position} in front of you."), *(gr.skip(),) * 4
            yield from _frames(settings)


def settled(result: PostTrainingResult | None) -> Frame:
    """After the last policy or a Stop: what was trained stays. Returns: card, two figures, table, Stop."""
    if result is None or not _is_told(policy_table(result)):
        return (
            idle_card("Stopped before the first world was finished."),
            *(gr.skip(),) * 3,
            stop_enabled(False),
        )
    return *panels(result), stop_enabled(False)


def panels(result: PostTrainingResult) -> Frame:
    """Card, two figures and table of what was trained."""
    rows = policy_table(result)
    learned, told = chart_figure(post_training_chart(result)), chart_figure(stated_policy_chart(rows))
    learned.update_yaxes(tickformat=".0%")
    told.update_yaxes(tickformat=".0%")
    return policies_card(rows), shown_plot(learned), shown_plot(told), policies_table(rows)


def policies_card(rows: Sequence[PolicyRow]) -> str:
    """What binary grading did, and what stated targets did instead."""
    tone = OUTSIDE if binary_hurts(rows) else NEUTRAL
    text = "✕ Binary grading taught it to guess" if binary_hurts(rows) else "? Binary grading changed little"
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{tone}"><span class="hl-pill" style="--hl-tone:{tone}">'
        f'{text}</span><p class="hl-sentence">{policies_sentence(rows)}</p></div>'
    )


def policies_sentence(rows: Sequence[PolicyRow]) -> str:
    """The finding in words; HTML."""
    base, binary = row_of(rows, BASE, 0.0), row_of(rows, BINARY, 0.0)
    if base is None or binary is None:
        return "Not finished."
    said = [
        f"<b>Binary grading</b> takes “I do not know” from {_share(base.idk)} to {_share(binary.idk)} of the questions "
        f"and hallucinations from {_share(base.wrong)} to {_share(binary.wrong)}."
    ]
    told = [row for row in rows if row.policy == STATED]
    if told:
        kept = [row for row in told if row.keeps_its_word is not False]
        strict = told[-1]
        said.append(
            f"<b>Told t = {strict.target:g}</b>, one policy for every t says “I do not know” to {_share(strict.idk)} "
            f"and errs on {_share(strict.wrong)}; at {len(kept)} of {len(told)} targets its answers are right at "
            f"least as often as t, {sum(not row.is_trained_on for row in told)} of which it never met in training."
        )
    said.append(f"Mean over {_worlds(base.idk.n)}.")
    return " ".join(said)


def binary_hurts(rows: Sequence[PolicyRow]) -> bool:
    """Whether binary grading led to less abstention and more hallucinations."""
    base, binary = row_of(rows, BASE, 0.0), row_of(rows, BINARY, 0.0)
    if base is None or binary is None:
        return False
    idk, wrong = (
        (binary.idk.mean or 0.0) - (base.idk.mean or 0.0),
        (binary.wrong.mean or 0.0) - (base.wrong.mean or 0.0),
    )
    return idk < 0 < wrong


def policies_table(rows: Sequence[PolicyRow]) -> str:
    """Base, binary and told policies at the named targets."""
    titles = {BASE: "before training", BINARY: "binary grading", STATED: "told t"}
    body = [
        [
            titles[row.policy] + (f", t = {row.target:g}" if row.policy == STATED else ""),
            _measured(row.idk),
            _measured(row.wrong),
            _measured(row.accuracy),
        ]
        for row in rows
        if (row.policy == STATED and row.target in SHOWN_TARGETS)
        or (row.policy in (BASE, BINARY) and row.target == 0)
    ]
    header = ("trained by", "“I do not know”", "hallucinations", "right of the answered")
    return table_html(header, body)


def build_policies_panel(session: Session) -> None:
    """Lay the panel out and wire it."""
    result = gr.State(time_to_live=3600)
    with gr.Accordion(TITLE, open=False):
        gr.HTML(NOTE)
        with gr.Row():
            worlds = gr.Slider(
                1, MAX_WORLDS, 3, step=1, label="Worlds: intervals need two or more", scale=4, min_width=200
            )
            seed = gr.Number(
                DEFAULTS.seed, label="Seed of the first", precision=0, minimum=0, scale=1, min_width=110
            )
            start = gr.Button("Train the policies", variant="primary", scale=2, min_width=150)
            stop = gr.Button("Stop training", variant="stop", scale=1, min_width=120, interactive=False)
        card = gr.HTML(idle_card(BEFORE_FIRST))
        with gr.Row():
            learned = gr.Plot(show_label=False, visible=False, min_width=320)
            told = gr.Plot(show_label=False, visible=False, min_width=320)
        table = gr.HTML()
    starting = start.click(lambda: (stop_enabled(True), None), None, [stop, result], **UNQUEUED)
    training = starting.then(
        partial(train_policies, session), [worlds, seed], [card, learned, told, table, result],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    training.then(partial(stop_enabled, False), None, stop, **UNQUEUED)
    wire_stop(stop, training, settled, result, [card, learned, told, table, stop])


def _frames(settings: PostTrainingSettings) -> Iterator[Frame]:
    points: list[PolicyPoint] = []
    n_total = settings.rounds * (1 + len(settings.graders))
    drawn_at = -SECONDS_PER_FRAME
    for point in run_post_training(settings):
        points.append(point)
        if time.monotonic() - drawn_at < SECONDS_PER_FRAME:
            continue
        n_done = len({(one.seed, one.policy) for one in points})
        result = PostTrainingResult(settings, tuple(points), {})
        message = f"World {point.seed - settings.seed + 1} of {settings.rounds}: {_policy_words(point)} …"
        shown: Frame = (gr.skip(),) * 3
        if _is_told(policy_table(result)):
            _, *shown_list = panels(result)
            shown = tuple(shown_list)
        yield progress_card(message, n_done, n_total), *shown, result
        drawn_at = time.monotonic()
    result = PostTrainingResult(settings, tuple(points), {})
    yield *panels(result), result


def _is_told(rows: Sequence[PolicyRow]) -> bool:
    """Whether at least one world is finished: the told policy is its last."""
    return any(row.policy == STATED for row in rows)


def _policy_words(point: PolicyPoint) -> str:
    if point.policy == BASE:
        return "before training"
    if point.policy == STATED:
        return "told the target"
    return (
        "binary grading"
        if point.policy == BINARY
        else f"graded at t = {point.policy.removeprefix('target ')}"
    )


def _share(over: OverWorlds) -> str:
    return MISSING if over.mean is None else percent(over.mean)


def _measured(over: OverWorlds) -> str:
    if over.mean is None:
        return MISSING
    if over.interval is None:
        return f"<b>{percent(over.mean)}</b>"
    low, high = 100 * over.interval.low, 100 * over.interval.high
    return f"<b>{percent(over.mean)}</b><small>{low:.1f} to {high:.1f} %</small>"


def _worlds(n: int) -> str:
    return f"{n} world{'s' * (n != 1)}"
