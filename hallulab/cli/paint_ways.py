"""How `paint` paints: plainly, until decided, guided by density, or at every checkpoint."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hallulab.cli.console import percent, print_table, progress_bar
from hallulab.errors import RefusedInputError

if TYPE_CHECKING:
    from hallulab.engine.core import Engine
    from hallulab.engine.pictures import PaintSettings
    from hallulab.scoring.guided_pictures import GuidedResult, GuidedSettings
    from hallulab.scoring.painting import PaintProgress
    from hallulab.scoring.pictures import PaintResult
    from hallulab.scoring.pictures_rate import GrowingResult
    from hallulab.scoring.time_machine import TimeMachine


@dataclass(frozen=True)
class WaysOfPainting:
    """What the options ask for; they exclude each other."""

    guided: str | None = None
    budget: int | None = None
    best_of: int | None = None
    stop_when_decided: bool = False
    all_checkpoints: bool = False

    def __post_init__(self) -> None:
        named = {
            "--guided": self.guided is not None,
            "--stop-when-decided": self.stop_when_decided,
            "--all-checkpoints": self.all_checkpoints,
        }
        chosen = [name for name, is_chosen in named.items() if is_chosen]
        if len(chosen) > 1:
            raise RefusedInputError(f"expected at most one of {', '.join(named)}, got {' and '.join(chosen)}")
        for name, value, way in (("--budget", self.budget, "keep"), ("--best-of", self.best_of, "best")):
            if value is not None and self.guided != way:
                raise RefusedInputError(f"expected {name} with --guided {way} alone: leave it out")


@dataclass(frozen=True)
class Painted:
    """The images, and what else their way of being painted tells."""

    found: "GrowingResult | GuidedResult | TimeMachine"
    checkpoint: str
    """The one asked for."""

    @property
    def shown(self) -> "PaintResult":
        """The images asked for; none where guided sampling kept none."""
        from hallulab.scoring.time_machine import TimeMachine

        if isinstance(self.found, TimeMachine):
            return next(one.painted for one in self.found.moments if one.checkpoint == self.checkpoint)
        return self.found.shown

    def save(self, folder: Path) -> "Painted":
        """Write the images; those of every checkpoint go to a folder of its name below."""
        return replace(self, found=self.found.save(folder))

    def to_json(self) -> dict[str, Any]:
        """The contract of `paint`; each way adds a key."""
        from hallulab.scoring.time_machine import TimeMachine

        if isinstance(self.found, TimeMachine):
            return {**self.shown.to_json(), "time_machine": self.found.to_json()}
        return self.found.to_json()

    def print_more(self) -> None:
        """In words, what the images alone do not tell."""
        from hallulab.scoring.guided_pictures import GuidedResult
        from hallulab.scoring.pictures_rate import GrowingResult

        if isinstance(self.found, GrowingResult):
            _print_growing(self.found)
        elif isinstance(self.found, GuidedResult):
            _print_guided(self.found)
        else:
            print_table(
                ("checkpoint", "steps", "training loss", "hallucinate", "rate", "interval"),
                list(_rows(self.found)),
            )


def paint_in(
    engine: "Engine",
    ways: WaysOfPainting,
    prompt: str,
    chosen: dict[str, Any],
    checkpoint: str | None,
    **judging: Any,
) -> Painted:
    """The finished job, with a bar on stderr.

    Args:
        engine: with the models.
        ways: how.
        prompt: what to paint.
        chosen: fields of `PaintSettings` that a person chose; the preset has the others.
        checkpoint: who paints; the preset's default when None.
        judging: `hdr_mass`, share of genuine images that belong inside, where a person chose it.
    """
    from hallulab.engine.pictures import PaintSettings

    engine.checkpoint_place("pictures", checkpoint)
    name = checkpoint or engine.default_checkpoint("pictures")
    pictures = engine.preset.pictures
    defaults = {"steps": pictures.steps, "guidance": pictures.guidance, "size": pictures.size}
    settings = PaintSettings(**{**defaults, **chosen})
    return Painted(_finished(_job(engine, ways, prompt, settings, name, **judging)), name)


def _job(
    engine: "Engine",
    ways: WaysOfPainting,
    prompt: str,
    settings: "PaintSettings",
    name: str,
    **judging: Any,
) -> "Iterator[PaintProgress[Any]]":
    from hallulab.scoring.guided_pictures import paint_guided
    from hallulab.scoring.pictures_rate import GrowingSettings, paint_growing
    from hallulab.scoring.time_machine import paint_at_all

    if ways.all_checkpoints:
        return paint_at_all(engine, prompt, settings, **judging)
    if ways.guided is not None:
        guided = _guided_settings(ways, settings)
        return paint_guided(engine, prompt, guided, checkpoint=name, **judging)
    growing = GrowingSettings(settings, ways.stop_when_decided, begins_small=False)
    return paint_growing(engine, prompt, growing, checkpoint=name, **judging)


def _guided_settings(ways: WaysOfPainting, settings: "PaintSettings") -> "GuidedSettings":
    from hallulab.scoring.guided_pictures import guided_settings

    way: Any = ways.guided
    return guided_settings(settings, way, best_of=ways.best_of, budget=ways.budget)


def _finished(job: "Iterator[PaintProgress[Any]]") -> Any:
    """What the last step holds."""
    result = None
    with progress_bar(100, "%") as bar:
        for step in job:
            bar.set_description(step.message)
            bar.update(round(100 * step.n_done / step.n_total) - bar.n)
            result = step.result
    return result


def _print_growing(growing: "GrowingResult") -> None:
    if not growing.settings.stop_when_decided or growing.anytime is None:
        return
    line = percent(growing.settings.line)
    said = f"the rate is {growing.decided} {line}" if growing.decided else f"not decided against {line}"
    print(
        f"  {said} after {growing.n} of at most {growing.settings.paint.n_images} images: "
        f"{percent(growing.anytime.low)} to {percent(growing.anytime.high)}, valid at every look"
    )


def _print_guided(guided: "GuidedResult") -> None:
    n_kept, n_plain, low_high = len(guided.chosen), len(guided.plain), guided.plain_interval
    way = (
        "inside a region"
        if guided.settings.way == "keep"
        else f"the best of {guided.settings.best_of} by margin"
    )
    price = "" if guided.images_per_kept is None else f", {guided.images_per_kept:.1f} painted for each one"
    print(
        f"  kept {n_kept} of {len(guided.judged)} painted ({way}){price}, in {guided.seconds:.1f} s; "
        f"{guided.n_kept_outside} of the kept hallucinate"
    )
    print(
        f"  plain sampling on the same seeds: {guided.n_plain_outside} of the first {n_plain} hallucinate, "
        f"{percent(guided.n_plain_outside / n_plain)} ({percent(low_high.low)} to {percent(low_high.high)})"
    )


def _rows(machine: "TimeMachine") -> Iterator[tuple[str, ...]]:
    for moment in machine.moments:
        scores = moment.painted.scores
        told = ("–",) * 3
        if scores is not None:
            low, high = scores.interval.low, scores.interval.high
            told = (
                f"{scores.n_outside} of {len(scores.verdicts)}",
                percent(scores.hallucination_rate),
                f"{percent(low)} to {percent(high)}",
            )
        loss = "–" if moment.loss is None else f"{moment.loss:.4f}"
        yield moment.checkpoint, str(moment.step), loss, *told
