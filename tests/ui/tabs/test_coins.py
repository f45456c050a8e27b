import base64
import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch

from hallulab.engine.job_queue import JobQueue
from hallulab.experiments.coin_result import CoinResult, coin_result
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.experiments.coin_summary import summary_table
from hallulab.scoring.coin_rule import CoinRule
from hallulab.scoring.coins import judge_estimators
from hallulab.ui.parts import coin_live
from hallulab.ui.parts.coin_cards import coins_sentence
from hallulab.ui.parts.coin_chips import chips_style, coin_choices, flips_panel
from hallulab.ui.parts.coin_decide import decide_again, settled, show_training
from hallulab.ui.parts.coin_files import EXPORTS, made_file, made_pmf_file
from hallulab.ui.parts.coin_flips import ANIMATED_TOTALS, FLIPS_PER_PRESS, CoinTally, animated_steps
from hallulab.ui.parts.coin_line import BY_DELTA, BY_MASS
from hallulab.ui.parts.coin_live import (
    FIGURE_3_PAPER,
    FIGURE_3_QUICK,
    MAX_STEPS,
    MAX_TRAINED,
    paper_numbers,
    training_device,
    variant_numbers,
)
from hallulab.ui.parts.coin_network import network_answers
from hallulab.ui.parts.coin_play import (
    FLIP_MANY,
    STOP_FLIPPING,
    first_coins,
    flip_many,
    flip_on,
    flip_once,
    offer_coins,
    show_coins,
    start_again,
)
from hallulab.ui.parts.coin_runs import MAX_RUNS, remembered, runs_figure, runs_table
from hallulab.ui.parts.coin_summaries import ended_card, summary_html, summary_sentence
from hallulab.ui.session import Session
from hallulab.ui.tabs.coins import (
    FIGURE_3_NUMBERS,
    build_coins_tab,
    flip_coins,
    train_as_shown,
    train_endpoint,
    train_side_by_side,
)
from tests.hand_made_coins import measured, moment, near_means

TALLY = CoinTally(2, (1, 3), seed=7)
LINE = (BY_DELTA, 0.3, 0.9)
NBSP = "\N{NO-BREAK SPACE}"


@pytest.fixture
def session():
    """A session whose engine is the queue and its device: coins need nothing else of it."""
    queue = JobQueue()
    return Session(SimpleNamespace(queue=queue, enter=queue.enter, job=queue.job, device=torch.device("cpu")))


def train(session, **changed):
    values = {
        "coins_per_draw": 2, "flips": 100, "epochs": 2, "batch_size": 16, "learning_rate": 1e-3, "rounds": 1,
        "seed": 0, "variant": "fixed", "objective": "squared_error",
    }  # fmt: skip
    return train_as_shown(session, *LINE, *(values | changed).values())


def refusal(call, *args, **kwargs):
    with pytest.raises(gr.Error) as caught:
        call(*args, **kwargs)
    return caught.value.message


def sentence(labels, coins_per_draw=2, delta=0.3):
    return coins_sentence(judge_estimators(labels, coins_per_draw, CoinRule(delta=delta)))


def chosen(coins=(2, 4), *, coins_per_draw=2, judge_by=BY_DELTA, delta=0.3, hdr_mass=0.9, seed=7):
    return coins_per_draw, list(coins), judge_by, delta, hdr_mass, seed


def trained(session, **changed):
    """The results of a small training."""
    return list(train(session, **changed))[-1][-1]


def test_coins_are_named_with_their_chance():
    assert coin_choices(3)[2] == ("coin 3\n50 %", 3)
    assert len(coin_choices(3)) == 6
    assert offer_coins(3).value == first_coins(3) == [2, 4, 5]


@pytest.mark.parametrize("coins_per_draw", range(2, 9))
def test_the_first_coins_have_an_average_that_never_happens(coins_per_draw):
    labels = [number - 1 for number in first_coins(coins_per_draw)]
    assert len(labels) == coins_per_draw
    assert "which can never happen" in sentence(labels, coins_per_draw)


