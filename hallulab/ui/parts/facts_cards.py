"""What the Facts tab says: a verdict on a learner, bounds beside truth, people by how often they were read, a fact."""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from hallulab.experiments.facts_measure import FactCard, FactsPlay
from hallulab.experiments.facts_run import FREQUENCIES, QWEN, LearnerPoint, WorldPoint
from hallulab.models.fact_learners import Learned
from hallulab.reports.facts_figures import LEARNER_TITLES
from hallulab.reports.facts_tables import LEARNER_NOTES
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, STATE_COLOURS
from hallulab.reports.numbers import decimal
from hallulab.theory.arbitrary_facts import FirstSize
from hallulab.ui.parts.density_cards import percent

SHOWN_IN_A_COLUMN = 12
"""people shown for each frequency"""
AS_PROMISED = (0.02, 0.2)
"""an error rate is what was promised when it differs by at most this, or by this share of the promise"""
ALMOST_NEVER = 0.0005
"""below this an error rate is written as never"""
FREQUENCY_WORDS = {"0": "never read", "1": "read once", "2": "read twice"}
KINDS = (("wrong", "✕", "a wrong date"), ("idk", "?", "“I do not know”"), ("right", "✓", "the right date"))


def world_card(world: WorldPoint, point: LearnerPoint) -> str:
    """The verdict on a learner: how often it is wrong, and whether that was to be expected."""
    tone = OUTSIDE if point.err >= ALMOST_NEVER else INSIDE
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{tone}"><span class="hl-pill" style="--hl-tone:{tone}">'
        f'{_pill(point)}</span><p class="hl-sentence">{world_sentence(world, point)}</p></div>'
    )


def no_learner_card(learner: str, why_not: str) -> str:
    """Why there is no verdict on this learner."""
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{NEUTRAL}"><span class="hl-pill">? No measurement</span>'
        f'<p class="hl-sentence">The {LEARNER_TITLES[learner]} is not shown: {escape(why_not)}. The bounds below need '
        "no learner.</p></div>"
    )


def world_sentence(world: WorldPoint, point: LearnerPoint) -> str:
    """How often the learner is wrong beside the promise, and why where they differ; HTML."""
    name, err, promised = LEARNER_TITLES[point.learner], point.err, percent(world.singleton_rate)
    share = f"the share of facts seen once: <b>{promised}</b>"
    if err < ALMOST_NEVER and world.singleton_rate < ALMOST_NEVER:
        return (
            f"<b>The {name} is practically never wrong.</b> Hardly any fact was seen only once ({promised} of the "
            "training sentences), so hardly anything is left to guess."
        )
    wrong = f"<b>The {name} is wrong on {percent(err)} of the birthdays it is asked for.</b>"
    if err < ALMOST_NEVER:
        wrong = f"<b>The {name} is never wrong.</b>"
    if abs(err - world.singleton_rate) <= max(AS_PROMISED[0], AS_PROMISED[1] * world.singleton_rate):
        told = f"{wrong} That it would be was promised by {share}."
        return told + (
            " It guesses what it never read as often as the data answers: that is what being calibrated means here."
            if point.delta < 1e-9
            else f" It is not exactly calibrated: δ = {decimal(point.delta, 3)}."
        )
    if err < world.singleton_rate:
        return (
            f"{wrong} The share of facts seen once, <b>{promised}</b>, is a promise to calibrated models only. This "
            f"one says “I do not know” to {percent(point.abstained)} of the questions and pays in calibration: δ = "
            f"{decimal(point.delta, 3)}."
        )
    read = _err_on_read(point)
    return (
        f"{wrong} The share of facts seen once promised <b>{promised}</b>; the rest is a poor model, not missing "
        f"facts: it is wrong on {percent(read)} of what it <i>did</i> read."
    )


def bound_tiles(world: WorldPoint, point: LearnerPoint | None) -> str:
    """What is guaranteed, what was foretold and what was measured, side by side."""
    low, high = world.esty_interval
    foretold = (
        f"{100 * low:.1f} to {100 * high:.1f} % of the questions are about a fact never read (95 %); in truth "
        f"{percent(world.missing_mass)}"
    )
    if point is None:
        lower = [("–", size_words(world.first_sizes[name])) for name in ("paper_lower", "sharp_lower")]
        wrong, rest = "–", "no learner to measure"
    else:
        lower = [
            (_at_least(value), size_words(world.first_sizes[name]))
            for name, value in (
                ("paper_lower", point.paper_lower_bound),
                ("sharp_lower", point.sharp_lower_bound),
            )
        ]
        wrong = percent(point.err)
        rest = f"right {percent(point.right)}, “I do not know” {percent(point.abstained)}"
    return _tiles(
        ("Guaranteed by Theorem 2", *lower[0], STATE_COLOURS[0]),
        ("Guaranteed, sharper", *lower[1], STATE_COLOURS[3]),
        ("Facts seen once", percent(world.singleton_rate), foretold, STATE_COLOURS[1]),
        ("Measured: wrong", wrong, rest, OUTSIDE),
    ) + ("" if point is None else _judging_tiles(point))


