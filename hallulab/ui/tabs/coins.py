"""The Coins tab: chosen coins with their exact answers, and a network that learns to count heads live."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import gradio as gr
import numpy as np
import plotly.graph_objects as go

from hallulab.data.coins import check_whole, flip_chosen, head_probabilities, labels_of
from hallulab.errors import RefusedInputError
from hallulab.experiments.coins import CoinPoint, CoinResult, CoinSettings, coin_result, coin_truth, run_coins
from hallulab.records import as_plain
from hallulab.reports.coin_figures import loss_figure, pmf_figure, probability_figure
from hallulab.scoring.coins import CoinRule, coin_pmf, judge_estimators
from hallulab.ui.parts.coin_cards import (
    coins_card,
    coins_sentence,
    estimator_table,
    result_card,
    result_table,
    training_card,
)
from hallulab.ui.parts.controls import UNQUEUED, random_seed, shown_plot, stop_enabled, wire_stop
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.session import DEVICE, Session

MAX_SHOWN_COINS = 8
"""the largest N whose 2N coins fit on a small screen"""
FLIPS_PER_PRESS = 10_000
MAX_TRAINED_COINS, MAX_TRAINED, MAX_STEPS = MAX_SHOWN_COINS, 5_000_000, 50_000
"""coins per draw, flips × epochs × rounds, and those per batch, that one visitor may train with"""
TRAINING_FIELDS = (
    "coins_per_draw", "flips", "epochs", "batch_size", "learning_rate", "rounds", "seed", "variant",
)  # fmt: skip
"""settings in the order in which the page sends them"""
SECONDS_PER_FRAME = 0.7
"""how often the curves are drawn anew while training"""
BY_DELTA, BY_MASS = "probability δ", "HDR mass"
DEFAULTS = CoinSettings()

INTRO = """
<p class="hl-note">Each coin lands heads with its own probability, so every number here is known exactly. The best
answer by squared error is the <b>average</b> number of heads, and an average may be a count that
<b>never happens</b>.</p>
"""
TRAINING_INTRO = """
<h3>Train a network to count heads</h3>
<p class="hl-note">It sees which N coins were drawn and predicts the number of heads. Its loss reaches the least
possible, and its answers are still wrong as often as the exact numbers say they must be.</p>
"""
HOW_TO_READ = f"""
- **Coin k** of the 2N lands heads with probability k/2N.
- **Bars:** the exact probability of each number of heads. Above the dashed line an answer is plausible; at or below
  it the answer is a hallucination.
- **{BY_DELTA.capitalize()}** sets that line by hand; **{BY_MASS}** sets it so that plausible counts hold it.
- **P(its answer is right):** the exact probability of the network’s answer, averaged over flips kept from training.
  They are a sample, so the curve may end a hair above or below the exact line, the average over all draws.
- **fixed** gives the network one token per coin and rounds its prediction. **paper_code** does what the public code
  of the paper does: all labels in one token, rounding up, and a scoring law that is one coin too low.
