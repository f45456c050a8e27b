"""The sentences of a report, case by case: each must be true of the numbers it was made from."""

from dataclasses import replace

import pytest

from hallulab.experiments.coin_summary import summary_table
from hallulab.reports.coin_sentences import objective_sentences, run_headline, run_sentences
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


def test_the_headline_has_the_two_rates_that_matter():
    def headline(result):
        return run_headline(summary_table([result]))

    assert headline(finished(2)) == "right 59.0 % of the time (best possible: 61.0 %); hallucinations: 10.0 %"
    assert headline(run()) == headline(run([point(0, 0)])) == "no epoch finished"
    assert headline(run([point(0, 1, conditional_probability_data_law=None)])) == "no answer is a number"


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (0.298, "The network learned the average as well as can be"),
        (0.303, "The network learned the average as well as can be"),
        (0.32, "The network learned the average almost as well as can be"),
        (0.5, "The network has not learned the average yet"),
    ],
)
def test_how_well_it_learned_is_measured_against_the_exact_average(loss, words):
    assert sentences(trained(validation_loss=loss))[0] == (
        f"{words}: on flips kept from training its prediction has squared error {loss:.3f}, the exact average 0.300."
    )


def test_right_answers_stand_beside_the_best_possible_on_the_same_flips():
    assert sentence(finished(2), "Its answer") == (
        "Its answer is right 59.0 % of the time (95 % interval 46.3 to 71.7 %); on the same flips no "
        "answer can be right more often than 61.0 % of the time."
    )


def test_one_round_has_no_interval():
    assert "59" not in sentence(finished(1), "Its answer")
    assert "60.0 % of the time (one round, so no interval)" in sentence(finished(1), "Its answer")
    assert "in one round, which says nothing about other rounds" in sentence(
        trained((0.5, 0.4, 0.3), (0.4, 0.5, 0.6), seeds=(0,)), "The rank correlation"
    )


def test_hallucinations_are_told_by_the_rule_of_the_run():
    assert sentence(finished(2), "10.0 %").endswith("such an answer has a probability of at most δ = 0.3.")
    by_mass = sentence(finished(2, delta=None, hdr_mass=0.8), "10.0 %")
    assert by_mass.endswith("such an answer is outside the likeliest counts that hold 80.0 % of the flips.")


def test_the_exact_answer_hallucinates_too():
    # N = 2: the average rounded up hallucinates in 1 of 6 draws, the average itself in 5 of 6
    told = sentence(finished(2, variant="paper_code"), "With no network at all")
    assert told.endswith("in 83.3 % of the draws as it is, and in 16.7 % once it is rounded up.")
    told = sentence(finished(2, objective="absolute_error"), "With no network at all")
    assert told == "With no network at all, the exact answer (median) hallucinates in 0.0 % of the draws."


def test_only_squared_error_is_said_to_seek_the_average():
    told = sentences(finished(2, objective="absolute_error"))
    assert told[0] == "The network was trained to minimise absolute error."
    assert not [text for text in told if "average" in text]


def test_every_way_to_answer_is_told():
    told = sentences(finished(2, objective="cross_entropy"))
    assert told[0].endswith("and answers with its most likely count.")
    assert [text.split(" instead")[0] for text in told if text.startswith("Answering")] == [
        "Answering with its rounded mean", "Answering with a sample",
    ]  # fmt: skip


def test_the_public_codes_number_is_told_for_its_variant_only():
    assert "would report 20.0 %" in sentence(finished(2, variant="paper_code"), "The public code")
    assert not [text for text in sentences(finished(2)) if "public code" in text]


@pytest.mark.parametrize(
    ("losses", "rights", "words"),
    [
        (
            (0.5, 0.4), (0.4, 0.5),
            "loss fell by 0.100 (from 0.500 to 0.400); the chance of being right rose by 10.0 percentage points",
        ),
        (
            (0.4, 0.5), (0.5, 0.4),
            "loss rose by 0.100 (from 0.400 to 0.500); the chance of being right fell by 10.0 percentage points",
        ),
        ((0.4, 0.4), (0.5, 0.5001), "loss stayed at 0.400; the chance of being right did not change"),
    ],
)  # fmt: skip
def test_changes_have_the_word_of_their_direction(losses, rights, words):
    assert sentence(trained(losses, rights), "Between epoch 1 and 2") == (
        f"Between epoch 1 and 2 the training {words} (means over 2 rounds)."
    )


def test_a_change_in_one_round_is_no_mean():
    assert sentence(trained(seeds=(0,)), "Between epoch 1 and 2").endswith("percentage points.")