def _judging_tiles(point: LearnerPoint) -> str:
    """Theorem 1: what judging answers says about giving them."""
    size = decimal(point.size_term)
    return _tiles(
        (
            "Wrong when judging",
            percent(point.err_iiv),
            "err_iiv: told apart, half true, half false dates",
            INSIDE,
        ),
        (
            "Theorem 1 demands",
            _at_least(point.bound),
            f"2 · err_iiv − {size} − δ; {_beside_truth(point.bound, point.err)}",
            STATE_COLOURS[0],
        ),
        (
            "The same, sharper",
            _at_least(point.sharp_bound),
            f"with nothing given away; {_beside_truth(point.sharp_bound, point.err)}",
            STATE_COLOURS[3],
        ),
        (
            "δ: off calibration by",
            decimal(point.delta),
            f"as the slope of the rescaled loss: {decimal(abs(point.loss_slope))}",
            NEUTRAL,
        ),
    )


def _beside_truth(bound: float, err: float) -> str:
    """How close a lower bound comes to the truth."""
    if bound <= 0:
        return "says nothing here"
    return f"measured {percent(err)}"


def _tiles(*tiles: tuple[str, str, str, str]) -> str:
    """Numbers side by side: title, value, note and colour of each."""
    return '<dl class="hl-four">' + "".join(
        f'<div style="--hl-tone:{tone}"><dt>{title}</dt><dd>{value}<small>{note}</small></dd></div>'
        for title, value, note, tone in tiles
    ) + "</dl>"  # fmt: skip


def size_words(size: FirstSize) -> str:
    """From how many training sentences a bound says something about a calibrated learner of this world."""
    if size.in_this_world is None:
        if size.in_some_world is None:
            return "for calibrated models: at no N"
        return f"for calibrated models: at no N in this world, in larger ones from N = {size.in_some_world:,}"
    if size.until is None:
        return f"for calibrated models: from N = {size.in_this_world:,} on"
    return f"for calibrated models: from N = {size.in_this_world:,} to {size.until:,}"


def people_html(play: FactsPlay, learned: Learned, point: LearnerPoint, *, chosen: int | None) -> str:
    """Columns of people by how often training answered them: how the learner treats them, and some to click."""
    n_people = [one.n_prompts for one in point.by_frequency]
    first = next(people[0] for people in shown_people(play.counts.n_answered) if people)
    columns = "".join(
        f"<div><b>{_frequency_words(one.label)}</b><small>{_people(n)}</small>{_stack(one.err, one.abstained)}"
        f"<span>{'–' if one.err is None else f'{_short_percent(one.err)} wrong'}</span>"
        f'<div class="hl-dots">{_dots(play, learned, people, (first, chosen))}</div></div>'
        for one, n, people in zip(
            point.by_frequency, n_people, shown_people(play.counts.n_answered), strict=True
        )
    )
    legend = "".join(
        f'<span><span class="hl-key hl-{kind}"></span>{sign} {words}</span>' for kind, sign, words in KINDS
    )
    return f'<div class="hl-people">{columns}</div><p class="hl-legend">{legend}</p>'


def people_note(learner: str) -> str:
    """Who the learner is."""
    title = LEARNER_TITLES[learner]
    return f'<p class="hl-note"><b>{title[:1].upper() + title[1:]}</b>: {LEARNER_NOTES[learner]}.</p>'


def shown_people(n_answered: NDArray[np.int64]) -> list[list[int]]:
    """Some people of each frequency, from the most to the least asked about."""
    columns = []
    for fewest, most in FREQUENCIES:
        people = np.flatnonzero((n_answered >= fewest) & (n_answered <= (np.inf if most is None else most)))
        places = np.unique(
            np.linspace(0, len(people) - 1, min(len(people), SHOWN_IN_A_COLUMN)).round().astype(int)
        )
        columns.append(people[places].tolist())
    return columns