def test_the_sentence_is_true():
    # p = 1/2 and 1: one head or two, equally often
    assert sentence([1, 3]) == (
        "The best possible squared-error answer is 1.5 heads, which can never happen. "
        "No answer is right more often than 1 head: 50.0 %."
    )
    # p = 1/4 and 3/4: 3/16, 10/16, 3/16; the mean is 1
    assert sentence([0, 2]).startswith(
        "The best possible squared-error answer is 1 head, which comes up 62.5 %"
    )
    assert sentence([1, 3], delta=0.5).endswith("so here every answer is a hallucination.")


def test_choosing_coins_decides_at_once():
    card, table, figure, flips, style = show_coins(None, (), *chosen())
    assert "✕ Hallucination" in card
    assert "1.5 heads, which can never happen" in card
    assert table.count("✓ plausible") == 3
    assert figure.layout.meta["delta"] == 0.3
    assert [note.text for note in figure.layout.annotations] == ["<b>average 1.5</b>: never happens"]
    assert "Not flipped yet" in flips
    assert "::after" not in style
    assert show_coins(None, (), *chosen(delta=0.5))[1].count("✕ hallucination") == 4
    _, by_mass, figure, *_ = show_coins(None, (), *chosen(judge_by=BY_MASS, delta=0.5))
    assert by_mass.count("✓ plausible") == 3
    assert figure.layout.meta is None  # no line to drag, so the figure says where it is
    assert any(note.text.startswith("δ = ") for note in figure.layout.annotations)


def test_no_coins_is_an_invitation_and_wrong_coins_a_refusal():
    card, table, figure, *_ = show_coins(None, (), *chosen([]))
    assert "Choose at least one coin" in card
    assert (table, figure) == ("", None)
    assert "from 1 to 4, got 5" in refusal(show_coins, None, (), *chosen([5]))
    assert "expected seed as a whole number" in refusal(show_coins, None, (), *chosen(seed=None))
    assert "Choose at least one coin to flip" in refusal(flip_once, None, (), (), *chosen([]))


def test_flips_are_one_stream_however_they_are_cut():
    at_once = TALLY.flipped(10_000)
    in_steps = TALLY
    for step in animated_steps():
        in_steps = in_steps.flipped(step)
    assert in_steps == at_once
    assert TALLY.flipped(1).flipped(2) == TALLY.flipped(3)
    # the endpoint flips the same coins the same way
    assert list(at_once.counts) == flip_coins(2, [2, 4], 10_000, seed=7)["counts"]
    assert CoinTally(2, (1, 3), seed=8).flipped(10_000) != at_once


def test_the_last_flip_is_the_one_that_was_counted():
    tally, counts = TALLY, np.zeros(3, dtype=int)
    assert tally.last_flip() == ()
    for _ in range(50):
        tally = tally.flipped(1)
        counts[sum(tally.last_flip())] += 1
    assert tuple(counts) == tally.counts
    assert 0 < counts[1] < 50  # coin 4 is sure, coin 2 is not


def test_one_flip_shows_how_each_coin_fell():
    tally, steps, clock, button, figure, flips, style = flip_once(None, (), (), *chosen())
    assert (tally, steps) == (TALLY.flipped(1), ())
    assert (clock.active, button.value) == (False, FLIP_MANY)
    assert "1 flip" in [trace.name for trace in figure.data]
    sides = ["heads" if heads else "tails" for heads in tally.last_flip()]
    assert f"coin 2 fell {sides[0]}, coin 4 fell heads" in flips
    assert f'label:nth-child(2)::after {{ content: "{sides[0]}"; }}' in style
    # the next flip names another animation, or it would not start again
    assert "hl-flip-1" in style
    assert "hl-flip-0" in flip_once(tally, (), (), *chosen())[-1]