"""


@dataclass(frozen=True)
class CoinsTab:
    """What other parts of the page may listen to."""

    coins: gr.CheckboxGroup
    result: gr.State


def coin_choices(coins_per_draw: int) -> list[tuple[str, int]]:
    """The 2N coins with their probability of heads, numbered from 1."""
    return [
        (f"coin {label + 1} · heads {probability:.0%}".replace("%", " %"), label + 1)
        for label, probability in enumerate(head_probabilities(range(2 * coins_per_draw), coins_per_draw))
    ]


def first_coins(coins_per_draw: int) -> list[int]:
    """N coins to start with, whose average number of heads is not whole."""
    coins = list(range(2, 2 * coins_per_draw + 1, 2))
    return coins if coins_per_draw % 2 == 0 else [*coins[:-1], 2 * coins_per_draw - 1]


def offer_coins(coins_per_draw: float) -> Any:
    """The coins of another N, with N of them chosen."""
    n = int(coins_per_draw)
    return gr.CheckboxGroup(choices=coin_choices(n), value=first_coins(n))


def show_coins(
    coins_per_draw: float,
    coins: Sequence[int],
    judge_by: str,
    delta: float | None,
    hdr_mass: float,
    flipped: Any,
) -> tuple[str, go.Figure | None, str]:
    """Sentence, pmf and table of the chosen coins; what `flip_more` kept is drawn if it is of these coins."""
    if not coins:
        return idle_card("Choose at least one coin."), None, ""
    with shown_to_visitor():
        rule = _rule(judge_by, delta, hdr_mass)
        labels = labels_of(coins, int(coins_per_draw))
        estimators = judge_estimators(labels, int(coins_per_draw), rule)
    pmf = coin_pmf(labels, int(coins_per_draw))
    counts = flipped["counts"] if flipped and flipped["of"] == [coins_per_draw, *labels.tolist()] else None
    return (
        coins_card(estimators),
        pmf_figure(pmf, estimators, flipped=counts),
        estimator_table(estimators),
    )


def flip_more(coins_per_draw: float, coins: Sequence[int], seed: float, flipped: Any, *, flips: int) -> Any:
    """The counts so far with `flips` more flips of the same coins; each press continues the seed's flips."""
    if not coins:
        raise gr.Error("Choose at least one coin to flip.", print_exception=False)
    with shown_to_visitor():
        labels = labels_of(coins, int(coins_per_draw))
        seed = check_whole("seed", seed, 0, 2**32 - 1)
    of = [coins_per_draw, *labels.tolist()]
    before = np.array(flipped["counts"] if flipped and flipped["of"] == of else [0] * (len(labels) + 1))
    rng = np.random.default_rng([seed, int(before.sum())])
    return {"of": of, "counts": (before + flip_chosen(labels, int(coins_per_draw), flips, rng=rng)).tolist()}


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
        rule = _endpoint_rule(delta, hdr_mass)
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


def train_live(
    session: Session, judge_by: str, delta: float | None, hdr_mass: float, *values: Any
) -> Iterator[tuple[Any, ...]]:
    """Train and yield (card, loss curve, probability curve, table, record, result); closing it stops it.

    Args:
        values: what the visitor set, in the order of `TRAINING_FIELDS`.
    """
    with shown_to_visitor():
        chosen = dict(zip(TRAINING_FIELDS, values, strict=True))
        yield from _frames(session, _visitor_settings(_rule(judge_by, delta, hdr_mass), **chosen))


def train_endpoint(session: Session) -> Callable[..., dict[str, Any]]:
    """The function behind `/train_coins`; gradio reads its signature."""

    def train_coins(
        coins_per_draw: int = DEFAULTS.coins_per_draw,
        flips: int = DEFAULTS.flips,
        epochs: int = DEFAULTS.epochs,
        batch_size: int = DEFAULTS.batch_size,
        learning_rate: float = DEFAULTS.learning_rate,
        rounds: int = DEFAULTS.rounds,
        seed: int = DEFAULTS.seed,
        variant: str = DEFAULTS.variant,
        delta: float | None = None,
        hdr_mass: float | None = None,
    ) -> dict[str, Any]:
        """Train a network to count heads: the JSON of `hallulab coins`."""
        with shown_to_visitor():
            settings = _visitor_settings(
                _endpoint_rule(delta, hdr_mass), coins_per_draw=coins_per_draw, flips=flips, epochs=epochs,
                batch_size=batch_size, learning_rate=learning_rate, rounds=rounds, seed=seed, variant=variant,
            )  # fmt: skip
            with session.engine.job("coins"):
                points = [event for event in run_coins(settings) if isinstance(event, CoinPoint)]
        return as_plain(coin_result(settings, points).to_json())

    return train_coins