def fact_html(fact: FactCard | None, learner: str, n_samples: int | None) -> str:
    """One fact: what was read, what is said now."""
    if fact is None:
        return '<p class="hl-note">Click a dot above to see a person’s birthday as the learner knows it.</p>'
    said = fact.distributions[learner]
    right, idk = float(said[fact.right_answer]), float(said[-1])
    wrong = max(0.0, float(said.sum()) - right - idk)
    shares = "".join(
        f'<i class="hl-{kind}" style="--p:{share:.4f}"></i>'
        for kind, share in (("right", right), ("idk", idk), ("wrong", wrong))
    )
    return (
        f'<div class="hl-card hl-quiet hl-fact"><p class="hl-sentence"><b>{escape(fact.question)}</b> '
        f"{fact.answers[fact.right_answer]}. {_read_words(fact, n_samples)}</p>"
        f'<div class="hl-shares" role="img" aria-label="right {percent(right)}, I do not know {percent(idk)}, wrong '
        f'{percent(wrong)}">{shares}</div><p class="hl-sentence">The {LEARNER_TITLES[learner]} gives the right date '
        f"{percent(right)}, “I do not know” {percent(idk)}, another date <b>{percent(wrong)}</b>"
        f"{_spread_words(said, fact.right_answer)}.</p></div>"
    )


def _read_words(fact: FactCard, n_samples: int | None) -> str:
    times = {0: "never", 1: "once", 2: "twice"}
    among = "" if n_samples is None else f" among {n_samples:,} training sentences"
    read = times.get(fact.n_answered, f"{fact.n_answered:,} times")
    unanswered = (
        f", with “I do not know” instead {times.get(fact.n_idk, f'{fact.n_idk:,} times')}"
        if fact.n_idk
        else ""
    )
    return f"Its answer was read <b>{read}</b>{among}{unanswered}."


def _spread_words(said: NDArray[np.float64], right: int) -> str:
    """How many dates the error is spread over, where there is one."""
    others = np.delete(said[:-1], right)
    n = int((others > 1e-9).sum())
    if n == 0:
        return ""
    likeliest = float(others.max())
    return f", spread over {n:,} date{'s' * (n > 1)}, the likeliest at {percent(likeliest)}"


def _pill(point: LearnerPoint) -> str:
    if point.err < ALMOST_NEVER:
        return "✓ Never wrong, not calibrated" if point.delta > ALMOST_NEVER else "✓ Practically never wrong"
    return f"✕ Wrong on {percent(point.err)} of the birthdays"


def _err_on_read(point: LearnerPoint) -> float:
    """How often it errs on facts that training answered, by how often they are asked about."""
    read = [one for one in point.by_frequency if one.fewest > 0 and one.err is not None]
    mass = sum(one.prompt_mass for one in read)
    return sum(one.prompt_mass * (one.err or 0.0) for one in read) / mass if mass else 0.0


def _at_least(bound: float) -> str:
    return f"≥ {percent(bound)}" if bound > 0 else "silent"


def _frequency_words(label: str) -> str:
    return FREQUENCY_WORDS.get(label, f"{label} times")


def _people(n: int) -> str:
    return "nobody" if not n else f"{n:,} {'person' if n == 1 else 'people'}"


def _short_percent(share: float) -> str:
    return (
        f"{100 * share:.0f}\N{NO-BREAK SPACE}%"
        if share >= 0.005 or share == 0
        else "&lt; 1\N{NO-BREAK SPACE}%"
    )


def _stack(err: float | None, abstained: float | None) -> str:
    if err is None or abstained is None:
        return '<div class="hl-shares" aria-hidden="true"></div>'
    shares = (("wrong", err), ("idk", abstained), ("right", max(0.0, 1 - err - abstained)))
    bars = "".join(f'<i class="hl-{kind}" style="--p:{share:.4f}"></i>' for kind, share in shares)
    return f'<div class="hl-shares" aria-hidden="true">{bars}</div>'


def _dots(
    play: FactsPlay, learned: Learned, people: Sequence[int], first_and_chosen: tuple[int, int | None]
) -> str:
    """One dot a person, by what the learner does most often when asked about it; the Tab key finds the first of all."""
    first, chosen = first_and_chosen
    facts, truth = play.facts, learned.truth
    dots = ""
    for person in people:
        wrong = float((learned.probability[person] * truth.n_members[person] * ~truth.is_valid[person]).sum())
        idk = float(learned.abstention[person])
        does = {"wrong": wrong, "idk": idk, "right": 1 - wrong - idk}
        kind, sign, words = max(KINDS, key=lambda one: does[one[0]])
        said = f"{facts.name(person)}: mostly {words}, {percent(does[kind])}"
        pressed = " hl-chosen" if person == chosen else ""
        dots += (
            f'<span class="hl-{kind}{pressed}" role="button" data-place="{person}" '
            f'tabindex="{0 if person == first else -1}" '
            f'title="{escape(said)}" aria-label="{escape(said)}">{sign}</span>'
        )
    return dots


def learner_choices() -> list[tuple[str, str]]:
    """Learners for people, by name."""
    return [
        (title + (" (train it below)" if name == QWEN else ""), name)
        for name, title in LEARNER_TITLES.items()
    ]
