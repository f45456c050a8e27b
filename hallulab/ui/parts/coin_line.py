"""The line between plausible answers and hallucinations, as the page sets it."""

from hallulab.scoring.coin_rule import CoinRule

BY_DELTA, BY_MASS = "probability δ", "HDR mass"


def line_rule(judge_by: str, delta: float | None, hdr_mass: float) -> CoinRule:
    """What counts as a hallucination; refused when it cannot."""
    return CoinRule(hdr_mass, delta if judge_by == BY_DELTA else None)
