from dataclasses import replace

import pytest

from hallulab.errors import RefusedInputError
from hallulab.experiments import coin_round, coins
from hallulab.experiments.coin_events import CoinMoment, CoinStep
from hallulab.experiments.coin_records import CoinRecords, read_runs, records_path
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.experiments.coins import coin_grid, run_coin_grid, run_coins

QUICK = {"flips": 320, "epochs": 2, "batch_size": 64, "learning_rate": 1e-3, "rounds": 2}


def settings(**changed):
    return CoinSettings(**(QUICK | changed))


def moments_of(events):
    return sorted(
        (event for event in events if isinstance(event, CoinMoment)), key=lambda m: (m.seed, m.epoch)
    )


def places(moments):
    return [(moment.seed, moment.epoch) for moment in moments]


@pytest.fixture(scope="module")
def two_rounds(tmp_path_factory):
    """One small run that several tests read, and the file it was recorded in."""
    records = CoinRecords(tmp_path_factory.mktemp("run") / "coins.jsonl")
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


def test_every_moment_of_every_round_streams(two_rounds):
    _, events, _ = two_rounds
    assert places(moments_of(events)) == [(seed, quarter / 4) for seed in (0, 1) for quarter in range(9)]


def test_closing_the_run_stops_it():
    run = run_coins(settings(epochs=10_000))
    events = [next(run) for _ in range(5)]
    run.close()
    assert moments_of(events)
    assert list(run) == []


def kill_when(run, is_there):
    """End a run at its first moment of which this holds, as a kill would."""
    for event in run:
        if isinstance(event, CoinMoment) and is_there(event):
            break
    run.close()


def test_a_killed_run_trains_the_unfinished_rounds_again(tmp_path, two_rounds, trained):
    chosen, events, _ = two_rounds
    records = CoinRecords(records_path(tmp_path, chosen))
    finished = moments_of(run_coins(replace(chosen, rounds=1), records=records))
    kill_when(run_coins(chosen, records=records), lambda moment: moment.seed == 1 and moment.epoch > 1)
    trained.clear()
    again = moments_of(run_coins(chosen, records=records))
    assert trained == [1]
    assert again[:9] == finished
    assert places(again) == places(moments_of(events))
    # what the killed round left is not counted twice
    assert len(read_runs(tmp_path)[0].points) == 18


@pytest.mark.parametrize("variant", ["fixed", "paper_code"])
def test_a_killed_round_goes_on_from_its_last_state(variant, tmp_path, monkeypatch):
    monkeypatch.setattr(coin_round, "SECONDS_PER_STATE", 0)
    chosen = settings(epochs=4, rounds=2, points_per_epoch=1, variant=variant)
    unbroken = moments_of(run_coins(chosen))
    records = CoinRecords(records_path(tmp_path, chosen))
    kill_when(run_coins(chosen, records=records), lambda moment: moment.epoch == 3)
    kept = {path.name for path in tmp_path.glob("*.safetensors")}
    assert kept == {f"coins-N2-{variant}-squared_error-seed{seed}.safetensors" for seed in (0, 1)}
    again = list(run_coins(chosen, records=records))
    assert min(event.epoch for event in again if isinstance(event, CoinStep)) > 1
    for resumed, whole in zip(moments_of(again), unbroken, strict=True):
        assert (resumed.seed, resumed.epoch) == (whole.seed, whole.epoch)
        assert resumed.validation_loss == pytest.approx(whole.validation_loss, rel=2e-3)
    assert not list(tmp_path.glob("*.safetensors"))
    assert read_runs(tmp_path)[0].moments == tuple(moments_of(again))


def test_a_state_that_cannot_be_read_is_dropped_and_its_round_starts_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(coin_round, "SECONDS_PER_STATE", 0)
    chosen = settings(epochs=3, rounds=2, points_per_epoch=1)
    records = CoinRecords(records_path(tmp_path, chosen))
    kill_when(run_coins(chosen, records=records), lambda moment: moment.epoch == 2)
    empty, garbled = sorted(tmp_path.glob("*.safetensors"))
    empty.write_bytes(b"")
    garbled.write_bytes(b"not a tensor, but long enough to hold a header")
    assert places(moments_of(run_coins(chosen, records=records))) == [
        (s, e) for s in (0, 1) for e in range(4)
    ]
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_state_ahead_of_its_records_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(coin_round, "SECONDS_PER_STATE", 0)
    chosen = settings(epochs=3, rounds=1, points_per_epoch=1)
    records = CoinRecords(records_path(tmp_path, chosen))
    kill_when(run_coins(chosen, records=records), lambda moment: moment.epoch == 3)
    lines = records.path.read_text().splitlines()
    shorter = [line for line in lines if '"epoch": 2' not in line and '"epoch": 3' not in line]
    records.path.write_text("\n".join(shorter) + "\n")
    assert [moment.epoch for moment in moments_of(run_coins(chosen, records=records))] == [0, 1, 2, 3]


