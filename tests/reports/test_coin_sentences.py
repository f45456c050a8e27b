"""The sentences of a report, case by case: each must be true of the numbers it was made from."""

from dataclasses import replace

import pytest

from hallulab.experiments.coin_summary import summary_table
from hallulab.reports.coin_sentences import run_headline, run_sentences
from hallulab.reports.numbers import decimal
from tests.hand_made_coins import finished, point, run


def sentences(result):
    return run_sentences(result, summary_table([result]))


def sentence(result, start):
    (found,) = [text for text in sentences(result) if text.startswith(start)]
    return found


def trained(losses=(0.5, 0.4), rights=(0.4, 0.5), seeds=(0, 1), **changed):
    """Rounds with these training losses and chances of being right at the end of each epoch."""
    points = [point(seed, 0, **changed) for seed in seeds]
    for epoch, (loss, right) in enumerate(zip(losses, rights, strict=True), start=1):
        points += [
            point(seed, epoch, **{"train_loss": loss, "conditional_probability": right,
                                  "conditional_probability_data_law": right} | changed)
            for seed in seeds
        ]  # fmt: skip
    return run(points, epochs=len(losses), rounds=len(seeds))


def test_nothing_is_claimed_before_an_epoch_is_finished():
    for result in (run(), run([point(0, 0), point(0, 0.5)])):
        assert sentences(result) == ["No epoch was finished in this run, so there is nothing to compare yet."]


def test_the_headline_has_the_rates_that_matter():
    def headline(result):
        return run_headline(summary_table([result]))

    assert headline(finished(2)) == (
        "before rounding, 100.0 % of its outputs cannot happen; right 59.0 % of the time (best possible: 60.4 %); "
        "hallucinations: 10.0 %"
    )
    assert headline(finished(2, objective="cross_entropy")).startswith("before rounding, 100.0 %")
    assert headline(run()) == headline(run([point(0, 0)])) == "no epoch finished"
    assert headline(run([point(0, 1, conditional_probability_data_law=None)])) == "no answer is a number"


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (0.3125, "The network learned its task as well as can be"),
        (0.315, "The network learned its task as well as can be"),
        (0.32, "The network learned its task almost as well as can be"),
        (0.5, "The network has not learned its task yet"),
    ],
)
def test_how_well_it_learned_is_measured_against_the_least_possible(loss, words):
    assert sentences(trained(expected_loss=loss))[0] == (
        f"{words}: its expected loss (squared error) is {decimal(loss)}, and nothing can have less than 0.312."
    )


def test_the_output_before_rounding_is_told_beside_the_exact_minimiser():
    assert sentence(finished(3), "As it comes out of the network") == (
        "As it comes out of the network, before any rounding, its output is a number of heads that cannot happen in "
        "100.0 % of the draws (all 3 rounds alike), and further than a twentieth of a head from every count that can "
        "in 80.0 %. The exact minimiser of the same loss: 83.3 % and 83.3 %."
    )
    assert not [
        text for text in sentences(finished(2, objective="cross_entropy")) if "before any rounding" in text
    ]


def test_right_answers_stand_beside_the_best_possible():
    assert sentence(finished(3), "Its answer") == (
        "Its answer is right 58.0 % of the time (95 % interval 53.0 to 63.0 %); no answer can be right more often than "
        "60.4 % of the time."
    )


def test_too_few_or_equal_rounds_have_no_interval():
    assert "60.0 % of the time (one round, so no interval)" in sentence(finished(1), "Its answer")
    assert "59.0 % of the time (60.0 % and 58.0 %)" not in sentence(finished(2), "Its answer")
    assert "59.0 % of the time (58.0 % and 60.0 %)" in sentence(finished(2), "Its answer")
    assert "10.0 % of its answers hallucinate (all 2 rounds alike)" in sentence(finished(2), "10.0 %")


def test_a_sample_of_draws_is_told():
    result = finished(3, coins_per_draw=11)
    sampled = [replace(p, hallucination_interval=(0.05, 0.15), n_draws=4_096) for p in result.points]
    told = sentence(replace(result, points=tuple(sampled)), "There are too many draws")
    assert "estimates from 4,096 draws" in told


def test_hallucinations_are_told_by_the_rule_of_the_run():
    assert sentence(finished(2), "10.0 %").endswith("such an answer has a probability of at most δ = 0.3.")
    by_mass = sentence(finished(2, delta=None, hdr_mass=0.8), "10.0 %")
    assert by_mass.endswith("such an answer is outside the likeliest counts that hold 80.0 % of the flips.")


def test_the_exact_answer_hallucinates_too():
    # N = 2: a hair off the average and rounded up, 1 of 6 draws hallucinates surely and one half of the time
    told = sentence(finished(2, variant="paper_code"), "With no network at all")
    assert told == (
        "With no network at all, the exact answer (average a hair off, rounded up) hallucinates in 25.0 % of the draws."
    )
    told = sentence(finished(2, objective="absolute_error"), "With no network at all")
    assert told == "With no network at all, the exact answer (median) hallucinates in 0.0 % of the draws."


def test_every_way_to_answer_is_told():
    told = sentences(finished(2, objective="cross_entropy"))
    assert told[0].endswith("It answers with its most likely count.")
    assert [text.split(" instead")[0] for text in told if text.startswith("Answering")] == [
        "Answering with its rounded mean", "Answering with a sample",
    ]  # fmt: skip


def test_the_public_codes_number_is_told_for_its_variant_only():
    assert "would report 20.0 %" in sentence(finished(2, variant="paper_code"), "The public code")
    assert not [text for text in sentences(finished(2)) if "public code" in text]


def test_a_stopped_run_says_where_it_stopped():
    told = sentences(run([point(0, 0), point(0, 1), point(0, 2), point(0, 2.5)], epochs=20, rounds=5))
    assert told[0] == "Of 5 rounds asked for, 1 has begun."
    assert told[1].startswith("Training was stopped: the numbers here are after epoch 2 of 20")


def test_unfinished_rounds_are_named():
    told = sentences(run([*(point(0, epoch) for epoch in range(5)), point(1, 2), point(2, 1)], rounds=3))
    assert told[0] == "The rounds with seed 1 and 2 did not finish, and are left out of every number here."


def test_missing_answers_are_counted():
    told = sentences(trained(n_draws=5, n_draws_missing=1))
    assert told[-1] == "2 of 12 answers were not numbers; they are left out of every rate."


def test_a_network_that_gives_no_numbers_gets_no_rates():
    names = (
        "conditional_probability", "conditional_probability_data_law", "squared_error", "hallucination_rate",
        "expected_loss", "impossible_share", "far_share",
    )  # fmt: skip
    (told,) = sentences(trained(**dict.fromkeys(names)))
    assert told.startswith("The network's outputs are not numbers any more")


def test_held_out_flips_are_told_as_the_papers_way():
    assert (
        "Scored on 200 flips kept from training, as the paper does, the answers are right 61.0 %"
        in sentence(finished(2), "Scored on")
    )
