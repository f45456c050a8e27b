import pytest

from hallulab.experiments.coin_claim import coin_claim
from hallulab.reports.coin_claim import claim_chart, claim_section
from hallulab.reports.coin_claim_words import claim_sentences
from tests.hand_made_coins import finished, point, run

FLOOR, CEILING = 0.3125, 29 / 48
"""at N = 2"""


def rounds(*curves):
    """A finished run whose rounds have (loss above the floor, P(right)) at epochs 0, 1, …"""
    points = [
        point(seed, epoch, expected_loss=FLOOR + excess, conditional_probability_data_law=right)
        for seed, curve in enumerate(curves)
        for epoch, (excess, right) in enumerate(curve)
    ]
    return run(points, epochs=len(curves[0]) - 1, rounds=len(curves))


STILL = ((2.0, 0.1), (0.01, 0.5), (0.004, 0.5))
MOVING = [((2.0, 0.1), (0.01, 0.5), (0.004, 0.56 + 0.001 * k)) for k in range(3)]
FAR = ((2.0, 0.1), (1.0, 0.2), (0.5, 0.3))


def test_standing_still_is_told_with_where_it_came_from():
    chance, after, whole = claim_sentences(coin_claim(rounds(STILL, STILL, STILL)))
    assert chance == (
        "Its chance of being right: 10.0 % untrained, 50.0 % when the loss first came within 5 % of the least possible "
        "(at epoch 1.0; 3 rounds), 50.0 % at the last epoch."
    )
    assert after == (
        "From there to the last epoch the loss moved by −0.0060 and P(right) by 0.00 points [all 3 rounds alike], "
        "within "
        "the margin of ±1 point, so being right stands still."
    )
    # ranks 3 2 1 against 1 2½ 2½: −0.87 in every round, half a step nearer to 0 is −0.75 for three moments
    assert whole == (
        "Over the whole training, the untrained network included, loss and P(right) have Spearman's rank correlation "
        "−0.75 "
        "(3 rounds)."
    )


def test_moving_on_and_not_knowing_are_told_as_such():
    told = claim_sentences(coin_claim(rounds(*MOVING)))[1]
    assert told.endswith("more than the margin of ±1 point, so being right goes on moving.")
    scattered = [((2.0, 0.1), (0.01, 0.5), (0.004, 0.5 + off)) for off in (0.03, -0.03, 0.02)]
    told = claim_sentences(coin_claim(rounds(*scattered)))[1]
    assert told.endswith("and whether that is within the margin of ±1 point, these rounds cannot say.")


def test_rounds_that_stay_far_are_not_asked():
    told = claim_sentences(coin_claim(rounds(FAR, FAR, FAR)))
    assert told[1].startswith("In no round did the loss come within 5 % of the least possible")


@pytest.mark.parametrize(
    ("curves", "words"),
    [
        ([FAR, FAR, (*FAR[:2], (0.5, 0.15))], "less loss goes with more right answers"),
        (
            [((2.0, 0.3), (1.0, 0.2), (0.5, r)) for r in (0.1, 0.1, 0.25)],
            "less loss goes with fewer right answers",
        ),
        ([((2.0, 0.3), (1.0, 0.2), (0.5, r)) for r in (0.1, 0.4, 0.25)], "the rounds show no clear relation"),
    ],
)
def test_the_whole_training_is_read_by_its_interval(curves, words):
    assert words in claim_sentences(coin_claim(rounds(*curves)))[0]


def test_a_round_that_stood_still_is_counted():
    still = ((2.0, 0.1), (1.0, 0.1), (0.5, 0.1))
    assert "(2 rounds; 1 more stood still)" in claim_sentences(coin_claim(rounds(FAR, FAR, still)))[0]
    assert "stood still in every round" in claim_sentences(coin_claim(rounds(still)))[0]


def test_the_figure_has_every_moment_at_its_distance_from_floor_and_ceiling():
    chart = claim_chart(rounds(STILL, STILL))
    by_name = {series.name: series for series in chart.series}
    assert by_name["untrained"].x == pytest.approx([2.0, 2.0])
    assert by_name["untrained"].y == pytest.approx([100 * (CEILING - 0.1)] * 2)
    assert by_name["while it trains"].x == pytest.approx([0.01, 0.01])
    assert by_name["at the last epoch"].x == pytest.approx([0.004, 0.004])
    assert chart.marked_x == pytest.approx(0.05 * FLOOR)
    assert chart.is_log_x


def test_a_loss_at_its_floor_is_drawn_at_the_edge():
    (series,) = claim_chart(run([point(0, 1, expected_loss=FLOOR)], epochs=1)).series
    assert series.x == [1e-5]


def test_several_tests_are_corrected_and_their_number_is_said():
    moved = [((2.0, 0.1), (0.01, 0.5), (0.004, 0.5 + off)) for off in (0.001, -0.001, 0.002, 0.0)]
    results = [rounds(*moved), rounds(*moved), rounds(STILL, STILL, STILL)]
    (alone,), (together,) = (
        [s.tables[0] for s in claim_section(chosen)] for chosen in (results[:1], results)
    )
    assert float(together.rows[0][6]) == pytest.approx(2 * float(alone.rows[0][6]), abs=2e-3)
    assert together.rows[2][6:8] == ("–", "stands still")
    assert "corrected by Holm for 2 tests" in together.note
    assert "corrected by Holm for 1 test;" in alone.note


def test_only_finished_epochs_make_a_section():
    assert list(claim_section([run(), run([point(0, 0)])])) == []
    (section,) = claim_section([run(), finished(2)])
    assert len(section.figures) == 1
