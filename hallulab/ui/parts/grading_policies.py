"""What graders taught a policy, in words and tables: when it says “I do not know”, how often it is wrong, how sure."""

from collections.abc import Sequence

from hallulab.experiments.over_worlds import OverWorlds
from hallulab.experiments.post_training_run import BASE, BINARY, STATED
from hallulab.experiments.post_training_summary import PolicyCalibration, PolicyRow, calibration_of, row_of
from hallulab.reports.figures import NEUTRAL, OUTSIDE
from hallulab.reports.numbers import MISSING, decimal
from hallulab.reports.post_training_figures import policy_title, shown_policies
from hallulab.reports.post_training_report import kept_words
from hallulab.ui.parts.coin_tables import table_html
from hallulab.ui.parts.density_cards import percent

SHOWN_TARGETS = (0.0, 0.5, 0.75, 0.9)
CALIBRATION_NOTE = """
<p class="hl-note"><b>Can its confidence be believed?</b> Confidence: how likely it is to give this answer when it
answers. Right: how often such answers are right. ECE is the average gap between the two, MCE the largest; Brier score
and log loss are smaller for honest confidence.</p>
"""


def policies_card(rows: Sequence[PolicyRow], calibrations: Sequence[PolicyCalibration]) -> str:
    """What binary grading did, and what stated targets did instead."""
    tone, text = _verdict(rows)
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{tone}"><span class="hl-pill" style="--hl-tone:{tone}">'
        f'{text}</span><p class="hl-sentence">{policies_sentence(rows)} '
        f"{calibration_sentence(calibrations)}</p></div>"
    )


def policies_sentence(rows: Sequence[PolicyRow]) -> str:
    """The finding in words; HTML."""
    base, binary = row_of(rows, BASE, 0.0), row_of(rows, BINARY, 0.0)
    if base is None or binary is None:
        return "Not finished."
    said = [
        f"<b>Binary grading</b> takes “I do not know” from {_share(base.idk)} to {_share(binary.idk)} of the questions "
        f"and hallucinations from {_share(base.wrong)} to {_share(binary.wrong)}."
    ]
    told = [row for row in rows if row.policy == STATED]
    if told:
        strict = told[-1]
        said.append(
            f"<b>Told t = {strict.target:g}</b>, one policy for every t says “I do not know” to {_share(strict.idk)} "
            f"and errs on {_share(strict.wrong)}. Its answers are {kept_words(told)}."
        )
    said.append(f"Mean over {_worlds(base.idk.n)}.")
    return " ".join(said)


def calibration_sentence(rows: Sequence[PolicyCalibration]) -> str:
    """What binary grading does to confidence; HTML."""
    base, binary = calibration_of(rows, BASE, 0.0), calibration_of(rows, BINARY, 0.0)
    if base is None or binary is None or base.ece.mean is None or binary.ece.mean is None:
        return ""
    return (
        f"<b>Its confidence</b>: before, it is {_share(base.confidence)} sure of its answers and "
        f"{_share(base.accuracy)} of them are right; after binary grading {_share(binary.confidence)} sure and "
        f"{_share(binary.accuracy)} right."
    )


def calibrations_table(rows: Sequence[PolicyCalibration]) -> str:
    """How far the confidence of the shown policies can be believed."""
    body = [
        [
            policy_title(row.policy, row.target),
            _measured(row.confidence),
            _measured(row.accuracy),
            *map(_score, (row.ece, row.mce, row.brier, row.log_loss)),
        ]
        for row in shown_policies(rows)
    ]
    header = ("policy", "sure", "right", "ECE", "MCE", "Brier", "log loss (nats)")
    return table_html(header, body)


def _verdict(rows: Sequence[PolicyRow]) -> tuple[str, str]:
    """What binary grading did, as a colour and a few words."""
    base, binary = row_of(rows, BASE, 0.0), row_of(rows, BINARY, 0.0)
    if base is None or binary is None or (binary.idk.mean or 0.0) >= (base.idk.mean or 0.0):
        return NEUTRAL, "? Binary grading changed little"
    if (binary.wrong.mean or 0.0) > (base.wrong.mean or 0.0):
        return OUTSIDE, "✕ Binary grading taught it to guess"
    return NEUTRAL, "? It stopped saying “I do not know”, and errs no more often"


def policies_table(rows: Sequence[PolicyRow]) -> str:
    """Base, binary and told policies at the named targets."""
    body = [
        [
            policy_title(row.policy, row.target),
            _measured(row.idk),
            _measured(row.wrong),
            _measured(row.accuracy),
        ]
        for row in rows
        if (row.policy == STATED and row.target in SHOWN_TARGETS)
        or (row.policy in (BASE, BINARY) and row.target == 0)
    ]
    header = ("trained by", "“I do not know”", "hallucinations", "right of the answered")
    return table_html(header, body)


def _share(over: OverWorlds) -> str:
    return MISSING if over.mean is None else percent(over.mean)


def _measured(over: OverWorlds) -> str:
    if over.mean is None or over.low is None or over.high is None:
        return f"<b>{_share(over)}</b>"
    return f"<b>{percent(over.mean)}</b><small>{100 * over.low:.1f} to {100 * over.high:.1f} %</small>"


def _score(over: OverWorlds) -> str:
    if over.mean is None or over.low is None or over.high is None:
        return f"<b>{decimal(over.mean)}</b>"
    return f"<b>{decimal(over.mean)}</b><small>{decimal(over.low)} to {decimal(over.high)}</small>"


def _worlds(n: int) -> str:
    return f"{n} world{'s' * (n != 1)}"