def stopped(result: CoinResult | None) -> tuple[Any, ...]:
    """After Stop: what was trained so far stays on the page."""
    if result is None or not result.points:
        return idle_card("Stopped before the first step."), stop_enabled(False)
    last = result.points[-1]
    return (
        result_card(result, f"Stopped after {last.epoch:.2g} of {result.settings.epochs} epochs. So far:"),
        stop_enabled(False),
    )


def paper_numbers() -> tuple[int, int, float, int]:
    """Epochs, batch size, learning rate and rounds of the paper."""
    paper = DEFAULTS.as_in_paper()
    return paper.epochs, paper.batch_size, paper.learning_rate, paper.rounds


def build_coins_tab(session: Session) -> CoinsTab:
    """Lay the tab out and wire it."""
    n = DEFAULTS.coins_per_draw
    card, figure, table_html = show_coins(
        n, first_coins(n), BY_DELTA, DEFAULTS.delta, DEFAULTS.hdr_mass, None
    )
    flipped, result = gr.State(), gr.State()
    gr.HTML(INTRO)
    with gr.Row():
        with gr.Column(scale=4, min_width=320):
            coins_per_draw = gr.Slider(
                1, MAX_SHOWN_COINS, n, step=1, label="N: coins per draw", info="There are 2N coins."
            )
            coins = gr.CheckboxGroup(coin_choices(n), value=first_coins(n), label="Coins to flip: click them")
            with gr.Row():
                flip_once = gr.Button("Flip once", size="md")
                flip_many = gr.Button(f"Flip {FLIPS_PER_PRESS:,} times", size="md")
            judge_by = gr.Radio([BY_DELTA, BY_MASS], value=BY_DELTA, label="Plausible is decided by")
            delta = gr.Slider(
                0.01, 1, DEFAULTS.delta, step=0.01, label="δ: at most this probable is a hallucination"
            )
            hdr_mass = gr.Slider(
                0.05, 0.99, DEFAULTS.hdr_mass, step=0.01, visible=False,
                label="HDR mass: share of flips inside",
            )  # fmt: skip
        with gr.Column(scale=6, min_width=320):
            sentence = gr.HTML(card)
            pmf = gr.Plot(figure, show_label=False)
            table = gr.HTML(table_html)
    gr.HTML(TRAINING_INTRO)
    with gr.Row():
        variant = gr.Radio(
            ["fixed", "paper_code"], value=DEFAULTS.variant, label="Variant", scale=3,
            info="paper_code repeats the public code, its slips included.",
        )  # fmt: skip
        start = gr.Button("Train live", variant="primary", scale=2)
        stop = gr.Button("Stop", variant="stop", scale=1, interactive=False)
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
    status = gr.HTML(idle_card("Not trained yet: press “Train live”."))
    with gr.Row():
        with gr.Column(min_width=320):
            loss = gr.Plot(show_label=False, visible=False)
        with gr.Column(min_width=320):
            probability = gr.Plot(show_label=False, visible=False)
    totals = gr.HTML()
    with gr.Accordion("How to read this", open=False):
        gr.Markdown(HOW_TO_READ)
    with gr.Accordion("Receipt (JSON): everything that repeats this training", open=False):
        record = gr.JSON(show_label=False)

    chosen = [coins_per_draw, coins, judge_by, delta, hdr_mass, flipped]
    coins_per_draw.change(offer_coins, coins_per_draw, coins, **UNQUEUED)
    judge_by.change(
        lambda by: (gr.Slider(visible=by == BY_DELTA), gr.Slider(visible=by == BY_MASS)),
        judge_by, [delta, hdr_mass], **UNQUEUED,
    )  # fmt: skip
    gr.on(
        [coins.change, judge_by.change, delta.change, hdr_mass.change],
        show_coins, chosen, [sentence, pmf, table], trigger_mode="always_last", **UNQUEUED,
    )  # fmt: skip
    for button, n_flips in ((flip_once, 1), (flip_many, FLIPS_PER_PRESS)):
        flipping = button.click(
            partial(flip_more, flips=n_flips), [coins_per_draw, coins, seed, flipped], flipped, **UNQUEUED
        )
        flipping.success(show_coins, chosen, [sentence, pmf, table], **UNQUEUED)
    new_seed.click(random_seed, None, seed, **UNQUEUED)
    as_in_paper.click(paper_numbers, None, [epochs, batch_size, learning_rate, rounds], **UNQUEUED)
    starting = start.click(lambda: (stop_enabled(True), None), None, [stop, result], **UNQUEUED)
    training = starting.then(
        partial(train_live, session),
        [
            judge_by, delta, hdr_mass,
            coins_per_draw, flips, epochs, batch_size, learning_rate, rounds, seed, variant,
        ],
        [status, loss, probability, totals, record, result],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    training.then(partial(stop_enabled, False), None, stop, **UNQUEUED)
    wire_stop(stop, training, stopped, result, [status, stop])
    gr.api(flip_coins, api_name="flip_coins")
    gr.api(train_endpoint(session), api_name="train_coins", concurrency_id=DEVICE, concurrency_limit=1)
    return CoinsTab(coins, result)


def _frames(session: Session, settings: CoinSettings) -> Iterator[tuple[Any, ...]]:
    with session.engine.enter("coins") as ticket:
        for position in ticket.positions():
            yield (progress_card(f"Waiting: {position} in front of you."), *_unchanged(5))
        points: list[CoinPoint] = []
        exact = coin_truth(settings)
        drawn_at = -SECONDS_PER_FRAME
        for event in run_coins(settings):
            if isinstance(event, CoinPoint):
                points.append(event)
            if time.monotonic() - drawn_at >= SECONDS_PER_FRAME:
                yield _frame(CoinResult(settings, tuple(points), exact), training_card(settings, event))
                drawn_at = time.monotonic()
    result = CoinResult(settings, tuple(points), exact)
    yield _frame(result, result_card(result, "Trained:"))


def _frame(result: CoinResult, card: str) -> tuple[Any, ...]:
    """All panels of a training as far as it has come."""
    return (
        card, shown_plot(loss_figure(result)), shown_plot(probability_figure(result)),
        result_table(result),
        as_plain(result.to_json()), result,
    )  # fmt: skip


def _unchanged(n: int) -> tuple[Any, ...]:
    return tuple(gr.skip() for _ in range(n))


def _visitor_settings(rule: CoinRule, **values: Any) -> CoinSettings:
    """Settings from what a visitor sent; refused when they would hold the device for long."""
    check_whole("coins per draw on this page", values["coins_per_draw"], 1, MAX_TRAINED_COINS)
    # JSON and sliders may write a whole number as 2.0
    whole: dict[str, Any] = {
        name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in values.items()
    }
    settings = CoinSettings(**whole, delta=rule.delta, hdr_mass=rule.hdr_mass)
    n_trained = settings.flips * settings.epochs * settings.rounds
    for n, most, what in (
        (n_trained, MAX_TRAINED, "flips × epochs × rounds"),
        (n_trained // settings.batch_size, MAX_STEPS, "flips × epochs × rounds / batch size"),
    ):
        if n > most:
            raise RefusedInputError(
                f"expected at most {most:,} {what} on this page, got {n:,}: lower one, or use the command line"
            )
    return settings


def _rule(judge_by: str, delta: float | None, hdr_mass: float) -> CoinRule:
    return CoinRule(hdr_mass, delta if judge_by == BY_DELTA else None)


def _endpoint_rule(delta: float | None, hdr_mass: float | None) -> CoinRule:
    """`delta` if given, else `hdr_mass` if given, else the defaults."""
    by_mass = delta is None and hdr_mass is not None
    return CoinRule(
        DEFAULTS.hdr_mass if hdr_mass is None else hdr_mass,
        None if by_mass else DEFAULTS.delta if delta is None else delta,
    )