def test_ten_thousand_flips_arrive_in_growing_pictures():
    tally, steps, clock, button, *_ = flip_many(None, (), (), *chosen())
    assert (clock.active, button.value) == (True, STOP_FLIPPING)
    totals = [tally.n_flips]
    while steps:
        tally, steps, clock, button, figure, *_ = flip_on(tally, steps, (), *chosen())
        totals.append(tally.n_flips)
    assert tuple(totals) == ANIMATED_TOTALS
    assert 12 <= len(totals) <= 20
    assert tally == TALLY.flipped(FLIPS_PER_PRESS)
    assert "10,000 flips" in [trace.name for trace in figure.data]
    assert (clock.active, button.value) == (False, FLIP_MANY)
    again = flip_many(tally, (), (), *chosen())[0]
    assert again.n_flips == FLIPS_PER_PRESS + 1  # goes on where it was


def test_flipping_stops_at_the_next_click_or_with_other_coins():
    tally, steps, *_ = flip_many(None, (), (), *chosen())
    tally, steps, *_ = flip_on(tally, steps, (), *chosen())
    kept, none, clock, button, *_ = flip_many(tally, steps, (), *chosen())
    assert (kept, none, clock.active, button.value) == (tally, (), False, FLIP_MANY)
    for others in (chosen([1, 4]), chosen([]), chosen(seed=8)):
        kept, none, clock, *_ = flip_on(tally, steps, (), *others)
        assert (kept, none, clock.active) == (tally, (), False)
    assert flip_once(tally, steps, (), *chosen())[:2] == (TALLY.flipped(3), ())
    unflipped, none, clock, _, _, flips, _ = start_again((), *chosen())
    assert (unflipped, none, clock.active) == (None, (), False)
    assert "Not flipped yet" in flips
    assert flip_once(tally, (), (), *chosen([1, 4]))[0].n_flips == 1


def test_the_distance_to_the_exact_bars_is_shown_beside_what_chance_leaves():
    # one fair coin, flipped twice: heads both times is off by 1/2, and chance alone leaves 1/4 on average
    panel = flips_panel([0.5, 0.5], CoinTally(1, (0,), 0, (0, 2)))
    assert "off the exact bars</dt><dd>50 %" in panel
    assert "chance alone leaves</dt><dd>25 %" in panel
    assert "average heads</dt><dd>1.000" in panel


def test_the_rim_of_a_coin_is_lit_as_far_as_its_chance():
    style = chips_style(2, None)
    assert "label:nth-child(3) { --p: 0.750; }" in style
    assert style.count("--p") == 4


def test_endpoint_flips_and_judges():
    record = flip_coins(2, [1, 4], 1000, seed=3)
    assert record == flip_coins(2, [1, 4], 1000, seed=3)
    assert record["pmf"] == [0, 0.75, 0.25]
    assert sum(record["counts"]) == 1000
    assert record["empirical_mean"] == pytest.approx(1.25, abs=0.06)
    answers = {e["name"]: (e["answer"], e["conditional_probability"], e["is_hallucination"])
               for e in record["estimators"]}  # fmt: skip
    assert answers["bayes_mean"] == (1.25, 0, True)
    assert answers["mode"] == (1, pytest.approx(0.75), False)
    assert record["estimators"][0]["max_log_density"] is None  # log 0
    assert flip_coins(hdr_mass=0.8)["delta"] is None
    assert flip_coins()["coins"] == [2, 4]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"coins_per_draw": 0}, "from 1 to 64, got 0"),
        ({"coins_per_draw": "two"}, "got 'two'"),
        ({"coins": []}, "expected at least one coin"),
        ({"coins": [9]}, "from 1 to 4, got 9"),
        ({"flips": -1}, "expected flips as a whole number"),
        ({"seed": 1.5}, "expected seed as a whole number"),
        ({"delta": 0.0}, "expected δ in"),
        ({"delta": "x"}, "expected δ as a number, got 'x'"),
        ({"delta": 0.3, "hdr_mass": 0.9}, "got both (0.3 and 0.9): choose the one"),
        ({"hdr_mass": 1.0}, "expected an HDR mass"),
    ],
)
def test_endpoint_refuses_in_one_sentence(options, words):
    assert words in refusal(flip_coins, **options)


