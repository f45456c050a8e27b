"""The verdict as a person reads it: a pill, one sentence, and the state-by-state table."""

from dataclasses import dataclass
from html import escape

from hallulab.densities.hcdr import Verdict
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE
from hallulab.theory.intervals import Interval


@dataclass(frozen=True)
class Wording:
    """How a tab speaks of what it scores."""

    thing: str
    """one output, such as "answer" """
    things: str
    """several, such as "answers" """
    state: str
    """one latent state, such as "hint" """


ANSWERS = Wording("answer", "answers", "hint")
IMAGES = Wording("image", "images", "class")


def pill(verdict: Verdict | None) -> str:
    """A small coloured label; shape and word say the same as the colour."""
    text, colour = _label(verdict)
    return f'<span class="hl-pill" style="--hl-tone:{colour}">{text}</span>'


def verdict_card(verdict: Verdict | None, wording: Wording, *, hdr_mass: float, reason: str = "") -> str:
    """The pill and the one sentence under it; `reason` says why there is no verdict."""
    sentence = (
        escape(_as_sentence(reason))
        if verdict is None
        else verdict_sentence(verdict, wording, hdr_mass=hdr_mass)
    )
    colour = _label(verdict)[1]
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{colour}">{pill(verdict)}'
        f'<p class="hl-sentence">{sentence}</p></div>'
    )


def rate_card(n_outside: int, n: int, interval: Interval, wording: Wording, *, hdr_mass: float) -> str:
    """How many of several outputs hallucinate, with the interval of their share."""
    tone = OUTSIDE if n_outside else INSIDE
    label = f"✕ {n_outside} of {n}" if n_outside else f"✓ none of {n}"
    things = wording.things if n != 1 else wording.thing
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{tone}">'
        f'<span class="hl-pill" style="--hl-tone:{tone}">{label} {things} '
        f"{'hallucinate' if n > 1 else 'hallucinates'}</span>"
        f'<p class="hl-sentence">Hallucination rate {n_outside / n:.0%} '
        f"(95% interval {interval.low:.0%} to {interval.high:.0%}, n = {n}). "
        f"Of genuine {wording.things}, {_percent(1 - hdr_mass)} fall outside their own region by "
        "construction.</p></div>"
    )


def verdict_sentence(verdict: Verdict, wording: Wording, *, hdr_mass: float) -> str:
    """What the verdict means, with its margin; HTML, visitors' text escaped."""
    share = _percent(hdr_mass)
    best = max(verdict.states, key=lambda state: state.log_density - state.threshold)
    nearest = escape(best.state)
    if verdict.is_hallucination:
        under = (
            f"Under the {wording.state} “{nearest}”"
            if len(verdict.states) == 1
            else f"Under each of the {len(verdict.states)} possible causes"
        )
        return (
            f"{under}, this {wording.thing} is less likely than {share} of genuine {wording.things}. "
            f"It lies {-verdict.margin_nats:.1f} nats below the nearest threshold (“{nearest}”)."
        )
    return (
        f"Under “{nearest}”, this {wording.thing} is as likely as genuine {wording.things} are: "
        f"it lies {verdict.margin_nats:.1f} nats inside the region that holds {share} of them."
    )


def state_table(verdict: Verdict, wording: Wording) -> str:
    """Log-density, threshold and region of every state."""
    rows = "".join(
        f"<tr><td>{escape(state.state)}</td><td>{state.log_density:.2f}</td><td>{state.threshold:.2f}</td>"
        f"{_region_cell(state.inside)}<td>{state.n_genuine or '–'}</td></tr>"
        for state in verdict.states
    )
    return (
        '<div class="hl-scroll"><table class="hl-table"><thead><tr>'
        f"<th>{wording.state}</th><th>log-density (nats)</th><th>threshold (nats)</th>"
        f"<th>region</th><th>genuine {wording.things} (n)</th>"
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _as_sentence(reason: str) -> str:
    """A reason as a sentence of its own; the pill has already said that there is no verdict."""
    text = reason.removeprefix("no verdict: ").rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _percent(share: float) -> str:
    """A share in per cent, as exact as it was chosen: 90%, 99.5%."""
    return f"{round(100 * share, 1):g}%"


def _region_cell(inside: bool) -> str:
    return '<td class="hl-in">✓ inside</td>' if inside else '<td class="hl-out">✕ outside</td>'


def _label(verdict: Verdict | None) -> tuple[str, str]:
    if verdict is None:
        return "? No verdict", NEUTRAL
    if verdict.is_hallucination:
        return "✕ Hallucination", OUTSIDE
    return "✓ Not a hallucination", INSIDE
