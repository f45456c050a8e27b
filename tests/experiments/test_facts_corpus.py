"""The training text: exactly the counts, in the order in which the network reads them."""

import numpy as np
import pytest

from hallulab.data.facts_world import TrainingCounts, WorldSettings, corpus
from hallulab.errors import RefusedInputError
from hallulab.experiments.facts_corpus import training_lines, write_corpus
from hallulab.experiments.facts_measure import draw_facts

WORLD = WorldSettings(n_prompts=12, n_answers=6)


def test_every_fact_stands_there_as_often_as_it_was_counted(tmp_path):
    facts, counts = draw_facts(WORLD, 200, 3)
    n = write_corpus(tmp_path / "new" / "corpus.txt", training_lines(facts, counts, seed=3))
    lines = (tmp_path / "new" / "corpus.txt").read_text(encoding="utf-8").splitlines()
    assert n == len(lines) == 200
    for prompt in range(12):
        answer = facts.answer_text(int(facts.right_answer[prompt]))
        assert lines.count(f"{facts.question(prompt)} {answer}.") == counts.n_answered[prompt]
        assert lines.count(f"{facts.question(prompt)} I do not know.") == counts.n_idk[prompt]


def test_the_order_is_that_of_the_network_s_corpus():
    facts, counts = draw_facts(WORLD, 50, 3)
    rows = corpus(facts, counts, rng=np.random.default_rng(3))
    first = next(training_lines(facts, counts, seed=3))
    name = f"{facts.first_names[rows[0, 0]]} {facts.last_names[rows[0, 1]]}"
    assert first == f"When is {name}'s birthday? {facts.answer_text(int(rows[0, 2]))}."


def test_refusals(tmp_path):
    facts, counts = draw_facts(WORLD, 50, 3)
    many = TrainingCounts(counts.n_answered * 10**8, counts.n_idk)
    with pytest.raises(RefusedInputError, match="lower N"):
        training_lines(facts, many, seed=0)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RefusedInputError, match="choose another --corpus"):
        write_corpus(tmp_path / "file" / "corpus.txt", iter(["a"]))
