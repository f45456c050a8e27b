import numpy as np
import pytest
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory.equivalence import equivalence_test


def test_the_verdict_is_read_from_the_90_percent_interval():
    # mean 0.2, standard error 0.1 / √3 = 0.0577; t(0.95, 2) = 2.9200, so 0.2 ± 0.1686
    found = equivalence_test([0.1, 0.2, 0.3], margin=0.4)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.0314, 0.3686), abs=1e-4)
    assert (found.verdict, found.n) == ("within", 3)
    assert equivalence_test([0.1, 0.2, 0.3], margin=0.36).verdict == "undecided"
    assert equivalence_test([0.1, 0.2, 0.3], margin=0.03).verdict == "beyond"
    assert equivalence_test([-0.1, -0.2, -0.3], margin=0.03).verdict == "beyond"


def test_the_p_value_is_that_of_the_nearer_one_sided_test():
    values = np.random.default_rng(0).normal(0.3, 1, size=12)
    found = equivalence_test(values, margin=0.9)
    one_sided = [
        stats.ttest_1samp(values, 0.9, alternative="less").pvalue,
        stats.ttest_1samp(values, -0.9, alternative="greater").pvalue,
    ]
    assert found.p_value == pytest.approx(max(one_sided))
    assert (found.p_value < 0.05) == (found.verdict == "within")


def test_equal_values_are_read_as_they_are_and_few_decide_nothing():
    assert equivalence_test([0.0] * 5, margin=0.1).verdict == "within"
    assert equivalence_test([0.2] * 3, margin=0.1).verdict == "beyond"
    assert equivalence_test([0.2] * 3, margin=0.1).p_value is None
    assert equivalence_test([0.0, 0.0], margin=0.1).verdict == "undecided"
    assert equivalence_test([], margin=0.1) is None


def test_a_mean_at_the_margin_is_called_as_good_as_zero_in_one_of_twenty_samples():
    rng = np.random.default_rng(1)
    called = [equivalence_test(rng.normal(1, 0.5, 10), margin=1.0).verdict == "within" for _ in range(2_000)]
    assert np.mean(called) == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 2_000))


@pytest.mark.parametrize("wrong", [{"margin": 0}, {"margin": float("nan")}, {"margin": 1, "level": 0.5}])
def test_refuses_a_margin_or_level_out_of_range(wrong):
    with pytest.raises(RefusedInputError, match="expected a margin above 0 and a level below"):
        equivalence_test([1, 2, 3], **wrong)
