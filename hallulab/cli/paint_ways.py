"""How `paint` paints: plainly, until decided, guided by density, or at every checkpoint."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hallulab.cli.console import percent, print_table, progress_bar
from hallulab.cli.world import start_engine
from hallulab.errors import RefusedInputError

if TYPE_CHECKING:
    from hallulab.engine.core import Engine
    from hallulab.engine.pictures import PaintSettings
    from hallulab.scoring.guided_pictures import GuidedResult
    from hallulab.scoring.pictures import PaintResult
    from hallulab.scoring.pictures_rate import GrowingResult
    from hallulab.scoring.time_machine import TimeMachine


@dataclass(frozen=True)
class WaysOfPainting:
    """What the options ask for; they exclude each other."""

    guided: str | None = None
    budget: int | None = None
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
        if self.budget is not None and self.guided != "keep":
            raise RefusedInputError("expected --budget with --guided keep alone: leave it out")


@dataclass(frozen=True)
class Painted:
    """The images, and what else their way of being painted tells."""

    result: "PaintResult | None"
    """None when guided sampling kept nothing."""
    growing: "GrowingResult | None" = None
    guided: "GuidedResult | None" = None
    machine: "TimeMachine | None" = None

    def save(self, folder: Path) -> "Painted":
        """Write the images; those of every checkpoint go to a folder of its name below."""
        if self.machine is None:
            return replace(self, result=self.result and self.result.save(folder))
        moments = tuple(
            replace(moment, painted=moment.painted.save(folder / moment.checkpoint))
            for moment in self.machine.moments
        )
        asked = next(
            (m.painted for m in moments if self.result and m.checkpoint == self.result.checkpoint), None
        )
        return replace(self, result=asked, machine=replace(self.machine, moments=moments))

    def to_json(self) -> dict[str, Any]:
        """The contract of `paint`; each way adds a key."""
        found = {} if self.result is None else self.result.to_json()
        if self.growing is not None:
            found["growing"] = self.growing.growing_json()
        if self.machine is not None:
            found["time_machine"] = self.machine.to_json()
        if self.guided is not None:
            told = self.guided.to_json()
            told.pop("kept")
            found = found or {
                "prompt": self.guided.prompt,
                "checkpoint": self.guided.checkpoint,
                "images": [],
            }
            found["guided"] = told
        return found

    def print_more(self) -> None:
        """In words, what the images alone do not tell."""
        growing, guided = self.growing, self.guided
        if growing is not None and growing.settings.stop_when_decided and growing.anytime is not None:
            line = percent(growing.settings.line)
            said = (
                f"the rate is {growing.decided} {line}" if growing.decided else f"not decided against {line}"
            )
            print(
                f"  {said} after {growing.n} of at most {growing.settings.paint.n_images} images: "
                f"{percent(growing.anytime.low)} to {percent(growing.anytime.high)}, valid at every look"
            )
        if guided is not None:
            n_outside = sum(one.verdict.is_hallucination for one in guided.judged)
            print(
                f"  kept {len(guided.chosen)} of {len(guided.judged)} painted ({guided.settings.way}); "
                f"of all of them {n_outside} hallucinate, in {guided.seconds:.1f} s"
            )
        if self.machine is not None:
            print_table(
                ("checkpoint", "steps", "training loss", "hallucinate", "rate", "interval"),
                list(self._rows()),
            )

    def _rows(self) -> Iterator[tuple[str, ...]]:
        assert self.machine is not None
        for moment in self.machine.moments:
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


def paint_in(ways: WaysOfPainting, prompt: str, chosen: dict[str, Any], **judging: Any) -> Painted:
    """The finished job, with a bar on stderr."""
    engine = start_engine()
    from hallulab.engine.pictures import PaintSettings

    pictures = engine.preset.pictures
    defaults = {"steps": pictures.steps, "guidance": pictures.guidance, "size": pictures.size}
    settings = PaintSettings(**{**defaults, **chosen})
    if ways.all_checkpoints:
        return _at_every_checkpoint(engine, prompt, settings, **judging)
    if ways.guided is not None:
        return _guided(engine, prompt, settings, ways, **judging)
    from hallulab.scoring.pictures_rate import GrowingSettings, paint_growing

    growing = GrowingSettings(settings, ways.stop_when_decided, begins_small=False)
    result = _finished(paint_growing(engine, prompt, growing, **judging))
    return Painted(result.painted, growing=result)


def _guided(
    engine: "Engine", prompt: str, settings: "PaintSettings", ways: WaysOfPainting, **judging: Any
) -> Painted:
    from hallulab.scoring.guided_pictures import GuidedSettings, paint_guided

    budget = ways.budget or settings.n_images * GuidedSettings.best_of
    small = replace(settings, batch_size=max(1, min(settings.batch_size, settings.n_images)))
    way: Any = ways.guided
    result = _finished(paint_guided(engine, prompt, GuidedSettings(small, way, budget), **judging))
    return Painted(result.kept, guided=result)


def _at_every_checkpoint(
    engine: "Engine", prompt: str, settings: "PaintSettings", checkpoint: str | None = None, **judging: Any
) -> Painted:
    from hallulab.scoring.time_machine import paint_at_all

    engine.checkpoint_place("pictures", checkpoint)
    name = checkpoint or engine.default_checkpoint("pictures")
    machine = _finished(paint_at_all(engine, prompt, settings, **judging))
    asked = next(moment.painted for moment in machine.moments if moment.checkpoint == name)
    return Painted(asked, machine=machine)


def _finished(job: Iterator[Any]) -> Any:
    """What the last step holds; jobs count denoising steps, or tell the share that is done."""
    result = None
    with progress_bar(100, "%") as bar:
        for step in job:
            share = step.fraction if hasattr(step, "fraction") else step.n_done / step.n_total
            bar.set_description(step.message)
            bar.update(round(100 * share) - bar.n)
            result = step.result
    return result