def test_training_streams_and_ends_with_the_results(session, monkeypatch):
    monkeypatch.setattr(coin_live, "SECONDS_PER_FRAME", 0)
    frames = list(train(session, flips=20, rounds=2, epochs=1))
    assert "of 1, 2 rounds at once" in frames[0][0]
    card, (result,) = frames[-1]
    assert "Trained 1 epoch, 2 rounds: N = 2." in card
    assert isinstance(result, CoinResult)
    assert result.started_seeds == (0, 1)
    assert session.engine.queue.holder is None
    n_moments = [len(results[0].moments) for _, results in frames if results]
    assert n_moments == sorted(n_moments)


def test_figure_3_is_trained_side_by_side(session, monkeypatch):
    quick = {"flips": 20, "epochs": 1, "batch_size": 16, "learning_rate": 1e-3, "rounds": 1}
    monkeypatch.setattr(coin_live, "FIGURE_3_QUICK", quick)
    monkeypatch.setattr(coin_live, "SECONDS_PER_FRAME", 0)
    frames = list(
        train_side_by_side(session, *LINE, next(iter(FIGURE_3_NUMBERS)), 0, "fixed", "squared_error")
    )
    assert any("N = 3 (2 of 3): Epoch" in card for card, _ in frames)
    card, results = frames[-1]
    assert "Trained 1 epoch each: N = 2, 3 and 5." in card
    assert [result.settings.coins_per_draw for result in results] == [2, 3, 5]
    curves, summary = show_training(results, *LINE)
    assert {"N = 2", "N = 3", "N = 5"} <= {
        note["text"] for note in json.loads(curves.value["plot"])["layout"]["annotations"]
    }
    assert [f"<b>N = {n}</b>" in summary for n in (2, 3, 5)] == [True] * 3
    assert len(settled(results, (), *LINE)[2]) == 3  # runs of this visit


def test_the_papers_numbers_are_the_other_choice(session, monkeypatch):
    monkeypatch.setattr(coin_live, "FIGURE_3_PAPER", {"flips": 1})
    paper = next(name for name, as_in_paper in FIGURE_3_NUMBERS.items() if as_in_paper)
    training = train_side_by_side(session, *LINE, paper, 0, "fixed", "squared_error")
    assert "expected flips as a whole number from 10" in refusal(next, training)


def test_stop_frees_the_device_and_keeps_what_exists(session, monkeypatch):
    monkeypatch.setattr(coin_live, "SECONDS_PER_FRAME", 0)
    training = train(session, epochs=1000)
    for _, results in training:
        assert session.engine.queue.holder.label == "coins"
        if results and results[0].last_epoch:
            break
    training.close()
    assert session.engine.queue.holder is None
    card, stop, runs, curves, summary, record, *_ = settled(results, (), *LINE)
    assert "Stopped after" in card
    assert not stop.interactive
    assert curves.visible
    assert "hallucinates" in summary
    assert record[0]["rounds"]
    assert [run.settings for run in runs] == [results[0].settings]
    assert "Stopped before the first step" in settled((), (), *LINE)[0]


def test_a_run_without_a_finished_epoch_can_be_saved_and_says_nothing():
    begun = (coin_result(CoinSettings(epochs=3), [moment(0, 0, near_means(2))]),)
    card, _, runs, curves, summary, _, runs_html, plot, _, *buttons = settled(begun, (), *LINE)
    assert "Stopped after 0" in card
    assert (summary, curves.visible) == ("", True)
    assert "<td>" not in runs_html
    assert len(runs) == 1
    assert not plot.visible
    assert all(button.interactive for button in buttons)


