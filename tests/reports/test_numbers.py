"""Numbers as people read them."""

import pytest

from hallulab.reports.numbers import between, decimal, percent


@pytest.mark.parametrize(
    ("value", "digits", "written"),
    [(-0.5, 2, "−0.50"), (-0.0001, 2, "0.00"), (1234.5678, 1, "1234.6"), (None, 2, "–"), (0.0, 3, "0.000")],
)
def test_decimals_have_a_true_minus_and_nothing_has_no_sign(value, digits, written):
    assert decimal(value, digits) == written


def test_a_sign_is_written_where_it_is_asked_for():
    assert [decimal(value, 1, signed=True) for value in (0.26, -0.26, -0.01)] == ["+0.3", "−0.3", "0.0"]


def test_shares_and_intervals():
    assert [percent(share) for share in (0.1234, -0.5, None)] == ["12.3 %", "−50.0 %", "–"]
    assert between(-0.1, 0.25) == "−0.100 to 0.250"
    assert between(0.1, 0.25, as_percent=True) == "10.0 to 25.0 %"
    assert between(0.1, None) == "–"
