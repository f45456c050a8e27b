"""A run on arbitrary facts: resumed, read back, summarised; the network that learns."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from hallulab.data.facts_world import WorldSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.facts import read_runs, records_path, run_facts
from hallulab.experiments.facts_measure import draw_facts
from hallulab.experiments.facts_run import FactsSettings, LearnerPoint, SizePoint, WorldPoint
from hallulab.experiments.facts_summary import FactsResult
from hallulab.experiments.facts_training import train_facts_qwen
from hallulab.experiments.over_worlds import over_worlds
from hallulab.models.facts_qwen import FactsQwenSettings
from hallulab.records import RecordFile
from hallulab.theory.is_it_valid import reduction

TINY_QWEN = FactsQwenSettings(
    hidden_size=32, n_layers=1, n_heads=2, epochs=8, batch_size=32, learning_rate=1e-2
)
TINY = FactsSettings(
    world=WorldSettings(n_prompts=30, n_answers=8), n_samples=200, rounds=2, qwen=TINY_QWEN,
    learners=("memoriser", "bigram", "qwen"),
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    records = RecordFile(records_path(tmp_path_factory.mktemp("facts"), TINY))
    return records, list(run_facts(TINY, records=records))


def test_a_run_measures_every_learner_in_every_world(run):
    _, points = run
    assert sum(isinstance(point, WorldPoint) for point in points) == 2
    learners = [point for point in points if isinstance(point, LearnerPoint)]
    assert {(point.seed, point.learner) for point in learners} == {
        (seed, name) for seed in (0, 1) for name in TINY.learners
    }
    assert {point.epoch for point in learners if point.learner == "qwen"} == {0, 1, 2, 3, 5, 8}
    for point in learners:
        assert point.err >= max(point.bound, point.sharp_bound) - 1e-9


def test_a_finished_run_is_read_not_measured_again(run):
    records, points = run
    size = records.path.read_text().count("\n")
    again = list(run_facts(TINY, records=records))
    assert sorted(map(repr, again)) == sorted(map(repr, points))
    assert records.path.read_text().count("\n") == size + 1  # the settings it was asked with
    result = read_runs(records.path.parent)[0]
    assert result.settings == TINY
    assert sorted(map(repr, result.points)) == sorted(map(repr, points))


def test_a_killed_run_goes_on_to_the_same_numbers(run, tmp_path):
    _, points = run
    records = RecordFile(records_path(tmp_path, TINY))
    running = run_facts(TINY, records=records)
    for _ in range(5):  # in the middle of the first network's training
        next(running)
    running.close()
    with records.path.open("a") as file:
        file.write('{"kind": "learner", "seed"')  # a line torn by the kill
    list(run_facts(TINY, records=records))
    found = read_runs(tmp_path)[0]
    assert sorted(map(repr, found.points)) == sorted(map(repr, points))


def test_learners_and_worlds_can_be_added(tmp_path):
    less = replace(TINY, learners=("memoriser",), rounds=1)
    records = RecordFile(records_path(tmp_path, less))
    list(run_facts(less, records=records))
    more = replace(TINY, learners=("memoriser", "bigram"), rounds=2)
    list(run_facts(more, records=records))
    list(run_facts(less, records=records))  # asked again for less: what is there is what counts
    result = read_runs(tmp_path)[0]
    assert [(row.learner, row.n_worlds) for row in result.table] == [("memoriser", 2), ("bigram", 2)]
    assert (result.settings.rounds, result.settings.learners) == (2, ("memoriser", "bigram"))


def test_records_of_other_settings_are_refused(run):
    records, _ = run
    with pytest.raises(RefusedInputError, match="another n_samples"):
        next(run_facts(replace(TINY, n_samples=100), records=records))


def test_what_has_no_room_is_refused_before_anything_is_written(tmp_path):
    large = FactsSettings(world=WorldSettings(n_prompts=50_000), learners=("memoriser", "trigram"))
    records = RecordFile(tmp_path / "facts-large.jsonl")
    with pytest.raises(RefusedInputError, match="choose fewer prompts"):
        next(run_facts(large, records=records))
    assert not records.path.exists()


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="found none"):
        read_runs(tmp_path)
    (tmp_path / "facts-x.jsonl").write_text('{"kind": "learner"}\n')
    with pytest.raises(RefusedInputError, match="settings of a facts run"):
        read_runs(tmp_path)


def test_the_summary_averages_over_worlds(run):
    _, points = run
    result = FactsResult(TINY, tuple(points))
    row = result.table[0]
    errs = [p.err for p in points if isinstance(p, LearnerPoint) and p.learner == "memoriser"]
    assert (row.learner, row.err.n, row.err.mean) == ("memoriser", 2, pytest.approx(np.mean(errs)))
    assert row.n_violated == dict.fromkeys(row.n_violated, 0)
    assert row.largest_delta_gap < 1e-9
    assert row.slope.mean == pytest.approx(row.delta.mean, abs=1e-12)
    worlds = [point for point in points if isinstance(point, WorldPoint)]
    assert row.paper_upper_bound.mean == pytest.approx(np.mean([one.paper_upper_bound for one in worlds]))
    assert result.table[1].paper_upper_bound is None
    assert set(result.table[1].n_silent) == {"bound", "sharp_bound", "paper_lower_bound", "sharp_lower_bound"}
    assert [row.epoch for row in result.training] == [0, 1, 2, 3, 5, 8]
    sizes = [p for p in points if isinstance(p, SizePoint) and p.n_samples == 1_000]
    assert next(s for s in result.sizes if s.n_samples == 1_000).err == pytest.approx(
        np.mean([p.err for p in sizes])
    )
    found = result.to_json()
    assert found["n_worlds"] == 2
    assert found["settings"] == asdict(TINY)


def test_missing_values_are_counted_not_averaged():
    found = over_worlds([0.2, None, 0.4])
    assert (found.mean, found.n, found.n_missing) == (pytest.approx(0.3), 2, 1)
    assert over_worlds([None]).mean is None


def test_the_network_learns_what_it_sees_and_its_answers_are_a_distribution():
    facts, counts = draw_facts(TINY.world, 400, 0)
    settings = replace(TINY_QWEN, epochs=10)
    epochs = list(train_facts_qwen(facts, counts, settings, seed=0))
    first, last = epochs[0].learned, epochs[-1].learned
    assert first is not None
    assert last is not None
    assert (last.probability.sum(axis=1) <= 1 + 1e-9).all()
    assert reduction(last.truth, last.probability).err < 0.5 * reduction(first.truth, first.probability).err
    assert epochs[-1].train_loss < epochs[1].train_loss
    again = list(train_facts_qwen(facts, counts, settings, seed=0))[-1].learned
    assert (again.probability == last.probability).all()


def test_impossible_networks_are_refused():
    with pytest.raises(RefusedInputError, match="even parts"):
        FactsQwenSettings(hidden_size=30, n_heads=4)
    with pytest.raises(RefusedInputError, match="learning rate"):
        FactsQwenSettings(learning_rate=0)
    with pytest.raises(RefusedInputError, match="epochs"):
        FactsQwenSettings(epochs=0)