def test_moving_the_line_decides_trained_networks_anew():
    """N = 3: at δ = 0.3 rounding repairs all; a hair above the averages two of twenty draws hallucinate at 0.4."""
    results = (measured(coins_per_draw=3),)
    runs = remembered((), results)
    summaries, tables = [], []
    for delta in (0.3, 0.4):
        curves, summary, record, runs_html, *_ = decide_again(results, runs, BY_DELTA, delta, 0.9)
        rates = [epoch["hallucination_rate"] for epoch in record[0]["rounds"][0]["epochs"]]
        assert rates[-1] == pytest.approx(0.0 if delta == 0.3 else 0.1)
        drawn = json.loads(curves.value["plot"])["data"]
        last = [trace["y"] for trace in drawn if trace["name"] == "hallucination rate"][-1]
        assert _decoded(last)[-1] == pytest.approx(rates[-1])
        summaries.append(summary)
        tables.append(runs_html)
    assert "At δ = 0.3 rounding repairs all of it" in summaries[0]
    assert "At δ = 0.4, <b>10.0 %</b> of the rounded answers hallucinate" in summaries[1]
    assert "<b>0.0 %</b>" in tables[0]
    assert "<b>10.0 %</b>" in tables[1]
    by_mass = decide_again(results, runs, BY_MASS, 0.3, 0.2)[1]
    assert "At HDR mass 0.2" in by_mass


