"""The interval of a hallucination rate as a bar from 0 to 100 %."""

from hallulab.theory.intervals import Interval


def interval_bar(
    interval: Interval, rate: float | None, *, line: float, genuine: float, things: str, note: str
) -> str:
    """The interval, with the rate, the line it is decided by, and what genuine outputs do.

    Args:
        interval: of the rate.
        rate: share of hallucinations so far; None before the first verdict.
        line: what decides "mostly".
        genuine: share of genuine outputs that fall outside by construction.
        things: what the outputs are, such as "answers".
        note: one more sentence, on what the interval means.
    """
    mark = "" if rate is None else f'<i class="hl-rate" style="left:{rate:.2%}"></i>'
    return (
        f'<div class="hl-range" role="img" aria-label="interval from {interval.low:.0%} to {interval.high:.0%}">'
        f'<b style="left:{interval.low:.2%};width:{interval.high - interval.low:.2%}"></b>'
        f'<i class="hl-genuine" style="left:{genuine:.2%}"></i><i class="hl-line" style="left:{line:.2%}"></i>{mark}'
        f'</div><div class="hl-range-ends"><span>0%</span><span>hallucination rate</span><span>100%</span></div>'
        f'<p class="hl-note">Dashed: {line:.0%}, which decides “mostly”. Dotted: {genuine:.0%}, the share of genuine '
        f"{things} that fall outside by construction. {note}</p>"
    )
