import json
from dataclasses import replace

import pytest

from hallulab.errors import RefusedInputError
from hallulab.experiments import coin_round, coins
from hallulab.experiments.coins import (
    CoinPoint,
    CoinSettings,
    CoinStep,
    coin_grid,
    coin_result,
    coin_truth,
    read_runs,
    records_path,
    run_coin_grid,
    run_coins,
)
from hallulab.records import RecordFile, as_plain
from hallulab.scoring.coin_exact import exact_scores


def settings(**changed):
    quick = {"flips": 320, "epochs": 2, "batch_size": 64, "learning_rate": 1e-3, "rounds": 2}
    return CoinSettings(**(quick | changed))


def points_of(events):
    return [event for event in events if isinstance(event, CoinPoint)]


def by_moment(points):
    return sorted(points, key=lambda point: (point.seed, point.epoch))


@pytest.fixture(scope="module")
def two_rounds(tmp_path_factory):
    """One small run that several tests read, and the file it was recorded in."""
    records = RecordFile(tmp_path_factory.mktemp("run") / "coins.jsonl")
    chosen = settings()
    return chosen, list(run_coins(chosen, records=records)), records


@pytest.fixture
def trained(monkeypatch):
    """The seeds that were really trained, in order."""
    seeds = []
    train_rounds = coins.train_rounds

    def remembering(chosen, asked, **kwargs):
        seeds.extend(asked)
        return train_rounds(chosen, asked, **kwargs)

    monkeypatch.setattr(coins, "train_rounds", remembering)
    return seeds


def test_every_point_of_every_round_streams(two_rounds):
    _, events, _ = two_rounds
    assert [(p.seed, p.epoch) for p in by_moment(points_of(events))] == [
        (seed, quarter / 4) for seed in (0, 1) for quarter in range(9)
    ]


def test_closing_the_run_stops_it():
    run = run_coins(settings(epochs=10_000))
    events = [next(run) for _ in range(5)]
    run.close()
    assert points_of(events)
    assert list(run) == []


def test_a_killed_run_trains_the_unfinished_rounds_again(tmp_path, two_rounds, trained):
    chosen, events, _ = two_rounds
    records = RecordFile(records_path(tmp_path, chosen))
    finished = list(run_coins(replace(chosen, rounds=1), records=records))
    killed = run_coins(chosen, records=records)
    for event in killed:
        if isinstance(event, CoinPoint) and event.seed == 1 and event.epoch > 1:
            break
    killed.close()
    trained.clear()
    again = list(run_coins(chosen, records=records))
    assert trained == [1]
    assert by_moment(points_of(again))[:9] == points_of(finished)
    assert [(p.seed, p.epoch) for p in by_moment(points_of(again))] == [
        (p.seed, p.epoch) for p in by_moment(points_of(events))
    ]
    # what the killed round left is not counted twice
    assert len(read_runs(tmp_path)[0].points) == 18


@pytest.mark.parametrize("variant", ["fixed", "paper_code"])
def test_a_killed_round_goes_on_from_its_last_state(variant, tmp_path, monkeypatch):
    monkeypatch.setattr(coin_round, "SECONDS_PER_STATE", 0)
    chosen = settings(epochs=4, rounds=2, points_per_epoch=1, variant=variant)
    unbroken = by_moment(points_of(run_coins(chosen)))
    records = RecordFile(records_path(tmp_path, chosen))
    killed = run_coins(chosen, records=records)
    for event in killed:
        if isinstance(event, CoinPoint) and event.epoch == 3:
            break
    killed.close()
    kept = {path.name for path in tmp_path.glob("*.safetensors")}
    assert kept == {f"coins-N2-{variant}-squared_error-seed{seed}.safetensors" for seed in (0, 1)}
    again = list(run_coins(chosen, records=records))
    assert min(event.epoch for event in again if isinstance(event, CoinStep)) > 1
    for resumed, whole in zip(by_moment(points_of(again)), unbroken, strict=True):
        assert (resumed.seed, resumed.epoch, resumed.n) == (whole.seed, whole.epoch, whole.n)
        assert resumed.validation_loss == pytest.approx(whole.validation_loss, rel=2e-3)
    assert not list(tmp_path.glob("*.safetensors"))
    assert read_runs(tmp_path)[0].points == tuple(by_moment(points_of(again)))