def _decoded(values):
    """Numbers of a plotly trace, which packs arrays as base64."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])
    return values


def test_nothing_trained_nothing_decided():
    curves, summary, record, *_ = decide_again((), (), *LINE)
    assert (curves.visible, summary, record) == (False, "", None)


def test_the_networks_answer_the_coins_that_were_clicked():
    near, far = near_means(2, 0.02), near_means(2, 0.06)
    results = (coin_result(CoinSettings(epochs=1, rounds=2), [moment(0, 1, near), moment(1, 1, far)]),)
    # {2, 4} have the average 1.5; both networks are above it, so rounded they say 2
    found = network_answers(results, 2, [1, 3], CoinRule())
    assert found.unrounded == pytest.approx((1.52, 1.56), abs=1e-6)
    assert [(e.name, e.answer, e.verdict.is_hallucination) for e in found.judged] == [
        ("network_unrounded", pytest.approx(1.52), True), ("network_rounded", 2, False),
    ]  # fmt: skip
    _, table, figure, *_ = show_coins(None, results, *chosen())
    assert "a trained network, before rounding" in table
    assert "<b>2 networks 1.52 to 1.56</b>" in [note.text for note in figure.layout.annotations]


@pytest.mark.parametrize(("n", "labels"), [(3, [0, 1, 2]), (2, [0]), (2, [0, 1, 2])])
def test_networks_answer_draws_of_their_own_n_alone(n, labels):
    results = (coin_result(CoinSettings(epochs=1), [moment(0, 1, near_means(2))]),)
    assert network_answers(results, n, labels, CoinRule()).unrounded == ()
    assert network_answers((), 2, [1, 3], CoinRule()).unrounded == ()


def test_the_latest_moment_answers():
    moments = [moment(0, epoch, near_means(2, off)) for epoch, off in ((0, 0.4), (1, 0.1))]
    results = (coin_result(CoinSettings(epochs=2), moments),)
    assert network_answers(results, 2, [1, 3], CoinRule()).unrounded == pytest.approx((1.6,))


def test_an_output_that_is_no_number_is_not_judged():
    results = (coin_result(CoinSettings(epochs=1), [moment(0, 1, np.full(6, np.nan))]),)
    assert network_answers(results, 2, [1, 3], CoinRule()).judged == ()
    figure = show_coins(None, results, *chosen())[2]
    assert not [trace for trace in figure.data if "network" in trace.name]


def test_the_summary_holds_the_network_against_the_exact_values():
    result = measured(2)
    exact = result.exact["bayes_mean_rounded_either"]
    summary = summary_html((result,))
    assert "<b>100.0 %</b> of its answers are numbers of heads that can never happen (83.3 %" in summary
    assert f"<td>{100 * exact['conditional_probability']:.1f} %</td>" in summary
    assert f"<td>{exact['squared_error']:.3f}</td>" in summary
    assert "Mean of 2 rounds" in summary
    assert "all 6 draws, with no noise of flips" in summary
    assert "public code" not in summary
    by_public_code = summary_html((measured(1, variant="paper_code"),))
    assert "right, by the public code’s law" in by_public_code
    assert "One round, computed over" in by_public_code


def test_cross_entropy_shows_all_three_answers():
    summary = summary_html((measured(objective="cross_entropy"),))
    assert [title in summary for title in ("most likely count", "rounded mean", "a sample")] == [True] * 3
    assert summary.count("<td>right</td>") == 3


def test_answers_that_are_no_numbers_ask_for_a_lower_learning_rate():
    result = coin_result(CoinSettings(epochs=1), [moment(0, 1, np.full(6, np.nan))])
    assert "lower the learning rate" in summary_html((result,))
    assert "lower the learning rate" in summary_sentence(result, summary_table([result]))


def test_cards_say_what_ended_and_how():
    whole, stopped = measured(2), measured(2, epochs=9)
    stopped = coin_result(stopped.settings, stopped.moments[:4])
    assert "Trained 4 epochs, 2 rounds: N = 2." in ended_card((whole,), 1)
    assert "Stopped after 3 of 9 epochs, 2 rounds: N = 2. What exists stays." in ended_card((stopped,), 1)
    assert "Stopped" in ended_card((whole,), 3)


def test_runs_of_a_visit_stand_side_by_side():
    first, second = measured(), measured(variant="paper_code")
    runs = remembered(remembered((), (first,)), (second,))
    table = runs_table(runs)
    assert "N = 2, fixed" in table
    assert "N = 2, public code" in table
    assert f"{NBSP}points" in table  # paired with the first
    assert "against fixed" in table
    assert runs_figure(runs) is not None
    assert runs_figure(runs[:1]) is None
    other_n = measured(coins_per_draw=3)
    assert runs_figure((*runs, other_n)) is None  # rates of another N say nothing beside it
    again = remembered(runs, (first.judged_by(CoinRule(delta=0.5)),))
    assert [run.settings.variant for run in again] == [
        "paper_code",
        "fixed",
    ]  # takes the place of the earlier
    many = runs
    for seed in range(1, MAX_RUNS + 3):
        many = remembered(many, (measured(1, seed=seed),))
    assert len(many) == MAX_RUNS
    assert "Every training of this visit is kept here" in runs_table(())


def test_a_run_of_a_visit_keeps_its_last_epoch_alone():
    (kept,) = remembered((), (measured(2),))
    assert {found.epoch for found in kept.moments} == {found.epoch for found in kept.points} == {4}
    assert kept.last_points() == measured(2).last_points()


def test_exports_are_files_in_the_given_folder_judged_by_the_line(tmp_path):
    results = (measured(2), measured(2, coins_per_draw=3))
    files = {kind: Path(made_file(kind, str(tmp_path), results, BY_DELTA, 0.4, 0.9)) for kind in EXPORTS}
    assert [path.name for path in files.values()] == [
        "hallulab-coins.csv", "hallulab-coins.jsonl", "hallulab-coins.png", "hallulab-coins.svg",
    ]  # fmt: skip
    assert all(tmp_path in path.parents for path in files.values())
    rows = list(csv.DictReader(io.StringIO(files["CSV"].read_text())))
    lines = [json.loads(line) for line in files["JSON lines"].read_text().splitlines()]
    assert len(rows) == len(lines) == sum(len(result.points) for result in results)
    assert float(rows[-1]["epoch"]) == lines[-1]["epoch"] == 4
    assert (lines[-1]["delta"], lines[-1]["hallucination_rate"]) == (0.4, pytest.approx(0.1))
    assert files["PNG"].read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in files["SVG"].read_bytes()
    assert made_file("CSV", str(tmp_path), (), *LINE) is None


def test_the_figure_of_the_coins_can_be_saved(tmp_path):
    png = Path(made_pmf_file("PNG", str(tmp_path), None, (), *chosen()))
    assert (png.name, png.read_bytes()[:4]) == ("hallulab-pmf.png", b"\x89PNG")
    svg = Path(made_pmf_file("SVG", str(tmp_path), TALLY.flipped(4), (), *chosen()))
    assert "4 flips" in svg.read_text()
    assert "4 flips" not in Path(made_pmf_file("SVG", str(tmp_path), None, (), *chosen())).read_text()
    assert "Choose at least one coin to draw" in refusal(
        made_pmf_file, "PNG", str(tmp_path), None, (), *chosen([])
    )


def test_training_waits_its_turn(session):
    other = session.engine.enter("paint")
    training = train(session)
    assert "Waiting: 1 in front of you" in next(training)[0]
    other.leave()
    while "Waiting" in (frame := next(training))[0]:
        pass
    assert "Epoch 0.0 of 2" in frame[0]
    training.close()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"coins_per_draw": 9}, "from 1 to 8, got 9"),
        ({"flips": 5}, "expected flips as a whole number from 10"),
        ({"flips": None}, "expected flips as a whole number from 10 to 10,000,000, got None"),
        ({"learning_rate": None}, "expected a learning rate"),
        ({"learning_rate": "fast"}, "expected a learning rate"),
        ({"epochs": 1000, "flips": 20_000}, "at most 5,000,000 flips × epochs × rounds on this page"),
        (
            {"epochs": 100, "flips": 20_000, "batch_size": 1},
            "at most 65,000 flips × epochs × rounds / batch size",
        ),
        ({"variant": "mine"}, "expected variant fixed or paper_code"),
        ({"objective": "luck"}, "expected objective squared_error or"),
    ],
)
def test_training_refuses_in_one_sentence_and_leaves_the_device_free(session, changed, words):
    assert words in refusal(next, train(session, **changed))
    assert session.engine.queue.holder is None


def test_the_train_endpoint_gives_the_command_lines_json(session):
    record = train_endpoint(session)(
        flips=100.0, epochs=1, batch_size=16, variant="paper_code", hdr_mass=0.8, objective="modal", rounds=2
    )
    assert (record["variant"], record["flips"], record["delta"]) == ("paper_code", 100, None)
    assert record["objective"] == "modal"
    assert [len(found["epochs"]) for found in record["rounds"]] == [1, 1]
    assert record["exact"]["mode"]["conditional_probability"] == pytest.approx(0.6042, abs=5e-5)


def test_the_papers_numbers():
    assert paper_numbers() == (20, 64, 1e-4, 5)
    assert variant_numbers("paper_code") == (64, 1e-4)
    assert variant_numbers("fixed") == (256, 3e-4)


def test_networks_are_trained_on_the_engines_gpu_and_else_on_the_cpu(session):
    assert training_device(session) == "cpu"
    session.engine.device = torch.device("cuda", 1)
    assert training_device(session) == torch.device("cuda", 1)
    session.engine.device = torch.device("mps")
    assert training_device(session) == "cpu"


@pytest.mark.parametrize("flips", [20_000, 40_000])
def test_the_page_can_run_the_papers_numbers(flips):
    paper = CoinSettings(coins_per_draw=5, flips=flips).as_in_paper()
    assert paper.flips * paper.epochs * paper.rounds <= MAX_TRAINED
    assert paper.flips * paper.epochs * paper.rounds / paper.batch_size <= MAX_STEPS


def test_figure_3_is_within_what_one_visitor_may_train():
    for numbers in (FIGURE_3_QUICK, FIGURE_3_PAPER):
        n_trained = numbers["flips"] * numbers["epochs"] * numbers["rounds"]
        assert n_trained <= MAX_TRAINED
        assert n_trained / numbers["batch_size"] <= MAX_STEPS
    assert (FIGURE_3_PAPER["flips"], FIGURE_3_PAPER["epochs"], FIGURE_3_PAPER["batch_size"]) == (
        20_000,
        20,
        64,
    )


def test_wiring(session):
    with gr.Blocks() as page:
        tab = build_coins_tab(session)
    assert isinstance(tab.coins, gr.CheckboxGroup)
    by_name = {fn.api_name: fn for fn in page.fns.values() if fn.api_visibility == "public"}
    assert set(by_name) == {"flip_coins", "train_coins"}
    device = [fn for fn in page.fns.values() if fn.concurrency_id == "device"]
    assert len(device) == 3  # the two buttons and the endpoint
    assert [fn for fn in page.fns.values() if fn.cancels]