def test_one_epoch_has_no_change():
    assert sentence(trained((0.5,), (0.4,)), "With one finished epoch")


def test_a_change_needs_both_of_its_ends():
    points = [point(0, 0), point(0, 1, conditional_probability_data_law=None), point(0, 2)]
    assert sentence(run(points, epochs=2, rounds=1), "No round has both numbers")


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (
            (0.4, 0.5, 0.6),
            "is −1.00 on average over 3 rounds, 95 % interval −1.00 to −1.00: less loss went with better",
        ),
        (
            (0.6, 0.5, 0.4),
            "is 1.00 on average over 3 rounds, 95 % interval 1.00 to 1.00: less loss went with worse",
        ),
        ((0.5, 0.5, 0.5), "is undefined, as one of the two stood still"),
    ],
)
def test_the_correlation_is_read_by_its_interval(second, words):
    told = sentence(trained((0.5, 0.4, 0.3), second, seeds=(0, 1, 2)), "The rank correlation")
    assert words in told


def test_a_correlation_whose_interval_holds_zero_is_no_relation():
    points = [
        point(seed, epoch, train_loss=1 / epoch, conditional_probability=0.1 * epoch * (-1) ** seed + 0.5)
        for seed in (0, 1) for epoch in (1, 2, 3)
    ]  # fmt: skip
    told = sentence(run(points, epochs=3), "The rank correlation")
    assert "the rounds show no clear relation" in told


def test_rounds_without_a_correlation_are_counted():
    points = [
        point(seed, epoch, train_loss=1 / epoch, conditional_probability=0.5 if seed == 2 else 0.1 * epoch)
        for seed in (0, 1, 2) for epoch in (1, 2, 3)
    ]  # fmt: skip
    told = sentence(run(points, epochs=3, rounds=3), "The rank correlation")
    assert told.endswith("In 1 round it is undefined, as one of the two stood still.")


def test_a_stopped_run_says_where_it_stopped():
    told = sentences(run([point(0, 0), point(0, 1), point(0, 2), point(0, 2.5)], epochs=20, rounds=5))
    assert told[0] == "Of 5 rounds asked for, 1 has begun."
    assert told[1].startswith("Training was stopped: the numbers here are after epoch 2 of 20")


def test_missing_answers_are_counted():
    told = sentences(trained(n=90, n_missing=10))
    assert told[-1] == "20 of 200 answers were not numbers; they are left out of every rate."


def test_a_network_that_gives_no_numbers_gets_no_rates():
    nothing = {"conditional_probability": None, "conditional_probability_data_law": None, "squared_error": None,
               "hallucination_rate": None, "hallucination_interval": None, "validation_loss": None,
               "n": 0, "n_missing": 100}  # fmt: skip
    (told,) = sentences(trained(**nothing))
    assert told.startswith("The network's outputs are not numbers any more")


def compared(rate, error, seeds=(0, 1, 2)):
    """Sentences when absolute error differs from squared error by these amounts in every round."""
    reference = trained(seeds=seeds)
    other = run(
        [
            replace(p, hallucination_rate=p.hallucination_rate + rate + 1e-4 * p.seed,
                    squared_error=p.squared_error + error + 1e-4 * p.seed)
            for p in reference.points
        ],
        epochs=2, rounds=len(seeds), objective="absolute_error",
    )  # fmt: skip
    return objective_sentences(summary_table([reference, other]))


@pytest.mark.parametrize(
    ("rate", "error", "words"),
    [
        (
            -0.05, -1e-4,
            ["Hallucinates less than squared error, with no measurable loss of accuracy: absolute error."],
        ),
        (
            -0.05, 0.05,
            [
                "Nothing here hallucinates less than squared error without losing accuracy.",
                "Hallucinates less, and pays with a larger squared error: absolute error.",
            ],
        ),
        (
            0.05, 0.0,
            [
                "Nothing here hallucinates less than squared error without losing accuracy.",
                "Hallucinates more: absolute error.",
            ],
        ),
        (
            -1e-4, 0.0,
            [
                "Nothing here hallucinates less than squared error without losing accuracy.",
                "No measurable difference in hallucination: absolute error.",
            ],
        ),
    ],
)  # fmt: skip
def test_objectives_are_judged_by_both_differences(rate, error, words):
    assert compared(rate, error) == words


def test_one_round_cannot_tell_objectives_apart():
    assert compared(-0.05, 0.0, seeds=(0,)) == ["Too few rounds to tell: absolute error."]


def test_without_a_reference_nothing_is_compared():
    assert objective_sentences(summary_table([trained()])) == []
