"""What stands in the cells of a words sweep's tables: means, differences, shares and areas with their intervals."""

from hallulab.experiments.words_comparisons import Comparison
from hallulab.experiments.words_verdicts_run import Rate
from hallulab.reports.numbers import MISSING, decimal
from hallulab.theory.bootstrap import BootstrapMean
from hallulab.theory.clustered_auroc import ClusteredAuroc
from hallulab.theory.crossed_bootstrap import CrossedMean
from hallulab.theory.intervals import Interval


def interval(found: Interval | None, digits: int = 3) -> str:
    """The ends of an interval."""
    return MISSING if found is None else f"[{decimal(found.low, digits)}, {decimal(found.high, digits)}]"


def mean(found: BootstrapMean | None, digits: int = 3) -> str:
    """A mean with its interval."""
    return MISSING if found is None else f"{decimal(found.mean, digits)} {interval(found.interval, digits)}"


def difference(found: Comparison | None, digits: int = 4) -> str:
    """A paired difference with its interval, its p and that corrected for all comparisons of the run."""
    if found is None:
        return MISSING
    value = f"{decimal(found.mean, digits, signed=True)} {interval(found.interval, digits)}"
    return f"{value}, {p_value(found.p_value)}, Holm {written_p(found.p_holm)}"


def slope(found: CrossedMean | None, digits: int = 5) -> str:
    """A slope with its interval over both samples."""
    if found is None:
        return MISSING
    return f"{decimal(found.mean, digits, signed=True)} {interval(found.interval, digits)}"


def p_value(p: float) -> str:
    """Such as "p = 0.02"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def written_p(p: float) -> str:
    """The number alone."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def rate_of_learning(learning_rate: float | None) -> str:
    """A learning rate in its own digits."""
    return MISSING if learning_rate is None else f"{learning_rate:g}"


def rate(found: Rate) -> str:
    """A share with its interval and n."""
    if found.value is None:
        return MISSING
    return f"{decimal(found.value)} {interval(found.interval)} of {found.n:,}"


def auroc(found: ClusteredAuroc | None) -> str:
    """An area with its interval."""
    return MISSING if found is None else f"{decimal(found.value, 4)} {interval(found.interval, 4)}"
