"""`paint`: images and their verdicts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallulab.cli.console import nats, percent, print_json, print_table, progress_bar, quiet_stdout
from hallulab.cli.world import given, home_from_environment, output_folder, start_engine

if TYPE_CHECKING:
    from hallulab.scoring.pictures import PaintResult


def paint(
    prompt: Annotated[str, typer.Argument(help="What to paint.")],
    images: Annotated[int | None, typer.Option(help="How many images.")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="Who paints: base, or a UNet's name.")] = None,
    seed: Annotated[int | None, typer.Option(help="Image k is painted from SEED + k.")] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Classifier-free guidance scale.")] = None,
    hdr_mass: Annotated[float | None, typer.Option(help="Share of genuine images that is inside.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the images.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Paint with Stable Diffusion: which images are hallucinations?"""
    settings = given(n_images=images, seed=seed, steps=steps, guidance=guidance)
    with quiet_stdout():
        folder = output_folder(out or home_from_environment() / "paint")
        result = _run(prompt, settings, **given(checkpoint=checkpoint, hdr_mass=hdr_mass)).save(folder)
    print_json(result.to_json()) if as_json else _print_result(result, folder)


def _run(prompt: str, chosen: dict[str, Any], **judging: Any) -> "PaintResult":
    """The finished job, with a bar on stderr."""
    engine = start_engine()
    from hallulab.engine.pictures import PaintSettings
    from hallulab.scoring.pictures import paint as paint_and_judge

    pictures = engine.preset.pictures
    defaults = {"steps": pictures.steps, "guidance": pictures.guidance, "size": pictures.size}
    result = None
    with progress_bar(None, "step") as bar:
        for progress in paint_and_judge(engine, prompt, PaintSettings(**{**defaults, **chosen}), **judging):
            bar.total = progress.n_total
            bar.set_description(progress.message)
            bar.update(progress.n_done - bar.n)
            result = progress.result
    assert result is not None  # the last progress holds it
    return result


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
