import pytest

from hallulab.experiments.coin_over_rounds import over_rounds
from hallulab.reports.coin_numbers import mean_words, spread_words, value_words, with_spread

NBSP = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.1, 0.2, 0.3], "0.200 [−0.048 to 0.448]"),
        ([0.25, 0.75], "0.500 [0.250 and 0.750]"),
        ([0.4], "0.400 [one round]"),
        ([0.0] * 5, "0.000 [all 5 rounds alike]"),
        ([None], "–"),
    ],
)
def test_a_mean_says_what_it_leaves_open(values, words):
    assert with_spread(over_rounds(values)) == words


def test_shares_are_percentages_and_their_differences_points():
    over = over_rounds([0.1, 0.2, 0.3], within=(0, 1))
    assert with_spread(over, as_percent=True) == "20.0 % [0.0 to 44.8 %]"
    assert with_spread(over_rounds([0.012, -0.01, 0.004]), as_percent=True, signed=True) == (
        f"+0.2{NBSP}points [−2.6 to +3.0]"
    )


def test_a_sample_of_draws_is_told_beside_the_rounds():
    over = over_rounds([0.1, 0.2, 0.3], draws_intervals=[(0.1, 0.2), (0.2, 0.3)])
    assert spread_words(over) == "−0.048 to 0.448; a sample of draws: 0.150 to 0.250"


def test_differences_have_a_sign_unless_they_are_nothing():
    assert value_words(-0.0123, as_percent=True, signed=True) == f"−1.2{NBSP}points"
    assert value_words(0.0123, as_percent=True, signed=True) == f"+1.2{NBSP}points"
    assert value_words(-0.0001, as_percent=True, signed=True) == f"0.0{NBSP}points"
    assert value_words(0.0204, signed=True) == "+0.020"
    assert value_words(-0.0001, signed=True) == "0.000"
    assert value_words(None, as_percent=True, signed=True) == mean_words(None) == "–"
    assert spread_words(None) == ""
