"""The arbitrary-facts world: its laws, its corpus, its two forms of the truth."""

import numpy as np
import pytest

from hallulab.data.facts_world import (
    IDK,
    RIGHT,
    WRONG,
    WorldSettings,
    corpus,
    corpus_line,
    draw_counts,
    draw_world,
)
from hallulab.errors import RefusedInputError

SMALL = WorldSettings(n_prompts=7, n_answers=5, fewest_answers=2, zipf_exponent=1.0, answer_rate=0.8)


def small_world(seed: int = 0):
    return draw_world(SMALL, rng=np.random.default_rng(seed))


def test_frequencies_follow_zipf_and_answers_stay_plausible():
    world = small_world()
    assert world.prompt_weights[0] / world.prompt_weights[3] == pytest.approx(4)
    assert world.prompt_weights.sum() == pytest.approx(1)
    assert ((world.right_answer >= 0) & (world.right_answer < world.n_answers)).all()
    assert ((world.n_answers >= 2) & (world.n_answers <= 5)).all()
    flat = draw_world(WorldSettings(n_prompts=4, zipf_exponent=0), rng=np.random.default_rng(0))
    assert flat.prompt_weights.tolist() == [0.25] * 4


def test_the_right_answer_is_uniform():
    worlds = draw_world(WorldSettings(n_prompts=50_000, n_answers=5), rng=np.random.default_rng(1))
    shares = np.bincount(worlds.right_answer, minlength=5) / 50_000
    assert abs(shares - 0.2).max() < 4 * np.sqrt(0.2 * 0.8 / 50_000)


def test_rarer_prompts_may_be_answered_less_often():
    settings = WorldSettings(n_prompts=3, answer_rate=0.9, rarest_answer_rate=0.1)
    world = draw_world(settings, rng=np.random.default_rng(0))
    assert world.answer_rate == pytest.approx([0.9, 0.5, 0.1])
    assert world.fact_probability == pytest.approx(world.prompt_weights * [0.9, 0.5, 0.1])


def test_names_differ_also_beyond_the_simple_ones():
    world = draw_world(WorldSettings(n_prompts=5_000), rng=np.random.default_rng(0))
    assert len({world.name(prompt) for prompt in range(5_000)}) == 5_000
    assert len(set(world.last_names)) == len(world.last_names) == 71


def test_the_two_forms_of_the_truth_agree():
    world = small_world()
    grouped, dense = world.grouped, world.dense
    assert (grouped.n_errors == dense.n_errors).all()
    assert (grouped.n_errors == world.n_answers - 1).all()
    assert (dense.n_valid == 2).all()
    right = dense.data_probability[np.arange(7), world.right_answer]
    assert (right == grouped.data_probability[:, RIGHT]).all()
    assert (grouped.data_probability[:, WRONG] == 0).all()


def test_corpus_holds_exactly_the_counts_and_only_what_is_true():
    rng, world = np.random.default_rng(2), small_world()
    counts = draw_counts(world, 400, rng=rng)
    assert counts.n_samples == 400
    rows = corpus(world, counts, rng=rng)
    assert rows.shape == (400, 3)
    for prompt in range(7):
        answers = rows[(rows[:, :2] == world.name_tokens[prompt]).all(axis=1), 2]
        assert (answers == world.right_answer[prompt]).sum() == counts.n_answered[prompt]
        assert (answers == world.idk).sum() == counts.n_idk[prompt]
        assert len(answers) == counts.n_seen[prompt]
    assert counts.n_answered.sum() / 400 == pytest.approx(0.8, abs=0.08)


def test_lines_read_as_sentences():
    world = draw_world(WorldSettings(n_prompts=2), rng=np.random.default_rng(0))
    row = np.array([*world.name_tokens[0], 0])
    assert corpus_line(world, row) == f"When is {world.name(0)}'s birthday? 1 January."
    assert corpus_line(world, np.array([*world.name_tokens[1], world.idk])).endswith(f"{IDK}.")
    many = draw_world(WorldSettings(n_prompts=2, n_answers=4_000), rng=np.random.default_rng(0))
    assert many.answer_text(1_233) == "answer 1,234"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"n_prompts": 0}, "n_prompts as a whole number"),
        ({"n_answers": 1}, "n_answers as a whole number"),
        ({"fewest_answers": 400}, "fewest_answers as a whole number"),
        ({"zipf_exponent": -1.0}, "Zipf exponent"),
        ({"zipf_exponent": float("nan")}, "Zipf exponent"),
        ({"answer_rate": 0.0}, "answer rate"),
        ({"rarest_answer_rate": 1.5}, "answer rate"),
    ],
)
def test_refusals_name_the_setting(changed, words):
    with pytest.raises(RefusedInputError, match=words):
        WorldSettings(**changed)


def test_too_many_answers_to_keep_one_by_one_are_refused():
    world = draw_world(WorldSettings(n_prompts=100_000), rng=np.random.default_rng(0))
    assert world.grouped.n_errors.min() == 364
    with pytest.raises(RefusedInputError, match="choose fewer prompts"):
        _ = world.dense
