"""Tables of the Coins tab."""

from collections.abc import Sequence

from hallulab.experiments.coin_summary import OverRounds
from hallulab.reports.numbers import MISSING, between, decimal, percent


def table_html(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls by itself on a phone; cells are HTML, and a cell alone takes the whole row."""
    head = "".join(f"<th>{title}</th>" for title in header)
    body = "".join(f"<tr>{_cells(row, len(header))}</tr>" for row in rows)
    return (
        f'<div class="hl-scroll"><table class="hl-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cells(row: Sequence[str], n_columns: int) -> str:
    if len(row) == 1:
        return f'<td colspan="{n_columns}">{row[0]}</td>'
    return "".join(f"<td>{cell}</td>" for cell in row)


def measured(over: OverRounds, *, as_percent: bool) -> str:
    """A mean over rounds, its interval small beneath it."""
    mean = percent(over.mean) if as_percent else decimal(over.mean)
    if over.low is None:
        return f"<b>{mean}</b>"
    return f"<b>{mean}</b><small>{between(over.low, over.high, as_percent=as_percent)}</small>"


def number(value: float | None, *, as_percent: bool) -> str:
    """A value without an interval."""
    return percent(value) if as_percent else decimal(value)


def gap(value: float | None, *, as_percent: bool) -> str:
    """A signed difference; shares in percentage points. What rounds to nothing has no sign."""
    if value is None:
        return MISSING
    if as_percent:
        shown = f"{round(100 * value, 1) + 0.0:+.1f}\N{NO-BREAK SPACE}points"
        return shown.replace("+0.0", "0.0").replace("-", "−")
    return f"{round(value, 3) + 0.0:+.3f}".replace("+0.000", "0.000").replace("-", "−")
