"""What the Facts tab does when a world or a learner is chosen, or a fact clicked: plain functions on what is shown."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import gradio as gr
import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from hallulab.data.coins import check_whole
from hallulab.data.facts_world import WorldSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.facts_measure import (
    SIZES_PER_DECADE,
    FactsPlay,
    curve_sizes,
    fact_card,
    measure_learner,
    play_facts,
    size_curve,
)
from hallulab.experiments.facts_run import QWEN, FactsSettings, LearnerPoint, SizePoint
from hallulab.models.fact_learners import GROUPED_LEARNERS, Learned
from hallulab.theory.arbitrary_facts import count_singletons
from hallulab.ui.parts.controls import shown_plot
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.facts_cards import (
    bound_tiles,
    fact_html,
    no_learner_card,
    people_html,
    people_note,
    shown_people,
    world_card,
)
from hallulab.ui.parts.facts_figures import curve_figure, dates_figure

LEAST_PEOPLE, MOST_PEOPLE = 10, 60_000
LEAST_SAMPLES, MOST_SAMPLES = 10, 1_000_000
MOST_KEPT = 750_000
"""people × dates of a learner that keeps every answer of every person: more is not quick enough for a slider"""
MANY_PEOPLE = 10_000
"""from here on the curve is measured at fewer sizes, to stay as quick"""


@dataclass(frozen=True)
class FactsPreset:
    """A world worth a look."""

    title: str
    world: WorldSettings
    n_samples: int
    lesson: str


PRESETS: Mapping[str, FactsPreset] = {
    "town": FactsPreset(
        "A town, some people better known",
        WorldSettings(n_prompts=2_000, zipf_exponent=0.6),
        2_000,
        "As many sentences as people: many facts were read once, many never. Those it never read it must guess.",
    ),
    "country": FactsPreset(
        "A country where all are asked about alike",
        WorldSettings(n_prompts=60_000, zipf_exponent=0.0, answer_rate=1.0),
        25_000,
        "Fewer than half as many sentences as people, and nobody is famous. Here even the paper’s own bound speaks.",
    ),
    "stars": FactsPreset(
        "A few stars, many unknown",
        WorldSettings(n_prompts=5_000, zipf_exponent=1.6, answer_rate=0.9),
        20_000,
        "Nearly every question is about a star, so rare facts hardly matter, and neither does guessing them.",
    ),
    "shy": FactsPreset(
        "A town that mostly says “I do not know”",
        WorldSettings(n_prompts=2_000, zipf_exponent=0.6, answer_rate=0.25),
        2_000,
        "The data itself says “I do not know” three times in four. A calibrated model copies that, and errs less.",
    ),
}
FIRST_PRESET = "town"


@dataclass(frozen=True)
class FactsChoice:
    """What the visitor has set, in the order in which the page sends it."""

    n_prompts: Any
    zipf_exponent: Any
    answer_rate: Any
    n_samples: Any
    seed: Any
    learner: str

    @property
    def settings(self) -> FactsSettings:
        """The run; refused when it cannot be one, or is too large for a page."""
        world = WorldSettings(
            n_prompts=check_whole("people", self.n_prompts, LEAST_PEOPLE, MOST_PEOPLE),
            zipf_exponent=_number("Zipf exponent", self.zipf_exponent),
            answer_rate=_number("answer rate α", self.answer_rate),
        )
        n = check_whole("training sentences", self.n_samples, LEAST_SAMPLES, MOST_SAMPLES)
        seed = check_whole("seed", self.seed, 0, 2**32 - 1)
        return FactsSettings(world, n, (self.learner,), rounds=1, seed=seed)


@dataclass(frozen=True, eq=False)
class Trained:
    """The small network of one world, as it was after its last epoch that was read."""

    settings: FactsSettings
    """of the world it learned; its learner is the network"""
    learned: Learned
    point: LearnerPoint


@dataclass(frozen=True, eq=False)
class Shown:
    """One world with the learner that is looked at."""

    play: FactsPlay
    learner: str
    learned: Learned | None
    """None where this page cannot show the learner"""
    point: LearnerPoint | None
    why_not: str = ""
    """why it cannot"""


def show_facts(*values: Any) -> tuple[Any, ...]:
    """As `facts_panels`, the last figure hidden while there is none."""
    *panels, dates = facts_panels(*values)
    return *panels, shown_plot(dates)


def facts_panels(trained: Trained | None, prompt: int | None, *chosen: Any) -> tuple[Any, ...]:
    """Everything that follows from the world and the learner.

    Args:
        trained: the network, if one was trained in this visit.
        prompt: the fact that is looked at.
        chosen: as `FactsChoice`.

    Returns: verdict, tiles, curve, people, who the learner is, the fact, and the figure of its dates or None.
    """
    with shown_to_visitor():
        settings = FactsChoice(*chosen).settings
        shown = look(settings, trained)
        curve = curve_of(settings.world, settings.seed)
    world = shown.play.point
    if shown.learned is None or shown.point is None:
        card, people = no_learner_card(shown.learner, shown.why_not), ""
    else:
        card = world_card(world, shown.point)
        people = people_html(shown.play, shown.learned, shown.point, chosen=prompt)
    return (
        card,
        bound_tiles(world, shown.point),
        curve_figure(settings, world, curve, shown.point),
        people,
        people_note(shown.learner) if people else "",
        *_fact(shown, prompt),
    )


def show_fact(trained: Trained | None, prompt: int | None, *chosen: Any) -> tuple[Any, Any, int | None]:
    """One fact: its card, its distribution over dates, and which it is."""
    with shown_to_visitor():
        shown = look(FactsChoice(*chosen).settings, trained)
    about, dates = _fact(shown, prompt)
    return about, shown_plot(dates), prompt


def choose_preset(name: str) -> tuple[Any, ...]:
    """The preset's world: people, Zipf exponent, α, N, its lesson, and no fact chosen."""
    if name not in PRESETS:
        raise gr.Error("Choose one of the worlds in the list.", print_exception=False)
    preset = PRESETS[name]
    world = preset.world
    return (
        world.n_prompts,
        world.zipf_exponent,
        world.answer_rate,
        preset.n_samples,
        lesson_html(name),
        None,
    )


