from types import SimpleNamespace

import gradio as gr
import pytest

from hallulab.engine.job_queue import JobQueue
from hallulab.experiments.coins import CoinResult, CoinSettings
from hallulab.scoring.coins import CoinRule, judge_estimators
from hallulab.ui.parts.coin_cards import coins_sentence
from hallulab.ui.session import Session
from hallulab.ui.tabs import coins
from hallulab.ui.tabs.coins import (
    BY_DELTA,
    BY_MASS,
    build_coins_tab,
    coin_choices,
    first_coins,
    flip_coins,
    flip_more,
    offer_coins,
    paper_numbers,
    show_coins,
    stopped,
    train_endpoint,
    train_live,
)


@pytest.fixture
def session():
    """A session whose engine is the queue alone: coins need nothing else of it."""
    queue = JobQueue()
    return Session(SimpleNamespace(queue=queue, enter=queue.enter, job=queue.job))


def train(session, **changed):
    values = {
        "coins_per_draw": 2, "flips": 100, "epochs": 2, "batch_size": 16, "learning_rate": 1e-3, "rounds": 1,
        "seed": 0, "variant": "fixed",
    }  # fmt: skip
    return train_live(session, BY_DELTA, 0.3, 0.9, *(values | changed).values())


def refusal(call, *args, **kwargs):
    with pytest.raises(gr.Error) as caught:
        call(*args, **kwargs)
    return caught.value.message


def sentence(labels, coins_per_draw=2, delta=0.3):
    return coins_sentence(judge_estimators(labels, coins_per_draw, CoinRule(delta=delta)))


def test_coins_are_named_with_their_probability():
    assert coin_choices(3)[2] == ("coin 3 · heads 50 %", 3)
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
        "No answer is right more often than 1 head: 50 %."
    )
    # p = 1/4 and 3/4: 3/16, 10/16, 3/16; the mean is 1
    assert sentence([0, 2]).startswith(
        "The best possible squared-error answer is 1 head, which comes up 62.5 %"
    )
    assert sentence([1, 3], delta=0.5).endswith("so here every answer is a hallucination.")


def test_choosing_coins_decides_at_once():
    card, figure, table = show_coins(2, [2, 4], BY_DELTA, 0.3, 0.9, None)
    assert "✕ Hallucination" in card
    assert "1.5 heads, which can never happen" in card
    assert table.count("✓ plausible") == 3
    assert figure is not None
    _, _, strict = show_coins(2, [2, 4], BY_DELTA, 0.5, 0.9, None)
    assert strict.count("✕ hallucination") == 4
    _, _, by_mass = show_coins(2, [2, 4], BY_MASS, 0.5, 0.9, None)
    assert by_mass.count("✓ plausible") == 3


def test_no_coins_is_an_invitation_and_wrong_coins_a_refusal():
    card, figure, table = show_coins(2, [], BY_DELTA, 0.3, 0.9, None)
    assert "Choose at least one coin" in card
    assert (figure, table) == (None, "")
    assert "from 1 to 4, got 5" in refusal(show_coins, 2, [5], BY_DELTA, 0.3, 0.9, None)
    assert "Choose at least one coin to flip" in refusal(flip_more, 2, [], 0, None, flips=1)


def test_flips_add_up_until_the_coins_change():
    once = flip_more(2, [2, 4], 7, None, flips=1)
    assert sum(once["counts"]) == 1
    many = flip_more(2, [2, 4], 7, once, flips=10_000)
    assert sum(many["counts"]) == 10_001
    assert many == flip_more(2, [2, 4], 7, once, flips=10_000)
    assert "10,001 flips" in [t.name for t in show_coins(2, [2, 4], BY_DELTA, 0.3, 0.9, many)[1].data]
    assert sum(flip_more(2, [1, 4], 7, many, flips=1)["counts"]) == 1
    assert not [t for t in show_coins(2, [1, 4], BY_DELTA, 0.3, 0.9, many)[1].data if "flips" in t.name]


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
        ({"hdr_mass": 1.0}, "expected an HDR mass"),
    ],
)
def test_endpoint_refuses_in_one_sentence(options, words):
    assert words in refusal(flip_coins, **options)


def test_training_streams_and_ends_with_the_result(session, monkeypatch):
    monkeypatch.setattr(coins, "SECONDS_PER_FRAME", 0)
    frames = list(train(session, flips=20, rounds=2, epochs=1))
    # 16 training flips are one batch of 16: each round is an untrained point, a step and a point; then the end
    assert len(frames) == 2 * 3 + 1
    assert "Round 1 of 2, epoch 0.0 of 1" in frames[0][0]
    assert "Trained: the network’s answer is right" in frames[-1][0]
    _, loss, probability, table, record, result = frames[-1]
    assert loss.visible
    assert probability.visible
    assert "network, seed 1" in table
    assert [len(r["epochs"]) for r in record["rounds"]] == [1, 1]
    assert isinstance(result, CoinResult)
    assert session.engine.queue.holder is None


def test_stop_frees_the_device_and_keeps_what_exists(session, monkeypatch):
    monkeypatch.setattr(coins, "SECONDS_PER_FRAME", 0)
    training = train(session, epochs=1000)
    results = [next(training)[-1] for _ in range(3)]
    assert session.engine.queue.holder.label == "coins"
    training.close()
    assert session.engine.queue.holder is None
    card, _ = stopped(results[-1])
    assert "Stopped after" in card
    assert "the network’s answer is right" in card
    assert "Stopped before the first step" in stopped(None)[0]


def test_training_waits_its_turn(session):
    other = session.engine.enter("paint")
    training = train(session)
    assert "Waiting: 1 in front of you" in next(training)[0]
    other.leave()
    while "Waiting" in (frame := next(training))[0]:
        pass
    assert "epoch 0.0 of 2" in frame[0]
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
            "at most 50,000 flips × epochs × rounds / batch size",
        ),
        ({"variant": "mine"}, "expected variant fixed or paper_code"),
    ],
)
def test_training_refuses_in_one_sentence_and_leaves_the_device_free(session, changed, words):
    assert words in refusal(next, train(session, **changed))
    assert session.engine.queue.holder is None


def test_the_train_endpoint_gives_the_command_lines_json(session):
    record = train_endpoint(session)(flips=100.0, epochs=1, batch_size=16, variant="paper_code", hdr_mass=0.8)
    assert (record["variant"], record["flips"], record["delta"]) == ("paper_code", 100, None)
    assert len(record["rounds"][0]["epochs"]) == 1
    assert record["exact"]["mode"]["conditional_probability"] == pytest.approx(0.6042, abs=5e-5)


def test_the_papers_numbers():
    assert paper_numbers() == (20, 64, 1e-4, 5)


def test_the_page_can_run_the_papers_numbers():
    paper = CoinSettings(coins_per_draw=5).as_in_paper()
    assert paper.flips * paper.epochs * paper.rounds <= coins.MAX_TRAINED
    assert paper.flips * paper.epochs * paper.rounds / paper.batch_size <= coins.MAX_STEPS


def test_wiring(session):
    with gr.Blocks() as page:
        tab = build_coins_tab(session)
    assert isinstance(tab.coins, gr.CheckboxGroup)
    by_name = {fn.api_name: fn for fn in page.fns.values() if fn.api_visibility == "public"}
    assert set(by_name) == {"flip_coins", "train_coins"}
    device = [fn for fn in page.fns.values() if fn.concurrency_id == "device"]
    assert len(device) == 2  # the button and the endpoint
    assert [fn for fn in page.fns.values() if fn.cancels]
