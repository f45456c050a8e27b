"""What the Density tab says: the verdict on the best estimate, the regions, a chosen point, a certificate, an audit."""

from html import escape

import numpy as np

from hallulab.experiments.bounds_audit import BOUND_TITLES, BoundsAudit
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, state_colour
from hallulab.reports.numbers import MISSING
from hallulab.theory.certificates import Certificate
from hallulab.theory.region_draws import Measure
from hallulab.ui.parts.coin_tables import table_html
from hallulab.ui.parts.density_answer import HCDR, HDR, DensityAnswer, PointVerdict, RegionRow

REGION_TITLES = {
    HCDR: "<b>HCDR</b><small>plausible under some state</small>",
    HDR: "<b>HDR</b><small>one threshold on the marginal</small>",
}


def answer_card(answer: DensityAnswer) -> str:
    """The verdict on A* as a person reads it."""
    return _card(_pill(answer.best.is_hallucination), answer_sentence(answer), answer.best.is_hallucination)


def answer_sentence(answer: DensityAnswer) -> str:
    """What the best estimate is, whether it is plausible, and what of its neighbours and of the HDR."""
    best, n = answer.best, answer.mixture.n_states
    at = coordinates(best.position)
    state = best.nearest_state + 1
    if best.is_hallucination:
        where = "the only state" if n == 1 else f"each of the {n} states"
        first = (
            f"<b>The best estimate is a hallucination.</b> The average of all answers, A* = {at}, makes the least "
            f"squared error, yet it is implausible under {where}: {nats(-best.margin_nats)} below the nearest "
            f"threshold, that of state {state}."
        )
    else:
        first = (
            f"<b>The best estimate is plausible.</b> The average of all answers, A* = {at}, makes the least squared "
            f"error and lies inside the region of state {state}, {nats(best.margin_nats)} above its threshold."
        )
    return " ".join(part for part in (first, _ball_sentence(answer), _hdr_sentence(best)) if part)


def _ball_sentence(answer: DensityAnswer) -> str:
    epsilon, best = answer.rule.epsilon, answer.best
    if epsilon == 0 or not best.is_hallucination:
        return ""
    if answer.is_ball_hallucination:
        return f"So is every estimate within ε = {epsilon:g} of it."
    return f"Within ε = {epsilon:g} of it there are plausible answers."


def _hdr_sentence(best: PointVerdict) -> str:
    """Said only where the two kinds of region disagree."""
    if best.is_hallucination and best.is_in_hdr:
        return "The ordinary HDR, one threshold on the marginal, would have let it pass."
    if not best.is_hallucination and not best.is_in_hdr:
        return "The ordinary HDR, one threshold on the marginal, would have rejected it."
    return ""


def regions_table(answer: DensityAnswer) -> str:
    """Shares and sizes of every region."""
    plane = answer.mixture.n_dimensions == 2
    rows = [
        [
            REGION_TITLES.get(region.name) or _state_title(region, index),
            percent(region.own_mass) if region.own_mass is not None else _share(region.mass),
            _size(region.size),
            "" if region.log_delta is None else decimal(float(np.exp(region.log_delta))),
        ]
        for index, region in enumerate(answer.rows)
    ]
    header = ("region", "holds", "area" if plane else "length", "δ")
    how = "A state’s region <b>holds</b> that share of its own answers; HCDR and HDR, of all answers."
    how += (
        " Numbers with a range come from seeded draws; the range holds the truth with 99 %." if plane else ""
    )
    return table_html(header, rows) + f'<p class="hl-note">{how}</p>'


def point_card(point: PointVerdict | None) -> str:
    """The verdict on a point that was clicked or typed."""
    if point is None:
        return '<p class="hl-note">Click anywhere on the figure to score an answer.</p>'
    parts = ", ".join(
        f"log f<sub>{index}</sub> = {decimal(float(density))} ({'above' if margin > 0 else 'not above'} "
        f"{decimal(float(density - margin))})"
        for index, (density, margin) in enumerate(
            zip(point.log_densities, point.margins, strict=True), start=1
        )
    )
    return _card(
        _pill(point.is_hallucination),
        f"The answer {coordinates(point.position)}: {parts}.",
        point.is_hallucination,
    )