def test_a_state_ahead_of_its_records_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(coin_round, "SECONDS_PER_STATE", 0)
    chosen = settings(epochs=3, rounds=1, points_per_epoch=1)
    records = RecordFile(records_path(tmp_path, chosen))
    killed = run_coins(chosen, records=records)
    for event in killed:
        if isinstance(event, CoinPoint) and event.epoch == 3:
            break
    killed.close()
    shorter = [line for line in records.path.read_text().splitlines() if '"epoch": 2' not in line]
    records.path.write_text("\n".join(line for line in shorter if '"epoch": 3' not in line) + "\n")
    again = points_of(run_coins(chosen, records=records))
    assert [point.epoch for point in again] == [0, 1, 2, 3]


def test_a_round_killed_between_two_answers_is_not_finished(tmp_path, trained):
    chosen = settings(objective="cross_entropy", rounds=1, epochs=1)
    whole, torn = RecordFile(tmp_path / "whole.jsonl"), RecordFile(tmp_path / "torn.jsonl")
    list(run_coins(chosen, records=whole))
    for record in whole.read()[:-1]:
        torn.append(record)
    trained.clear()
    list(run_coins(chosen, records=whole))
    assert trained == []
    list(run_coins(chosen, records=torn))
    assert trained == [0]


def test_a_finished_run_is_not_run_again(two_rounds, trained):
    chosen, events, records = two_rounds
    again = list(run_coins(chosen, records=records))
    assert again == by_moment(points_of(events))
    assert trained == []
    header = records.read()[0]
    assert header["versions"]["torch"]
    assert header["settings"]["flips"] == 320


def test_rounds_can_be_added(tmp_path, trained):
    chosen = settings(epochs=1, rounds=1)
    records = RecordFile(records_path(tmp_path, chosen))
    list(run_coins(chosen, records=records))
    added = points_of(run_coins(replace(chosen, rounds=3), records=records))
    assert trained == [0, 1, 2]
    assert {point.seed for point in added} == {0, 1, 2}
    assert read_runs(tmp_path)[0].settings == replace(chosen, rounds=3)


def test_a_folder_with_another_run_is_refused(two_rounds):
    _, _, records = two_rounds
    with pytest.raises(
        RefusedInputError, match=r"the same settings in .*, got another epochs: choose another"
    ):
        next(run_coins(settings(epochs=3), records=records))


def test_a_grid_has_every_combination_once():
    grid = coin_grid(settings(), coins_per_draw=(2, 3, 2), objectives=("modal", "squared_error"))
    assert [(s.coins_per_draw, s.variant, s.objective) for s in grid] == [
        (2, "fixed", "modal"), (2, "fixed", "squared_error"),
        (3, "fixed", "modal"), (3, "fixed", "squared_error"),
    ]  # fmt: skip
    assert coin_grid(settings()) == (settings(),)
    with pytest.raises(RefusedInputError, match="expected objective .* got 'huber'"):
        coin_grid(settings(), objectives=("modal", "huber"))


def test_a_grids_events_come_with_their_settings_and_its_records_apart(tmp_path, trained):
    grid = coin_grid(settings(epochs=1, rounds=1), variants=("fixed", "paper_code"), objectives=("modal",))
    events = list(run_coin_grid(grid, folder=tmp_path))
    assert list(dict.fromkeys(chosen.variant for chosen, _ in events)) == ["fixed", "paper_code"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "coins-N2-fixed-modal.jsonl", "coins-N2-paper_code-modal.jsonl",
    ]  # fmt: skip
    for result, chosen in zip(read_runs(tmp_path), grid, strict=True):
        assert result.settings == chosen
        assert list(result.points) == points_of(event for of, event in events if of == chosen)
    trained.clear()
    records_path(tmp_path, grid[1]).unlink()
    list(run_coin_grid(grid, folder=tmp_path))
    assert trained == [0]


def test_a_grid_that_cannot_keep_its_records_is_refused_before_it_trains(tmp_path, trained):
    first, second = coin_grid(settings(), objectives=("modal", "squared_error"))
    next(run_coins(replace(second, seed=5), records=RecordFile(records_path(tmp_path, second))))
    trained.clear()
    with pytest.raises(RefusedInputError, match="got another seed"):
        next(run_coin_grid((first, second), folder=tmp_path))
    assert trained == []
    assert [result.settings.objective for result in read_runs(tmp_path)] == ["squared_error"]


