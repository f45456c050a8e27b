"""`sweep pictures`: checkpoints × prompts × K images, painted once and judged (Figures 5 to 7 of [LHZSL])."""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallulab.cli.console import nats, percent, print_json, print_table, quiet_stdout
from hallulab.cli.sweep_progress import SweepProgress
from hallulab.cli.world import UnetsOption, given, output_folder, own_world
from hallulab.engine.own_checkpoints import with_folders
from hallulab.engine.presets import Preset, load_preset
from hallulab.engine.quiet import quiet_libraries

if TYPE_CHECKING:
    from hallulab.experiments.pictures_sweep import SweepRun, SweepStep


def sweep_pictures(
    out: Annotated[
        Path, typer.Option(help="Folder for images and records; images in it are not made again.")
    ],
    preset: Annotated[
        str | None, typer.Option(help="The world whose checkpoints paint; HALLULAB_PRESET by default.")
    ] = None,
    images: Annotated[int | None, typer.Option(help="Images per checkpoint and prompt.")] = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(help="Who paints, by name or by folder; all checkpoints by default. Repeatable."),
    ] = None,
    unets: UnetsOption = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="What to paint; the preset's examples by default. Repeatable.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Image k is painted from SEED + k.")] = None,
    hdr_mass: Annotated[float | None, typer.Option(help="Share of genuine images that is inside.")] = None,
    best_of: Annotated[int | None, typer.Option(help="Images among which best-of-n chooses one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Paint K images of every prompt with every checkpoint: how many are hallucinations, and do means see it?"""
    chosen = given(n_images=images, seed=seed, hdr_mass=hdr_mass, best_of=best_of)
    chosen |= {"prompts": tuple(prompt or ())}
    with quiet_stdout():
        world = own_world(load_preset(preset or os.environ.get("HALLULAB_PRESET")), unets=unets)
        world, chosen["checkpoints"] = with_folders(world, "pictures", checkpoint or ())
        found = _run(world, chosen, output_folder(out))
    if found is None:  # another process of this launch speaks
        return
    last, run = found
    from hallulab.experiments.pictures_sweep_summary import guided_json, summarise, table_json

    if as_json:
        summary = summarise(run)
        print_json(
            {
                "run": str(out),
                "n_done": last.n_done,
                "n_total": last.n_total,
                "table": table_json(run),
                "checkpoints": [asdict(row) for row in summary.checkpoints],
                "pairs": [asdict(row) for row in summary.pairs],
                "guided": guided_json(summary.guided),
            }
        )
    else:
        _print(out, last, run)


def _run(world: Preset, chosen: dict[str, Any], out: Path) -> tuple["SweepStep", "SweepRun"] | None:
    """The finished sweep; None in every process of a launch but the first."""
    quiet_libraries()
    from hallulab.engine.core import Engine
    from hallulab.experiments.pictures_sweep import (
        PictureSweep,
        read_picture_sweep,
        run_picture_sweep,
    )
    from hallulab.experiments.workers import Workers

    workers = Workers.of_launch()
    engine = Engine(world)
    last = None
    with SweepProgress() as progress:
        for last in run_picture_sweep(engine, PictureSweep(**chosen), out, workers=workers):
            progress.show("pictures", last.message, last.n_done, last.n_total)
    assert last is not None  # the last step comes when all is done
    return (last, read_picture_sweep(out)) if workers.index == 0 else None


def _print(out: Path, last: "SweepStep", run: "SweepRun") -> None:
    from hallulab.experiments.pictures_sweep_summary import summarise

    summary = summarise(run)
    print(f"{last.n_done:,} images painted and judged; they are in {out / 'images'}.")
    print("Images outside every region, per checkpoint:")
    print_table(
        ("checkpoint", "loss", "outside", "rate", "95 % interval", "margin (nats)", "means outside", "K-matched"),
        [
            (
                row.checkpoint,
                "–" if row.training_loss is None else f"{row.training_loss:.3f}",
                f"{row.n_outside} of {row.n}",
                percent(row.hallucination_rate),
                f"{percent(row.interval.low)}–{percent(row.interval.high)}",
                nats(row.margin_nats),
                f"{row.n_prompts_outside} of {row.n_prompts}",
                f"{row.n_prompts_outside_matched} of {row.n_prompts}",
            )
            for row in summary.checkpoints
        ],
    )  # fmt: skip
    print("\nGuided sampling on the same seeds:")
    print_table(
        ("checkpoint, way", "images", "outside", "truly genuine", "diversity", "painted per image", "seconds"),
        [
            (
                f"{row.checkpoint}, {row.way}",
                f"{row.n:,}",
                f"{row.n_outside:,}",
                "–" if row.truths is None else f"{row.truths['genuine']:,}",
                "–" if row.diversity is None else f"{row.diversity:.3f}",
                "–" if row.images_per_kept is None else f"{row.images_per_kept:.1f}",
                "–" if row.seconds_per_kept is None else f"{row.seconds_per_kept:.2f}",
            )
            for row in summary.guided
        ],
    )  # fmt: skip
    print(f"A page about it: python -m hallulab report {out}", file=sys.stderr)