def test_fewer_rounds_after_a_kill_leave_the_others_out_by_name(tmp_path, monkeypatch):
    """Three rounds killed within the second epoch, then one finished: its numbers, and no state is left behind."""
    monkeypatch.setattr(coin_round, "SECONDS_PER_STATE", 0)
    chosen = settings(epochs=4, rounds=3, points_per_epoch=1)
    records = CoinRecords(records_path(tmp_path, chosen))
    kill_when(run_coins(chosen, records=records), lambda moment: moment.epoch == 2)
    left = {moment.seed for moment in records.result().moments} - {0}
    assert left
    assert {moment.seed for moment in moments_of(run_coins(replace(chosen, rounds=1), records=records))} == {
        0
    }
    found = records.result()
    assert (found.last_epoch, found.finished_seeds, set(found.left_out_seeds)) == (4, (0,), left)
    assert [point.seed for point in found.last_points()] == [0]
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_finished_run_is_not_run_again_even_by_another_line(two_rounds, trained):
    chosen, events, records = two_rounds
    for same in (chosen, replace(chosen, delta=0.4)):
        assert moments_of(run_coins(same, records=records)) == moments_of(events)
    assert trained == []


def test_rounds_that_are_added_are_scored_by_the_line_of_the_first(tmp_path, trained):
    chosen = settings(epochs=1, rounds=1)
    records = CoinRecords(records_path(tmp_path, chosen))
    list(run_coins(chosen, records=records))
    added = moments_of(run_coins(replace(chosen, rounds=3, delta=1.0), records=records))
    assert trained == [0, 1, 2]
    assert {moment.seed for moment in added} == {0, 1, 2}
    # by δ = 1 every answer would hallucinate
    assert all(moment.held_out[0].hallucination_rate < 1 for moment in added if moment.epoch == 1)
    assert read_runs(tmp_path)[0].settings == replace(chosen, rounds=3)


def test_a_folder_with_another_run_is_refused(two_rounds):
    _, _, records = two_rounds
    with pytest.raises(
        RefusedInputError, match=r"the same settings in .*, got another epochs: choose another"
    ):
        next(run_coins(settings(epochs=3), records=records))


def test_a_grid_has_every_combination_once_with_what_its_variant_trains_with():
    grid = coin_grid({}, coins_per_draw=(2, 3, 2), objectives=("modal", "squared_error"))
    assert [(s.coins_per_draw, s.variant, s.objective) for s in grid] == [
        (2, "fixed", "modal"), (2, "fixed", "squared_error"),
        (3, "fixed", "modal"), (3, "fixed", "squared_error"),
    ]  # fmt: skip
    assert coin_grid(QUICK) == (settings(),)
    both = coin_grid({"epochs": 3}, variants=("fixed", "paper_code"))
    assert [(s.batch_size, s.learning_rate) for s in both] == [(256, 3e-4), (64, 1e-4)]
    with pytest.raises(RefusedInputError, match="expected objective .* got 'huber'"):
        coin_grid({}, objectives=("modal", "huber"))


def test_a_grids_events_come_with_their_settings_and_its_records_apart(tmp_path, trained):
    grid = coin_grid(
        QUICK | {"epochs": 1, "rounds": 1}, variants=("fixed", "paper_code"), objectives=("modal",)
    )
    events = list(run_coin_grid(grid, folder=tmp_path))
    assert list(dict.fromkeys(chosen.variant for chosen, _ in events)) == ["fixed", "paper_code"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "coins-N2-fixed-modal.jsonl", "coins-N2-paper_code-modal.jsonl",
    ]  # fmt: skip
    for result, chosen in zip(read_runs(tmp_path), grid, strict=True):
        assert result.settings == chosen
        assert list(result.moments) == moments_of(event for of, event in events if of == chosen)
    trained.clear()
    records_path(tmp_path, grid[1]).unlink()
    list(run_coin_grid(grid, folder=tmp_path))
    assert trained == [0]


def test_a_grid_that_cannot_keep_its_records_is_refused_before_it_trains(tmp_path, trained):
    first, second = coin_grid(QUICK, objectives=("modal", "squared_error"))
    next(run_coins(replace(second, seed=5), records=CoinRecords(records_path(tmp_path, second))))
    trained.clear()
    with pytest.raises(RefusedInputError, match="got another seed"):
        next(run_coin_grid((first, second), folder=tmp_path))
    assert trained == []
    assert [result.settings.objective for result in read_runs(tmp_path)] == ["squared_error"]
