"""The Coins tab: chosen coins with their exact answers, and networks that learn to count heads live."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import gradio as gr
import numpy as np

from hallulab.data.coins import check_whole, flip_chosen, head_probabilities, labels_of
from hallulab.experiments.coin_events import CoinMoment
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_result import coin_result
from hallulab.experiments.coin_settings import VARIANTS, CoinSettings
from hallulab.experiments.coin_summary import run_json
from hallulab.experiments.coins import run_coins
from hallulab.records import as_plain
from hallulab.scoring.coin_rule import rule_of
from hallulab.scoring.coins import coin_pmf, judge_estimators
from hallulab.ui.parts.coin_cards import coins_sentence
from hallulab.ui.parts.coin_chips import CHIPS_ID, coin_choices
from hallulab.ui.parts.coin_decide import decide_again, settled, show_training
from hallulab.ui.parts.coin_drag import DELTA_ID, DRAG_SCRIPT, PMF_ID
from hallulab.ui.parts.coin_files import (
    EXPORTS,
    PMF_EXPORTS,
    SAVE_SCRIPT,
    exports_enabled,
    made_file,
    made_pmf_file,
)
from hallulab.ui.parts.coin_flips import FLIPS_PER_PRESS, SECONDS_PER_PICTURE
from hallulab.ui.parts.coin_line import BY_DELTA, BY_MASS, line_rule
from hallulab.ui.parts.coin_live import (
    MAX_SHOWN_COINS,
    NOT_TRAINED,
    paper_numbers,
    train_figure_3,
    train_live,
    training_device,
    variant_numbers,
    visitor_settings,
)
from hallulab.ui.parts.coin_look import CURVES_ID, FLIP_BUTTONS_ID, RUNS_ID, VERDICT_ID
from hallulab.ui.parts.coin_play import (
    FLIP_MANY,
    CoinChoice,
    first_coins,
    flip_many,
    flip_on,
    flip_once,
    offer_coins,
    show_coins,
    start_again,
)
from hallulab.ui.parts.coin_runs import NO_RUNS, shown_runs
from hallulab.ui.parts.controls import UNQUEUED, random_seed, stop_enabled, wire_stop
from hallulab.ui.parts.endpoints import serve_endpoint
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.progress import idle_card
from hallulab.ui.session import DEVICE, Session

DEFAULTS = CoinSettings()

INTRO = """
<p class="hl-note">Each coin lands heads with its own chance, so every number here is known exactly. The best
answer by squared error is the <b>average</b> number of heads, and an average may be a count that
<b>never happens</b>.</p>
"""
TRAINING_INTRO = """
<h3>Train networks to count heads</h3>
<p class="hl-note">They see which N coins were drawn and say how many heads will come up. Their loss falls to the least
possible, and what they say is an average, which mostly <b>cannot happen</b>; rounded, it stays wrong as often as the
exact numbers say it must. With N coins chosen above, the networks’ own answer moves on that figure while they learn.
</p>
"""
RUNS_TITLE = "<h3>Trainings of this visit</h3>"
FIGURE_3 = "Figure 3: N = 2, 3, 5 side by side"
FIGURE_3_NUMBERS = {
    "quick: 10 epochs in batches of 1,024": False,
    "the paper’s numbers: 20 epochs in batches of 64, 31 times as many steps": True,
}
"""what Figure 3 is trained with → whether as in the paper"""
HOW_TO_READ = f"""
- **Coin k** of the 2N lands heads with probability k/2N; its rim is lit that far round.
- **Bars:** the exact probability of each number of heads. Above the dashed line an answer is plausible; at or below
  it the answer is a hallucination.
- **{BY_DELTA.capitalize()}** sets that line by hand: drag it, or use the slider. **{BY_MASS}** sets it so that
  plausible counts hold that share of the flips. Either way everything on this page is decided again, trained networks
  included; none of them is asked again.
- **Why the output before rounding comes first.** The definition of a hallucination judges what minimises the loss, and
  that is the average itself. At δ = {DEFAULTS.delta:g} rounding repairs every draw for N = 2 to 5, so a picture of
  rounded answers alone would hide the point, and a line moved until they fail would be a picture of our choice. Move it
  yourself: at 0.4 with N = 3, rounding helps no longer everywhere.
- **Off the exact bars** is the total variation distance: the share of flips that would have to fall differently to
  match the bars. **Chance alone leaves** is its exact average for that many fair flips.
- **Right, hallucinates, squared error:** computed over every draw from the exact law, so nothing of them is luck with
  flips. The held-out number is the paper’s way to score.
- **Perfect:** what a network reaches that has learned all but the last digit. Where rounding jumps, it falls to either
  side.