def lesson_html(name: str) -> str:
    """What to see in a preset."""
    return f'<p class="hl-note">{PRESETS[name].lesson}</p>'


def look(settings: FactsSettings, trained: Trained | None = None) -> Shown:
    """A world with its learner measured; quick enough for a slider.

    Args:
        settings: with one learner.
        trained: the network, if there is one.
    """
    learner = settings.learners[0]
    n_kept = settings.world.n_prompts * (settings.world.n_answers + 1)
    if learner == QWEN:
        play = _played(replace(settings, learners=("memoriser",)))
        if trained is None or not is_same_world(trained.settings, settings):
            return Shown(play, QWEN, None, None, "it has not been trained on this world: train it below")
        return Shown(play, QWEN, trained.learned, trained.point)
    if learner not in GROUPED_LEARNERS and n_kept > MOST_KEPT:
        play = _played(replace(settings, learners=("memoriser",)))
        most = MOST_KEPT // (settings.world.n_answers + 1)
        return Shown(
            play,
            learner,
            None,
            None,
            f"it keeps every date of every person, so choose at most {most:,} people",
        )
    play = _played(settings)
    return Shown(play, learner, play.learned[learner], play.learners[learner])


def is_same_world(one: FactsSettings, other: FactsSettings) -> bool:
    """Whether two runs draw the same world and the same training sentences."""
    return (one.world, one.n_samples, one.seed) == (other.world, other.n_samples, other.seed)


def measured_network(
    settings: FactsSettings, learned: Learned, epoch: int, train_loss: float | None
) -> Trained:
    """The network after an epoch, beside the bounds."""
    play = _played(replace(settings, learners=("memoriser",)))
    seen = count_singletons(play.counts.n_answered, play.counts.n_samples)
    point = measure_learner(
        QWEN, learned, play.counts, seen, seed=settings.seed, epoch=epoch, train_loss=train_loss
    )
    return Trained(settings, learned, point)


@lru_cache(maxsize=16)
def curve_of(world: WorldSettings, seed: int) -> tuple[SizePoint, ...]:
    """The memoriser at every training size; worlds are drawn from their seed, so they can be kept."""
    is_large = world.n_prompts > MANY_PEOPLE
    sizes = [n for place, n in enumerate(curve_sizes()) if not is_large or _is_drawn(place, n, world)]
    return tuple(size_curve(FactsSettings(world), seed=seed, sizes=sizes))


def _is_drawn(place: int, n: int, world: WorldSettings) -> bool:
    """Whether the curve of a large world is measured here: close together around its size, decades elsewhere."""
    return 0.1 <= n / world.n_prompts <= 3 or (
        place % SIZES_PER_DECADE == 0 and 100 <= n <= 100 * world.n_prompts
    )


def fact_record(play: FactsPlay, learner: str, prompt: Any) -> dict[str, Any]:
    """One fact as JSON; refused for a person who is not there."""
    found = fact_card(play, check_whole("fact", prompt, 0, play.facts.n_prompts - 1))
    return {
        "fact": found.prompt,
        "question": found.question,
        "right_answer": found.answers[found.right_answer],
        "n_answered": found.n_answered,
        "n_idk": found.n_idk,
        "prompt_weight": found.prompt_weight,
        "distribution": dict(zip(found.answers, found.distributions[learner].tolist(), strict=True)),
    }


def first_fact(settings: FactsSettings) -> int:
    """A person whom nobody told it about, if there is one: the first of those shown."""
    return shown_people(_played(settings).counts.n_answered)[0][0]


def _number(name: str, given: Any) -> float:
    """RefusedInputError for what is no number, as a box that was emptied."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise RefusedInputError(f"expected {name} as a number, got {given!r}: type one")
    return float(given)


@lru_cache(maxsize=3)
def _played(settings: FactsSettings) -> FactsPlay:
    return play_facts(settings)


def _fact(shown: Shown, prompt: int | None) -> tuple[str, go.Figure | None]:
    if shown.learned is None:
        return "", None
    if prompt is None or prompt >= shown.play.facts.n_prompts:
        return fact_html(None, shown.learner, None), None
    found = fact_card(shown.play, prompt, {shown.learner: shown.learned})
    distribution: NDArray[np.float64] = found.distributions[shown.learner]
    return (
        fact_html(found, shown.learner, shown.play.counts.n_samples),
        dates_figure(found, distribution),
    )
