"""Whether right answers stand still while the loss goes on falling, in sentences."""

from hallulab.experiments.coin_claim import CHANGE_MARGIN, NEAR_FLOOR, CoinClaim, RoundCorrelations
from hallulab.experiments.coin_over_rounds import OverRounds
from hallulab.reports.coin_numbers import mean_words
from hallulab.reports.numbers import MISSING, decimal
from hallulab.theory.equivalence import Equivalence


def claim_sentences(claim: CoinClaim) -> list[str]:
    """One run for somebody who knows no statistics."""
    near = f"within {100 * NEAR_FLOOR:g} % of the least possible"
    if not claim.n_near or claim.right_change is None:
        return [
            _whole(claim.whole),
            f"In no round did the loss come {near}, so whether being right stands still there cannot be asked.",
        ]
    came = "one round" if claim.n_near == 1 else f"{claim.n_near} rounds"
    return [
        f"Its chance of being right: {_percents(claim.right_untrained)} untrained, {_percents(claim.right_near)} "
        "when the "
        f"loss first came {near} (at epoch {mean_words(claim.near_epoch, digits=1)}; {came}), "
        f"{_percents(claim.right_last)} at the last epoch.",
        _after(claim, claim.right_change),
        _whole(claim.whole),
    ]


def change_words(change: Equivalence | None) -> str:
    """In percentage points, with the 90 % interval of the test."""
    if change is None:
        return MISSING
    mean = f"{decimal(100 * change.mean, 2, signed=True)} points"
    if change.interval is None:
        alike = f" [all {change.n} rounds alike]" if change.verdict != "undecided" else ""
        return f"{mean}{alike}"
    low, high = (decimal(100 * end, 2, signed=True) for end in (change.interval.low, change.interval.high))
    return f"{mean} [{low} to {high}]"


def _whole(found: RoundCorrelations) -> str:
    over = found.over_rounds
    opening = "Over the whole training, the untrained network included,"
    if over is None:
        return f"{opening} loss or P(right) stood still in every round, so they have no rank correlation."
    n_rounds = "one round" if over.n == 1 else f"{over.n} rounds"
    undefined = f"; {found.n_undefined} more stood still" if found.n_undefined else ""
    number = f"Spearman's rank correlation {decimal(over.mean, 2)}"
    if over.interval is None:
        return f"{opening} loss and P(right) have {number} ({n_rounds}{undefined})."
    if over.interval.high < 0:
        meaning = "less loss goes with more right answers"
    elif over.interval.low > 0:
        meaning = "less loss goes with fewer right answers"
    else:
        meaning = "the rounds show no clear relation of loss and right answers"
    ends = f"95 % interval {decimal(over.interval.low, 2)} to {decimal(over.interval.high, 2)}, {n_rounds}{undefined}"
    return f"{opening} {meaning}: {number} ({ends})."


def _after(claim: CoinClaim, change: Equivalence) -> str:
    """What the equivalence test says."""
    margin = f"±{100 * CHANGE_MARGIN:g} point"
    meaning = {
        "within": f"within the margin of {margin}, so being right stands still",
        "beyond": f"more than the margin of {margin}, so being right goes on moving",
        "undecided": f"and whether that is within the margin of {margin}, these rounds cannot say",
    }[change.verdict]
    return (
        f"From there to the last epoch the loss moved by {mean_words(claim.loss_change, digits=4, signed=True)} and "
        "P(right) "
        f"by {change_words(change)}, {meaning}."
    )


def _percents(over: OverRounds) -> str:
    return mean_words(over, as_percent=True)