def certificate_card(certificate: Certificate | None) -> str:
    """What a theorem's construction promises, and whether it holds in numbers."""
    if certificate is None:
        return ""
    tone, word = (INSIDE, "✓ holds") if certificate.holds else (OUTSIDE, "✕ fails")
    tightest = certificate.tightest_claim
    said = (
        certificate.reason
        or f"All {len(certificate.claims)} claims hold; the tightest promise, {tightest.about}, with "
        f"{decimal(tightest.margin)} {tightest.unit} to spare."
    )
    rows = [
        [
            escape(claim.about), decimal(claim.left), decimal(claim.right),
            '<span class="hl-in">✓</span>' if claim.holds else '<span class="hl-out">✕</span>',
        ]
        for claim in certificate.claims
    ]  # fmt: skip
    version = certificate.version.replace("_", " ")
    return (
        f'<div class="hl-card" style="--hl-tone:{tone}"><span class="hl-pill" style="--hl-tone:{tone}">'
        f"Theorem {certificate.theorem}, {version}: {word}</span>"
        f'<p class="hl-sentence">{escape(certificate.statement)} {escape(said)}</p>'
        f'<p class="hl-note">{escape(certificate.remark)}</p></div>'
        + table_html(("claim: left at most right", "left", "right", ""), rows)
    )


def audit_tiles(audit: BoundsAudit) -> str:
    """The paper's bound, the best proved one and the measured rate, side by side."""
    paper, best, measured = audit.paper, audit.best_proved, audit.measured
    if paper.value is None:
        claimed = "silent", paper.reason or ""
    else:
        proof = "proved for N = 2" if paper.is_proved else "its last step is not proved for N > 2"
        claimed = _at_least(paper.value), f"Theorem 6.1 as printed; {proof}"
    proved = (
        ("nothing", "no proved bound says more than 0 here")
        if best is None or best.value is None
        else (_at_least(best.value), BOUND_TITLES[best.name])
    )
    interval = measured.interval
    found = (
        percent(measured.rate),
        f"{100 * measured.confidence:g} % interval {100 * interval.low:.2f} to {100 * interval.high:.2f} %, "
        f"n = {measured.n_draws:,}",
    )
    tiles = (
        ("The paper’s bound", claimed, OUTSIDE),
        ("Proved here", proved, INSIDE),
        ("Measured", found, NEUTRAL),
    )
    return '<dl class="hl-three">' + "".join(
        f'<div style="--hl-tone:{tone}"><dt>{title}</dt><dd>{value}<small>{escape(note)}</small></dd></div>'
        for title, (value, note), tone in tiles
    ) + "</dl>"  # fmt: skip


def coordinates(position: np.ndarray) -> str:
    """A point as people write it."""
    numbers = [decimal(float(value)) for value in position]
    return numbers[0] if len(numbers) == 1 else f"({', '.join(numbers)})"


def decimal(value: float) -> str:
    """Three digits and a true minus; what is nothing has no sign."""
    text = (
        f"{value:.3g}"
        if abs(value) >= 5e-4 and abs(value) < 1e4
        else ("0" if abs(value) < 1e-9 else f"{value:.2e}")
    )
    return text.replace("-", "−")


def nats(value: float) -> str:
    """A distance between log-densities."""
    return f"{value:.2f} nats" if value >= 0.005 else "a hair"


def percent(share: float) -> str:
    """A share to a tenth of a percent, kept on one line."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _at_least(probability: float) -> str:
    if probability >= 0.0005:
        return f"≥ {percent(probability)}"
    mantissa, exponent = f"{probability:.1e}".split("e")
    return f"≥ {mantissa} × 10<sup>−{-int(exponent)}</sup>"


def _state_title(region: RegionRow, index: int) -> str:
    return f'<span class="hl-key" style="--hl-tone:{state_colour(index)}"></span>{region.name}'


def _share(measure: Measure | None) -> str:
    if measure is None:
        return MISSING
    if measure.interval is None:
        return percent(measure.value)
    low, high = measure.interval.low, measure.interval.high
    return f"{percent(measure.value)}<small>{100 * low:.1f} to {100 * high:.1f} %</small>"


def _size(measure: Measure | None) -> str:
    if measure is None:
        return MISSING
    if measure.interval is None:
        return decimal(measure.value)
    return f"{decimal(measure.value)}<small>{measure.interval.low:.2f} to {measure.interval.high:.2f}</small>"


def _pill(is_hallucination: bool) -> str:
    text, tone = ("✕ Hallucination", OUTSIDE) if is_hallucination else ("✓ Not a hallucination", INSIDE)
    return f'<span class="hl-pill" style="--hl-tone:{tone}">{text}</span>'


def _card(pill: str, sentence: str, is_hallucination: bool) -> str:
    tone = OUTSIDE if is_hallucination else INSIDE
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{tone}">{pill}'
        f'<p class="hl-sentence">{sentence}</p></div>'
    )
