"""Tables of the Coins tab."""

from collections.abc import Sequence

from hallulab.experiments.coin_over_rounds import OverRounds
from hallulab.reports.coin_numbers import mean_words, spread_words, value_words


def table_html(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls by itself on a phone; cells are HTML, and a cell alone takes the whole row."""
    head = "".join(f"<th>{title}</th>" for title in header)
    body = "".join(f"<tr>{_cells(row, len(header))}</tr>" for row in rows)
    return (
        f'<div class="hl-scroll"><table class="hl-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def measured(over: OverRounds | None, *, as_percent: bool, signed: bool = False) -> str:
    """A mean over rounds, what it leaves open small beneath it."""
    mean = f"<b>{mean_words(over, as_percent=as_percent, signed=signed)}</b>"
    spread = spread_words(over, as_percent=as_percent, signed=signed)
    return f"{mean}<small>{spread}</small>" if spread and spread != "one round" else mean


def beside_perfect(over: OverRounds, *, as_percent: bool) -> str:
    """The same, and under it what a network has that learned all there is to learn."""
    perfect = value_words(over.exact, as_percent=as_percent)
    return f"{measured(over, as_percent=as_percent)}<small>perfect: {perfect}</small>"


def _cells(row: Sequence[str], n_columns: int) -> str:
    if len(row) == 1:
        return f'<td colspan="{n_columns}">{row[0]}</td>'
    return "".join(f"<td>{cell}</td>" for cell in row)
