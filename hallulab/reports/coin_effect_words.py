"""Whether another objective hallucinates less without losing accuracy, in sentences."""

from collections.abc import Sequence

from hallulab.experiments.coin_effects import DeltaEffect, WayEffect
from hallulab.reports.coin_words import listed, short_way_title
from hallulab.reports.numbers import decimal
from hallulab.theory.simultaneous_bands import MIN_CURVES


def effect_sentences(effects: Sequence[WayEffect]) -> list[str]:
    """Whether any way lowers hallucination without losing accuracy, ties and the rest apart.

    Args:
        effects: of one N and variant, at least one.
    """
    known = [(effect, effect.over_delta) for effect in effects if effect.over_delta]
    judged = [(effect, over) for effect, over in known if over.total.half_width is not None]
    if not judged:
        return [
            f"Too few rounds to tell objectives apart at every δ at once: train at least {MIN_CURVES} rounds of each."
        ]
    lower = [(effect, over) for effect, over in judged if over.total.is_below_zero.any()]
    own = [effect for effect, over in lower if over.off_ties.is_below_zero.any()]
    free_own = [effect for effect in own if effect.cost in ("same", "lower")]
    free_ties = [effect for effect, _ in lower if effect not in own and effect.cost in ("same", "lower")]
    paid = [effect for effect, _ in lower if effect.cost == "higher"]
    none = [effect for effect, over in judged if not over.total.is_below_zero.any()]
    sentences = [
        f"Yes: {_names(free_own)} hallucinates less at some δ without a measurable loss in squared error, and not on "
        "ties "
        "alone."
        if free_own
        else "Not that these rounds could show: apart from ties, nothing measurably hallucinates less than squared "
        "error without losing accuracy."
    ]
    unproven = [(effect, over) for effect, over in judged if effect not in free_own]
    if unproven:
        _, most = max(unproven, key=lambda pair: largest_gain(pair[1]))
        sentences.append(
            f"A gain off ties of more than {decimal(100 * largest_gain(most), 1)} points at any δ is excluded for "
            f"{'every other way' if free_own else 'all of them'}."
        )
    if free_ties:
        sentences.append(
            f"On ties alone, and at no measurable cost: {_names(free_ties)}. The rounded average does the same when "
            "it says "
            "the likelier count of a tie, with no other objective."
        )
    if paid:
        sentences.append(
            f"Hallucinates less at some δ, and pays with a larger squared error: {_names(paid)}."
        )
    if none:
        sentences.append(f"Measurably less at no δ: {_names(none)}.")
    n = effects[0].n_ways
    sentences.append(
        f"Every statement holds for all δ and all {n} comparisons together, with 95 % confidence."
        if n > 1
        else "The statement holds for all δ together, with 95 % confidence."
    )
    return sentences


def largest_gain(over: DeltaEffect) -> float:
    """How far below the reference the band of what is not ties still reaches, as a share of the draws."""
    return float((over.off_ties.half_width or 0.0) - over.off_ties.mean.min())


def _names(effects: Sequence[WayEffect]) -> str:
    return listed([effect_name(effect) for effect in effects])


def effect_name(effect: WayEffect) -> str:
    return short_way_title(effect.settings.objective, effect.answer, effect.settings.variant)
