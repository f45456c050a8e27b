"""What the Paint button brings about: images that arrive in growing batches, plain or guided by density."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE
from hallulab.scoring.guided_pictures import GuidedResult, guided_settings, paint_guided
from hallulab.scoring.painting import PaintProgress
from hallulab.scoring.picture_previews import Preview, with_previews, without_previews
from hallulab.scoring.pictures_rate import GrowingResult, GrowingSettings, paint_growing
from hallulab.ui.parts.interval_bar import interval_bar
from hallulab.ui.parts.paint_inputs import Wanted, whole_number
from hallulab.ui.parts.verdict import IMAGES, rate_card, verdict_card
from hallulab.ui.session import Session

Painting = GrowingResult | GuidedResult
"""what is on the page: images with their verdicts, and how they came about"""
WayName = Literal["plain", "keep", "best"]
WAYS: dict[str, WayName] = {
    "Keep every image": "plain",
    "Keep what is inside a region": "keep",
    "Keep the best of n, by margin": "best",
}
"""words on the page → how images are chosen"""
MOST_PER_IMAGE = 16
"""images painted for each one wanted, at most, when density chooses"""


@dataclass(frozen=True)
class HowToPaint:
    """Which of the painted images are kept, and what ends the painting."""

    way: WayName = "plain"
    stop_when_decided: bool = False
    """Plain only: end as soon as the rate is known to be above or below one half."""
    best_of: int | None = None
    """Images painted for each one wanted; the usual number when None."""
    budget: int | None = None
    """Keeping only: images painted at most; `best_of` for each one wanted when None."""

    @classmethod
    def of(cls, way: str, stop_when_decided: bool, per_image: Any) -> "HowToPaint":
        """What the controls show: the words of `WAYS`, and a number of images for each one wanted."""
        return cls(WAYS[way], bool(stop_when_decided), whole_number("n", per_image))


def paint_wanted(
    session: Session, wanted: Wanted, how: HowToPaint | None = None, *, previews: bool = True
) -> Iterator[tuple[PaintProgress[Any], Preview | None]]:
    """Paint and judge, step by step; the last step's result is a `Painting`. Closing it stops the work.

    Args:
        session: with the engine.
        wanted: the controls.
        how: which images are kept; every one when None.
        previews: whether images are shown while they form, and the first ones early.
    """
    how = how or HowToPaint()
    watched = partial(with_previews, session.engine, wanted.checkpoint) if previews else without_previews
    judging: dict[str, Any] = {"checkpoint": wanted.checkpoint, "hdr_mass": wanted.hdr_mass}
    if how.way == "plain":
        growing = GrowingSettings(wanted.settings, how.stop_when_decided, begins_small=previews)
        return watched(paint_growing(session.engine, wanted.prompt, growing, **judging))
    guided = guided_settings(wanted.settings, how.way, best_of=how.best_of, budget=how.budget)
    return watched(paint_guided(session.engine, wanted.prompt, guided, **judging))


def painting_card(painting: Painting, *, is_stopped: bool = False, is_finished: bool = True) -> str:
    """The rate card of what is judged, with the interval as a bar where it grew or was cut short."""
    if isinstance(painting, GuidedResult):
        return _guided_card(painting, is_stopped=is_stopped, is_finished=is_finished)
    scores = painting.shown.scores
    if scores is None:
        return verdict_card(None, IMAGES, hdr_mass=0.9, reason=painting.shown.reason or "")
    assert painting.interval is not None  # there are verdicts
    card = rate_card(scores.n_outside, painting.n, painting.interval, IMAGES, hdr_mass=scores.hcdr.hdr_mass)
    settings = painting.settings
    if painting.is_by_plan:
        return card
    said = (
        f"All of that is {painting.decided} {settings.line:.0%}, so no more images are needed."
        if painting.decided is not None and settings.stop_when_decided and not painting.is_complete
        else f"Stopped after {painting.n} of {settings.paint.n_images}."
        if is_stopped and not painting.is_complete
        else f"It is not decided whether that is more than {settings.line:.0%}."
        if painting.decided is None and is_finished and settings.stop_when_decided
        else ""
    )
    tone = OUTSIDE if scores.n_outside else INSIDE
    bar = interval_bar(
        painting.interval,
        scores.hallucination_rate,
        line=settings.line,
        genuine=1 - scores.hcdr.hdr_mass,
        things="images",
        note="The interval holds at every look, so stopping early is fair.",
    )
    return (
        f'{card}<div class="hl-under" style="--hl-tone:{tone}">'
        f"{f'<p class=hl-sentence>{said}</p>' if said else ''}{bar}</div>"
    )


def _guided_card(guided: GuidedResult, *, is_stopped: bool, is_finished: bool) -> str:
    """What was kept of what was painted, what that cost, and what plain sampling gives on the same seeds."""
    n_kept = len(guided.chosen)
    tone = NEUTRAL if not n_kept else OUTSIDE if guided.n_kept_outside else INSIDE
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{tone}">'
        f'<span class="hl-pill">{n_kept} kept of {len(guided.judged)} painted</span>'
        f'<p class="hl-sentence">{_kept_said(guided)}{_ending(guided, is_stopped, is_finished)}</p>'
        f'<p class="hl-sentence"><b>Plain sampling</b> on the same seeds: {_plain_said(guided)}</p>'
        f'<p class="hl-sentence"><b>Price:</b> {_price(guided)}</p></div>'
    )


def _kept_said(guided: GuidedResult) -> str:
    n_kept, n_outside = len(guided.chosen), guided.n_kept_outside
    if not n_kept:
        return "Nothing was kept: no image is inside a region."
    if guided.settings.way == "keep":
        return "None of the kept images hallucinates: that is how they were chosen."
    verb = "hallucinates" if n_outside == 1 else "hallucinate"
    return (
        f"{n_outside} of the {n_kept} kept images still {verb}."
        if n_outside
        else ("None of the kept images hallucinates, though each is only the best of its group.")
    )


def _ending(guided: GuidedResult, is_stopped: bool, is_finished: bool) -> str:
    """Why there are fewer than were wanted, and that the page shows another mass than chose them."""
    settings, scores = guided.settings, guided.shown.scores
    ended = ""
    if is_stopped and not guided.is_enough:
        ended = f" Stopped with {len(guided.chosen)} of {settings.paint.n_images}."
    elif is_finished and not guided.is_enough:
        ended = f" The budget of {settings.n_at_most} images is spent."
    if scores is not None and scores.hcdr.hdr_mass != guided.hcdr.hdr_mass:
        ended += (
            f" Chosen at a mass of {guided.hcdr.hdr_mass:.0%}; the frames show {scores.hcdr.hdr_mass:.0%}."
        )
    return ended


def _plain_said(guided: GuidedResult) -> str:
    n, n_outside, interval = len(guided.plain), guided.n_plain_outside, guided.plain_interval
    verb = "hallucinates" if n_outside == 1 else "hallucinate"
    return (
        f"{n_outside} of the first {n} {verb} ({n_outside / n:.0%}, 95% interval {interval.low:.0%} to "
        f"{interval.high:.0%})."
    )


def _price(guided: GuidedResult) -> str:
    n = len(guided.judged)
    if guided.images_per_kept is None:
        return f"{n} images painted in {guided.seconds:.1f} s, for nothing."
    return (
        f"{guided.images_per_kept:.1f} images painted for each one kept, {n} in {guided.seconds:.1f} s. "
        "Plain sampling paints one."
    )
