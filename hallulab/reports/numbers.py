"""Numbers as reports and the page write them: true minus, no minus before 0, a dash for what is missing."""

from collections.abc import Callable

from hallulab.theory.intervals import Interval

MISSING = "–"


def decimal(value: float | None, digits: int = 3, *, signed: bool = False) -> str:
    """A number with a fixed number of decimals."""
    if value is None:
        return MISSING
    written = f"{value:{'+' if signed else ''}.{digits}f}"
    return written.lstrip("+-") if float(written) == 0 else written.replace("-", "−")


def percent(share: float | None) -> str:
    """A share to a tenth of a percent."""
    return MISSING if share is None else f"{decimal(100 * share, 1)} %"


def between(low: float | None, high: float | None, *, as_percent: bool = False) -> str:
    """An interval, "0.1 to 0.2"."""
    if low is None or high is None:
        return MISSING
    if as_percent:
        return f"{decimal(100 * low, 1)} to {decimal(100 * high, 1)} %"
    return f"{decimal(low)} to {decimal(high)}"


def span(interval: Interval | None, written: Callable[[float], str]) -> str:
    """An interval whose ends are written so."""
    return MISSING if interval is None else f"{written(interval.low)} to {written(interval.high)}"