- **Bands** are 95 % intervals of the mean over rounds: new flips, new initial weights. Rounds that agree have none.
- **fixed** gives the network one token per coin and rounds its prediction. **paper_code** does what the public code
  of the paper does: all labels in one token, dropout, rounding up, small batches and steps, and a scoring law that is
  one coin too low.
- **Cross-entropy** gives every count a probability, and can then answer with the most likely count, the rounded
  mean, or a sample.
"""


@dataclass(frozen=True)
class CoinsTab:
    """What other parts of the page may listen to."""

    coins: gr.CheckboxGroup
    results: gr.State
    """of the training on the page, one per N"""


def flip_coins(
    coins_per_draw: int = DEFAULTS.coins_per_draw,
    coins: list[int] | None = None,
    flips: int = FLIPS_PER_PRESS,
    seed: int = DEFAULTS.seed,
    delta: float | None = None,
    hdr_mass: float | None = None,
) -> dict[str, Any]:
    """Flip chosen coins and judge every way to answer "how many heads?" exactly.

    Coins are numbered from 1 to 2N, N of them by default; coin k lands heads with probability k/2N. An answer
    is judged by `delta`, or by `hdr_mass` when only that is given.
    """
    with shown_to_visitor():
        n = check_whole("coins per draw", coins_per_draw, 1, 64)
        flips, seed = check_whole("flips", flips, 0, 10_000_000), check_whole("seed", seed, 0, 2**32 - 1)
        numbers = first_coins(n) if coins is None else coins
        labels = labels_of(numbers, n)
        rule = rule_of(delta=delta, hdr_mass=hdr_mass)
        estimators = judge_estimators(labels, n, rule)
        counts = flip_chosen(labels, n, flips, rng=np.random.default_rng(seed))
    pmf = coin_pmf(labels, n)
    record = {
        "coins_per_draw": n,
        "coins": [int(label) + 1 for label in labels],
        "head_probabilities": head_probabilities(labels, n),
        "pmf": pmf,
        "flips": flips,
        "seed": seed,
        "counts": counts,
        "empirical_mean": float(counts @ np.arange(len(counts)) / flips) if flips else None,
        **asdict(rule),
        "threshold": float(np.exp(estimators[0].verdict.states[0].threshold)),
        "estimators": [
            {
                "name": estimator.name,
                "answer": estimator.answer,
                "conditional_probability": estimator.conditional_probability,
                **estimator.verdict.to_json(),
            }
            for estimator in estimators
        ],
        "sentence": coins_sentence(estimators),
    }
    return as_plain(record)


def train_as_shown(
    session: Session, judge_by: str, delta: float | None, hdr_mass: float, *values: Any
) -> Iterator[tuple[Any, ...]]:
    """Train by the line that the page shows; yields as `train_live`."""
    with shown_to_visitor():
        rule = line_rule(judge_by, delta, hdr_mass)
    yield from train_live(session, rule, *values)


def train_side_by_side(
    session: Session, judge_by: str, delta: float | None, hdr_mass: float, numbers: str, *values: Any
) -> Iterator[tuple[Any, ...]]:
    """Train Figure 3 by the line that the page shows; yields as `train_figure_3`."""
    with shown_to_visitor():
        rule = line_rule(judge_by, delta, hdr_mass)
    yield from train_figure_3(session, rule, FIGURE_3_NUMBERS.get(numbers, False), *values)


def train_endpoint(session: Session) -> Callable[..., dict[str, Any]]:
    """The function behind `/train_coins`; gradio reads its signature."""

    def train_coins(
        coins_per_draw: int = DEFAULTS.coins_per_draw,
        flips: int = DEFAULTS.flips,
        epochs: int = DEFAULTS.epochs,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        rounds: int = DEFAULTS.rounds,
        seed: int = DEFAULTS.seed,
        variant: str = DEFAULTS.variant,
        delta: float | None = None,
        hdr_mass: float | None = None,
        objective: str = DEFAULTS.objective,
    ) -> dict[str, Any]:
        """Train networks to count heads: the JSON of `hallulab coins`.

        Without a batch size or a learning rate it is the variant's own.
        """
        with shown_to_visitor():
            own = {"batch_size": batch_size, "learning_rate": learning_rate}
            settings = visitor_settings(
                rule_of(delta=delta, hdr_mass=hdr_mass), coins_per_draw=coins_per_draw,
                flips=flips, epochs=epochs, rounds=rounds, seed=seed, variant=variant, objective=objective,
                **{name: value for name, value in own.items() if value is not None},
            )  # fmt: skip
            with session.engine.job("coins"):
                events = run_coins(settings, device=training_device(session))
                moments = [event for event in events if isinstance(event, CoinMoment)]
        return as_plain(run_json(coin_result(settings, moments)))

    return train_coins


def build_coins_tab(session: Session) -> CoinsTab:
    """Lay the tab out and wire it."""
    n = DEFAULTS.coins_per_draw
    first = CoinChoice(n, first_coins(n), BY_DELTA, DEFAULTS.delta, DEFAULTS.hdr_mass, DEFAULTS.seed)
    card, table_html, figure, flips_html, chips_html = show_coins(None, (), *vars(first).values())
    tally, steps, results, runs = gr.State(), gr.State(()), gr.State(()), gr.State(())
    clock = gr.Timer(SECONDS_PER_PICTURE, active=False)
    gr.HTML(INTRO)
    with gr.Row():
        with gr.Column(scale=4, min_width=320):
            coins_per_draw = gr.Slider(
                1, MAX_SHOWN_COINS, n, step=1, label="N: coins per draw", info="There are 2N coins."
            )
            coins = gr.CheckboxGroup(
                coin_choices(n),
                value=first_coins(n),
                label="Click coins to choose them: each shows its chance of heads",
                elem_id=CHIPS_ID,
            )
            chips = gr.HTML(chips_html)
            with gr.Row(elem_id=FLIP_BUTTONS_ID):
                once = gr.Button("Flip once", size="md", scale=3, min_width=80)
                many = gr.Button(FLIP_MANY, size="md", variant="primary", scale=5, min_width=136)
                again = gr.Button("Clear", size="md", scale=3, min_width=80)
            flips_panel = gr.HTML(flips_html)
        with gr.Column(scale=6, min_width=320):
            verdict = gr.HTML(card, elem_id=VERDICT_ID)
            pmf = gr.Plot(figure, show_label=False, elem_id=PMF_ID)
            gr.HTML(js_on_load=DRAG_SCRIPT)
            delta = gr.Slider(
                0.01, 1, DEFAULTS.delta, step=0.01, elem_id=DELTA_ID,
                label="δ: at most this probable is a hallucination", info="Or drag the dashed line.",
            )  # fmt: skip
            hdr_mass = gr.Slider(
                0.05, 0.99, DEFAULTS.hdr_mass, step=0.01, visible=False,
                label="HDR mass: share of flips inside",
            )  # fmt: skip
            judge_by = gr.Radio([BY_DELTA, BY_MASS], value=BY_DELTA, label="Plausible is decided by")
            with gr.Row():
                pmf_exports = [
                    gr.Button(f"Save this figure as {kind}", size="sm", min_width=140) for kind in PMF_EXPORTS
                ]
    table = gr.HTML(table_html)
    gr.HTML(TRAINING_INTRO)
    with gr.Row():
        objective = gr.Radio(
            [(objective.title, name) for name, objective in OBJECTIVES.items()],
            value=DEFAULTS.objective, label="Objective: what training minimises", scale=5,
            min_width=320,
        )  # fmt: skip
        variant = gr.Radio(
            list(VARIANTS), value=DEFAULTS.variant, label="Variant", scale=3, min_width=320,
            info="paper_code repeats the public code, its slips included.",
        )  # fmt: skip
    with gr.Row():
        start = gr.Button("Train live", variant="primary", scale=3, min_width=140)
        figure_3 = gr.Button(FIGURE_3, scale=4, min_width=250)
        stop = gr.Button("Stop", variant="stop", scale=1, interactive=False, min_width=90)
    numbers = gr.Radio(
        list(FIGURE_3_NUMBERS), value=next(iter(FIGURE_3_NUMBERS)), label="Figure 3 trains with",
        info="Train live uses the N above and the settings below.",
    )  # fmt: skip
    with gr.Accordion("Training settings", open=False):
        with gr.Row():
            flips = gr.Number(DEFAULTS.flips, label="M: flips", precision=0, minimum=10, maximum=1_000_000)
            epochs = gr.Number(DEFAULTS.epochs, label="Epochs", precision=0, minimum=1, maximum=1_000)
            batch_size = gr.Number(DEFAULTS.batch_size, label="Batch size", precision=0, minimum=1)
        with gr.Row():
            learning_rate = gr.Number(DEFAULTS.learning_rate, label="Learning rate", step=1e-4)
            rounds = gr.Slider(1, 5, DEFAULTS.rounds, step=1, label="Rounds")
            seed = gr.Number(DEFAULTS.seed, label="Seed", precision=0, minimum=0)
        with gr.Row():
            new_seed = gr.Button("🎲 Random seed", size="sm")
            as_in_paper = gr.Button("The paper’s numbers (slower)", size="sm")
    status = gr.HTML(idle_card(NOT_TRAINED))
    curves = gr.Plot(show_label=False, visible=False, elem_id=CURVES_ID)
    summary = gr.HTML()
    with gr.Row():
        exports = [gr.Button(f"Save {kind}", size="sm", interactive=False, min_width=120) for kind in EXPORTS]
    file = gr.DownloadButton(visible=False)
    gr.HTML(RUNS_TITLE)
    runs_html = gr.HTML(NO_RUNS)
    runs_plot = gr.Plot(show_label=False, visible=False, elem_id=RUNS_ID)
    forget = gr.Button("Clear these trainings", size="sm", visible=False)
    with gr.Accordion("How to read this", open=False):
        gr.Markdown(HOW_TO_READ)
    with gr.Accordion("Receipt (JSON): everything that repeats this training", open=False):
        record = gr.JSON(show_label=False)

    line = [judge_by, delta, hdr_mass]
    chosen = [coins_per_draw, coins, *line, seed]
    shown, flipping = [tally, results, *chosen], [tally, steps, clock, many, pmf, flips_panel, chips]
    coins_per_draw.change(offer_coins, coins_per_draw, coins, **UNQUEUED)
    judge_by.change(
        lambda by: (gr.Slider(visible=by == BY_DELTA), gr.Slider(visible=by == BY_MASS)),
        judge_by, [delta, hdr_mass], **UNQUEUED,
    )  # fmt: skip
    moved = [judge_by.change, delta.change, hdr_mass.change]
    gr.on(
        [coins.change, seed.change, status.change, *moved],
        show_coins, shown, [verdict, table, pmf, flips_panel, chips],
        trigger_mode="always_last", **UNQUEUED,
    )  # fmt: skip
    once.click(flip_once, [tally, steps, results, *chosen], flipping, trigger_mode="multiple", **UNQUEUED)
    many.click(flip_many, [tally, steps, results, *chosen], flipping, **UNQUEUED)
    clock.tick(flip_on, [tally, steps, results, *chosen], flipping, **UNQUEUED)
    again.click(start_again, [results, *chosen], flipping, **UNQUEUED)

    new_seed.click(random_seed, None, seed, **UNQUEUED)
    variant.change(variant_numbers, variant, [batch_size, learning_rate], **UNQUEUED)
    as_in_paper.click(paper_numbers, None, [epochs, batch_size, learning_rate, rounds], **UNQUEUED)
    decided = [curves, summary, record, runs_html, runs_plot, forget]
    # every frame of a training changes the card; what is drawn of it is decided by the line as it is then
    status.change(show_training, [results, *line], [curves, summary], trigger_mode="always_last", **UNQUEUED)
    gr.on(moved, decide_again, [results, runs, *line], decided, trigger_mode="always_last", **UNQUEUED)
    left = [status, stop, runs, *decided, *exports]
    for button, train, inputs in (
        (
            start, train_as_shown,
            [*line, coins_per_draw, flips, epochs, batch_size, learning_rate, rounds, seed, variant, objective],
        ),
        (figure_3, train_side_by_side, [*line, numbers, seed, variant, objective]),
    ):  # fmt: skip
        starting = button.click(
            lambda: (stop_enabled(True), (), *exports_enabled(False)),
            None, [stop, results, *exports], **UNQUEUED,
        )  # fmt: skip
        training = starting.then(
            partial(train, session), inputs, [status, results],
            concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="hidden",
        )  # fmt: skip
        training.then(partial(stop_enabled, False), None, stop, **UNQUEUED)
        training.success(settled, [results, runs, *line], left, **UNQUEUED)
        wire_stop(stop, training, settled, [results, runs, *line], left)
    for kind, button in zip(EXPORTS, exports, strict=True):
        making = button.click(partial(made_file, kind, file.GRADIO_CACHE), [results, *line], file, **UNQUEUED)
        making.success(None, file, None, js=SAVE_SCRIPT, **UNQUEUED)
    for kind, button in zip(PMF_EXPORTS, pmf_exports, strict=True):
        drawing = button.click(partial(made_pmf_file, kind, file.GRADIO_CACHE), shown, file, **UNQUEUED)
        drawing.success(None, file, None, js=SAVE_SCRIPT, **UNQUEUED)
    forget.click(
        lambda *now: ((), *shown_runs((), line_rule(*now))), line, [runs, runs_html, runs_plot, forget],
        **UNQUEUED,
    )  # fmt: skip
    serve_endpoint(flip_coins, "flip_coins")
    serve_endpoint(train_endpoint(session), "train_coins", on_device=True)
    return CoinsTab(coins, results)
