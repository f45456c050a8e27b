"""What the Paint button brings about: images that arrive in growing batches, plain or guided by density."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from hallulab.engine.pictures import PaintSettings
from hallulab.records import as_plain
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE
from hallulab.scoring.guided_pictures import (
    GuidedProgress,
    GuidedResult,
    GuidedSettings,
    kept_images,
    paint_guided,
)
from hallulab.scoring.picture_frames import frame_of
from hallulab.scoring.picture_previews import Preview, with_previews, without_previews
from hallulab.scoring.pictures import PaintResult
from hallulab.scoring.pictures_rate import GrowingProgress, GrowingResult, GrowingSettings, paint_growing
from hallulab.theory.confidence_sequences import anytime_interval
from hallulab.ui.parts.interval_bar import interval_bar
from hallulab.ui.parts.paint_inputs import Wanted
from hallulab.ui.parts.progress import idle_card
from hallulab.ui.parts.verdict import IMAGES, rate_card, verdict_card
from hallulab.ui.session import Session

Way = Literal["plain", "keep", "best"]
WAYS: dict[str, Way] = {
    "Keep every image": "plain",
    "Keep only what is inside a region": "keep",
    f"Keep the best of {GuidedSettings.best_of}, by margin": "best",
}
"""words on the page → how images are chosen"""


@dataclass(frozen=True)
class Painting:
    """What is on the page: images with their verdicts, and how they came about."""

    images: PaintResult | None
    """What is shown; None when guided sampling has kept nothing."""
    growing: GrowingResult | None = None
    """Of plain sampling."""
    guided: GuidedResult | None = None
    """Of guided sampling."""

    def with_mass(self, hdr_mass: float) -> "Painting":
        """The same images decided at another mass, without a model; what was kept stays."""
        growing = self.growing and self.growing.with_mass(hdr_mass)
        images = growing.painted if growing else self.images and self.images.with_mass(hdr_mass)
        return replace(self, images=images, growing=growing)

    def to_json(self) -> dict[str, Any]:
        """The contract of `paint`; guided sampling adds `guided`."""
        if self.growing is not None:
            return as_plain(self.growing.to_json())
        assert self.guided is not None
        told = self.guided.to_json()
        kept = told.pop("kept") if self.images is None else self.images.to_json()
        return as_plain({**(kept or {"prompt": self.guided.prompt, "images": []}), "guided": told})


@dataclass(frozen=True)
class PaintingStep:
    """One step of the job."""

    message: str
    n_done: int
    n_total: int
    painting: Painting | None
    """What is judged so far: a new object after every batch."""
    preview: Preview | None
    """The batch being painted, at times."""


def paint_wanted(
    session: Session,
    wanted: Wanted,
    way: Way = "plain",
    *,
    stop_when_decided: bool = False,
    previews: bool = True,
) -> Iterator[PaintingStep]:
    """Paint and judge; the last step holds everything. Closing it stops the work.

    Args:
        session: with the engine.
        wanted: the controls.
        way: how images are chosen.
        stop_when_decided: whether plain sampling ends as soon as its rate is known to be above or below one half.
        previews: whether images are shown while they form.
    """
    watched = partial(with_previews, session.engine, wanted.checkpoint) if previews else without_previews
    engine, judging = session.engine, {"checkpoint": wanted.checkpoint, "hdr_mass": wanted.hdr_mass}
    if way == "plain":
        settings = GrowingSettings(wanted.settings, stop_when_decided, begins_small=previews)
        growing: Painting | None = None
        steps = paint_growing(engine, wanted.prompt, settings, **judging)
        for step, preview in watched(steps):
            growing = _grown(step, growing)
            yield PaintingStep(step.message, step.n_done, step.n_total, growing, preview)
        return
    guided = GuidedSettings(looked_at_often(wanted.settings), way, budget=guided_budget(wanted.settings))
    found: Painting | None = None
    n_judged = 0
    steps = paint_guided(engine, wanted.prompt, guided, **judging)
    for step, preview in watched(steps):
        if step.result is not None or len(step.judged) > n_judged:
            n_judged = len(step.judged)
            found = _kept(session, wanted, guided, step)
        yield PaintingStep(step.message, step.n_done, step.n_total, found, preview)


def guided_budget(settings: PaintSettings) -> int:
    """Images that keeping may paint: as many times those wanted as best-of-n paints."""
    return settings.n_images * GuidedSettings.best_of


def looked_at_often(settings: PaintSettings) -> PaintSettings:
    """The same in batches no larger than what is wanted, so that keeping does not paint far too many."""
    return replace(settings, batch_size=max(1, min(settings.batch_size, settings.n_images)))


def painting_card(painting: Painting, *, is_stopped: bool = False, is_finished: bool = True) -> str:
    """The rate card of what is judged, with the interval as a bar where it grew or was cut short."""
    if painting.guided is not None:
        return _guided_card(painting, painting.guided, is_stopped=is_stopped, is_finished=is_finished)
    assert painting.growing is not None
    growing, scores = painting.growing, painting.growing.painted.scores
    if scores is None:
        return verdict_card(None, IMAGES, hdr_mass=0.9, reason=growing.painted.reason or "")
    assert growing.interval is not None
    card = rate_card(scores.n_outside, growing.n, growing.interval, IMAGES, hdr_mass=scores.hcdr.hdr_mass)
    settings = growing.settings
    if growing.is_by_plan:
        return card
    said = (
        f"All of that is {growing.decided} {settings.line:.0%}, so no more images are needed."
        if growing.decided is not None and settings.stop_when_decided and not growing.is_complete
        else f"Stopped after {growing.n} of {settings.paint.n_images}."
        if is_stopped and not growing.is_complete
        else f"It is not decided whether that is more than {settings.line:.0%}."
        if growing.decided is None and is_finished and settings.stop_when_decided
        else ""
    )
    tone = OUTSIDE if scores.n_outside else INSIDE
    bar = interval_bar(
        growing.interval,
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


def _guided_card(painting: Painting, guided: GuidedResult, *, is_stopped: bool, is_finished: bool) -> str:
    """What was kept of what was painted, what that cost, and what plain sampling would have given."""
    n, n_kept, n_wanted = len(guided.judged), len(guided.chosen), guided.settings.paint.n_images
    if not n:
        return idle_card("Stopped before the first image was judged.")
    n_outside = sum(one.verdict.is_hallucination for one in guided.judged)
    interval = anytime_interval(n_outside, n)
    kept_outside = sum(guided.judged[place].verdict.is_hallucination for place in guided.chosen)
    tone = NEUTRAL if not n_kept else OUTSIDE if kept_outside else INSIDE
    ended = (
        f" Stopped with {n_kept} of {n_wanted}."
        if is_stopped and not guided.is_enough
        else f" The budget of {guided.settings.n_at_most} images is spent."
        if is_finished and not guided.is_enough
        else ""
    )
    price = (
        ""
        if guided.images_per_kept is None
        else f" Price: {guided.images_per_kept:.1f} images painted for each one kept."
    )
    kept_said = (
        "None of the kept images hallucinates: that is how they were chosen."
        if n_kept and guided.settings.way == "keep"
        else f"{kept_outside} of the kept images still hallucinate{'s' if kept_outside == 1 else ''}."
        if n_kept
        else "Nothing was kept."
    )
    mass = guided.hcdr.hdr_mass
    shown_mass = painting.images and painting.images.scores and painting.images.scores.hcdr.hdr_mass
    chosen_at = (
        ""
        if shown_mass in (None, mass)
        else f" Chosen at a mass of {mass:.0%}; the frames show {shown_mass:.0%}."
    )
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{tone}">'
        f'<span class="hl-pill">{n_kept} kept of {n} painted</span>'
        f'<p class="hl-sentence">{kept_said}{ended} Of everything painted, {n_outside} of {n} hallucinate '
        f"({n_outside / n:.0%}, 95% interval {interval.low:.0%} to {interval.high:.0%}): that is what plain sampling "
        f"gives.{price}{chosen_at}</p></div>"
    )


def _grown(step: GrowingProgress, before: Painting | None) -> Painting | None:
    if step.result is None or (before is not None and before.growing is step.result):
        return before
    return Painting(step.result.painted, growing=step.result)


def _kept(session: Session, wanted: Wanted, settings: GuidedSettings, step: GuidedProgress) -> Painting:
    """What guided sampling has chosen so far."""
    if step.result is not None:
        return Painting(step.result.kept, guided=step.result)
    engine, frame = session.engine, frame_of(session.engine)
    assert frame is not None  # guided sampling has refused a world without one
    name = wanted.checkpoint or engine.default_checkpoint("pictures")
    prompt = wanted.prompt.strip()
    kept = kept_images(frame, engine.clip(), prompt, name, settings, step.judged, wanted.hdr_mass)
    hcdr = frame.features.hcdr.with_mass(wanted.hdr_mass)
    so_far = GuidedResult(prompt, name, settings, hcdr, step.judged, kept, float("nan"))
    return Painting(kept, guided=so_far)
