"""How the command line, reports and the page write a quantity that was averaged over rounds."""

from hallulab.experiments.coin_over_rounds import OverRounds
from hallulab.reports.numbers import MISSING, between, decimal, percent


def mean_words(
    over: OverRounds | None, *, as_percent: bool = False, digits: int = 3, signed: bool = False
) -> str:
    """The mean alone; a signed share is a difference, in percentage points."""
    return value_words(over and over.mean, as_percent=as_percent, digits=digits, signed=signed)


def spread_words(
    over: OverRounds | None, *, as_percent: bool = False, digits: int = 3, signed: bool = False
) -> str:
    """What rounds, and a sample of draws, leave open: an interval where there is one, else how many there are."""
    if over is None or over.mean is None:
        return ""
    if over.n_rounds == 1:
        words = "one round"
    elif over.is_constant:
        words = f"all {over.n_rounds} rounds alike"
    elif over.low is None:
        ends = (over.lowest, over.highest)
        words = " and ".join(
            value_words(end, as_percent=as_percent, digits=digits, signed=signed) for end in ends
        )
    else:
        words = _ends(over.low, over.high, as_percent, digits, signed)
    if over.draws_low is not None:
        words += f"; a sample of draws: {_ends(over.draws_low, over.draws_high, as_percent, digits, signed)}"
    return words


def with_spread(
    over: OverRounds | None, *, as_percent: bool = False, digits: int = 3, signed: bool = False
) -> str:
    """The mean, and in brackets what it leaves open."""
    mean = mean_words(over, as_percent=as_percent, digits=digits, signed=signed)
    spread = spread_words(over, as_percent=as_percent, digits=digits, signed=signed)
    return f"{mean} [{spread}]" if spread else mean


def value_words(
    value: float | None, *, as_percent: bool = False, digits: int = 3, signed: bool = False
) -> str:
    """A number without a spread."""
    if not as_percent:
        return decimal(value, digits, signed=signed)
    if not signed:
        return percent(value)
    return MISSING if value is None else f"{decimal(100 * value, 1, signed=True)}\N{NO-BREAK SPACE}points"


def _ends(low: float | None, high: float | None, as_percent: bool, digits: int, signed: bool) -> str:
    if as_percent and not signed:
        return between(low, high, as_percent=True)
    scale, n_digits = (100, 1) if as_percent else (1, digits)
    ends = [None if end is None else scale * end for end in (low, high)]
    return " to ".join(decimal(end, n_digits, signed=signed) for end in ends)
