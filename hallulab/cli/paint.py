"""`paint`: images and their verdicts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hallulab.cli.console import nats, percent, print_json, print_table, quiet_stdout
from hallulab.cli.paint_ways import WaysOfPainting, paint_in
from hallulab.cli.world import (
    UnetsOption,
    given,
    home_from_environment,
    named_checkpoint,
    output_folder,
    preset_from_environment,
    start_engine,
)

if TYPE_CHECKING:
    from hallulab.scoring.pictures import PaintResult


def paint(
    prompt: Annotated[str, typer.Argument(help="What to paint.")],
    images: Annotated[int | None, typer.Option(help="How many images.")] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="Who paints: base, a UNet's name, or the folder of one.")
    ] = None,
    unets: UnetsOption = None,
    seed: Annotated[int | None, typer.Option(help="Image k is painted from SEED + k.")] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Classifier-free guidance scale.")] = None,
    hdr_mass: Annotated[float | None, typer.Option(help="Share of genuine images that is inside.")] = None,
    guided: Annotated[
        str | None,
        typer.Option(help="Choose by density: `keep` what is inside a region, or the `best` of several."),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(help="With --guided keep: images painted at most, four for each wanted if not said."),
    ] = None,
    best_of: Annotated[
        int | None,
        typer.Option(help="With --guided best: images painted for each one wanted, four if not said."),
    ] = None,
    stop_when_decided: Annotated[
        bool,
        typer.Option("--stop-when-decided", help="End once it is clear whether most images hallucinate."),
    ] = False,
    all_checkpoints: Annotated[
        bool, typer.Option("--all-checkpoints", help="Also the same seeds at every checkpoint.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the images.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Paint with Stable Diffusion: which images are hallucinations?"""
    settings = given(n_images=images, seed=seed, steps=steps, guidance=guidance)
    ways = WaysOfPainting(guided, budget, best_of, stop_when_decided, all_checkpoints)
    with quiet_stdout():
        world, name = named_checkpoint(preset_from_environment(unets=unets), "pictures", checkpoint)
        folder = output_folder(out or home_from_environment() / "paint")
        engine = start_engine(world)
        painted = paint_in(engine, ways, prompt, settings, name, **given(hdr_mass=hdr_mass)).save(folder)
    if as_json:
        print_json(painted.to_json())
        return
    if painted.shown.images:
        _print_result(painted.shown, folder)
    painted.print_more()


def _print_result(result: "PaintResult", folder: Path) -> None:
    scores = result.scores
    if scores is None:
        print(f"No verdict: {result.reason}")
        print(f"  {len(result.images)} images of “{result.prompt}” are in {folder}")
        return
    print(
        f"{scores.n_outside} of {len(result.images)} images are hallucinations: "
        f"{percent(scores.hallucination_rate)} ({percent(scores.interval.low)} to "
        f"{percent(scores.interval.high)})."
    )
    states = scores.hcdr.states
    rows = [
        (
            Path(path or "").name,
            *(nats(state.log_density) for state in verdict.states),
            nats(verdict.margin_nats),
            "outside" if verdict.is_hallucination else "inside",
        )
        for path, verdict in zip(result.paths, scores.verdicts, strict=True)
    ]
    thresholds = ("threshold", *(nats(threshold) for threshold in scores.hcdr.thresholds.tolist()), "", "")
    print_table(("image", *states, "margin (nats)", "verdict"), [*rows, thresholds])
    mean = "outside" if scores.mean_verdict.is_hallucination else "inside"
    matched = "outside" if scores.matched_verdict.is_hallucination else "inside"
    print(
        f"  their mean is {mean} the paper's region, and {matched} that of means of "
        f"{len(result.images)} genuine images"
    )
    print(f"  painted by {result.checkpoint}, seeds from {result.settings.seed}; the images are in {folder}")