def test_runs_are_read_by_n_variant_and_objective(tmp_path):
    grid = coin_grid(
        settings(epochs=1, rounds=1), coins_per_draw=(10, 2), objectives=("cross_entropy", "squared_error")
    )
    for chosen in grid:
        next(run_coins(chosen, records=RecordFile(records_path(tmp_path, chosen))))
    assert [(r.settings.coins_per_draw, r.settings.objective) for r in read_runs(tmp_path)] == [
        (2, "squared_error"), (2, "cross_entropy"), (10, "squared_error"), (10, "cross_entropy"),
    ]  # fmt: skip


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match=r"expected a folder with a coin run .*, found none in"):
        read_runs(tmp_path)
    with pytest.raises(RefusedInputError, match=r"expected a folder with a coin run .*, found none in"):
        read_runs(tmp_path / "absent")


@pytest.mark.parametrize(
    "record",
    [
        {"kind": "point", "seed": 0, "epoch": 1, "answer": "prediction"},
        {"kind": "settings", "settings": {"coins_per_draw": 2, "colour": "red"}},
        {"kind": "settings"},
    ],
)
def test_records_of_another_version_are_refused(tmp_path, record):
    RecordFile(tmp_path / "coins-N2-fixed-modal.jsonl").append(record)
    with pytest.raises(RefusedInputError, match="expected the records of a coin run of this version"):
        read_runs(tmp_path)


def test_result_keeps_the_contract_and_says_how_far_a_stopped_run_came(two_rounds):
    chosen, events, _ = two_rounds
    points = by_moment(points_of(events))
    found = json.loads(json.dumps(as_plain(coin_result(chosen, points).to_json()), allow_nan=False))
    assert (found["coins_per_draw"], found["flips"], found["variant"]) == (2, 320, "fixed")
    assert [(r["seed"], [e["epoch"] for e in r["epochs"]]) for r in found["rounds"]] == [
        (0, [1, 2]), (1, [1, 2]),
    ]  # fmt: skip
    epoch = found["rounds"][0]["epochs"][0]
    assert {"train_loss", "conditional_probability", "hallucination_rate", "n"} <= epoch.keys()
    assert found["exact"]["bayes_mean_ceil"]["conditional_probability"] == 0.5
    stopped = coin_result(chosen, points[:6]).to_json()
    assert [len(r["epochs"]) for r in stopped["rounds"]] == [1]
    assert stopped["n_rounds_asked"] == 2


def test_truth_of_many_coins_uses_the_draws_that_occur():
    truth = coin_truth(settings(coins_per_draw=20, flips=50))
    assert (truth["n_draws"], truth["all_draws"]) == (50, False)


def test_truth_of_many_coins_and_flips_stays_small(monkeypatch):
    n_draws = []
    monkeypatch.setattr(
        coins,
        "exact_scores",
        lambda *args, draws: n_draws.append(len(draws)) or exact_scores(*args, draws=draws),
    )
    coin_truth(settings(coins_per_draw=10, flips=1_000_000))
    assert n_draws[0] <= coins.MAX_DRAWS_FOR_TRUTH


def test_paper_numbers():
    paper = settings(coins_per_draw=5).as_in_paper()
    assert (paper.batch_size, paper.learning_rate, paper.epochs, paper.rounds) == (64, 1e-4, 20, 5)
    assert paper.coins_per_draw == 5


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"coins_per_draw": 0}, "expected coins per draw as a whole number from 1 to 64, got 0"),
        ({"coins_per_draw": 65}, "expected coins per draw as a whole number from 1 to 64, got 65"),
        ({"flips": 9}, "expected flips as a whole number from 10"),
        ({"epochs": 0}, "expected epochs as a whole number from 1"),
        ({"epochs": 1.5}, "expected epochs as a whole number"),
        ({"batch_size": 0}, "expected batch size as a whole number"),
        ({"rounds": 0}, "expected rounds as a whole number"),
        ({"seed": -1}, "expected seed as a whole number from 0"),
        ({"points_per_epoch": 0}, "expected points per epoch as a whole number from 1"),
        ({"learning_rate": 0}, "expected a learning rate above 0"),
        ({"learning_rate": float("nan")}, "expected a learning rate above 0"),
        ({"held_out_share": 1}, "expected a held-out share between 0 and 1"),
        ({"variant": "public"}, "expected variant fixed or paper_code, got 'public'"),
        (
            {"objective": "huber"},
            "expected objective squared_error or absolute_error or cross_entropy or modal, got 'huber'",
        ),
        ({"delta": 2.0}, "expected δ in"),
        ({"hdr_mass": 0.0}, "expected an HDR mass"),
    ],
)
def test_settings_refuse_what_cannot_be_run(changed, words):
    with pytest.raises(RefusedInputError, match=words):
        settings(**changed)
