"""`sweep pictures`: checkpoints × prompts × K images, painted once and judged (Figures 5 to 7 of [LHZSL])."""

import os
import sys
from collections.abc import Callable
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
    from hallulab.experiments.pictures_sweep import SweepRun
    from hallulab.experiments.pictures_sweep_run import SweepStep
    from hallulab.theory.intervals import Interval


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
    loss_pictures: Annotated[
        str | None,
        typer.Option(
            help="Pictures that no UNet learned from, to measure its loss on: pet-faces (fresh drawings; default in "
            "the small world), a folder with one subfolder per state, or a data set."
        ),
    ] = None,
    n_loss_pictures: Annotated[int | None, typer.Option(help="How many of them.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Paint K images of every prompt with every checkpoint: how many are hallucinations, and do means see it?"""
    chosen = given(
        n_images=images,
        seed=seed,
        hdr_mass=hdr_mass,
        best_of=best_of,
        loss_pictures=loss_pictures,
        n_loss_pictures=n_loss_pictures,
    )
    chosen |= {"prompts": tuple(prompt or ())}
    with quiet_stdout():
        world = own_world(load_preset(preset or os.environ.get("HALLULAB_PRESET")), unets=unets)
        world, chosen["checkpoints"] = with_folders(world, "pictures", checkpoint or ())
        found = _run(world, chosen, output_folder(out))
    if found is None:  # another process of this launch speaks
        return
    last, run = found
    from hallulab.experiments.pictures_sweep_summary import summarise, table_json

    if as_json:
        summary = summarise(run)
        rows = {name: getattr(summary, name) for name in ("checkpoints", "pairs", "guided")}
        rows |= {"guided_differences": summary.differences, "trade_offs": summary.trade_offs}
        print_json(
            {
                "run": str(out),
                "n_done": last.n_done,
                "n_total": last.n_total,
                "table": table_json(run),
                **{name: [asdict(row) for row in found] for name, found in rows.items()},
                "false_alarms": run.header["false_alarms"],
            }
        )
    else:
        _print(out, last, run)


def _run(world: Preset, chosen: dict[str, Any], out: Path) -> tuple["SweepStep", "SweepRun"] | None:
    """The finished sweep; None in every process of a launch but the first."""
    quiet_libraries()
    from hallulab.engine.core import Engine
    from hallulab.experiments.pictures_sweep import PictureSweep, read_picture_sweep
    from hallulab.experiments.pictures_sweep_run import run_picture_sweep
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
    from hallulab.densities.mean_tests import TEST_WORDS
    from hallulab.experiments.pictures_sweep_summary import summarise

    summary = summarise(run)
    print(f"{last.n_done:,} images painted and judged; they are in {out / 'images'}.")
    print("Images outside every region, and means of the images outside, per checkpoint:")
    print_table(
        ("checkpoint", "loss", "outside", "rate", "95 % interval", "margin (nats)", *TEST_WORDS.values()),
        [
            (
                row.checkpoint,
                "–" if row.held_out_loss is None else f"{row.held_out_loss:.4f}",
                f"{row.rate.n_success} of {row.rate.n}",
                percent(row.rate.value),
                _span(row.rate.interval, percent),
                nats(row.margin_nats),
                *(f"{row.n_prompts_outside[test]} of {row.n_prompts}" for test in TEST_WORDS),
            )
            for row in summary.checkpoints
        ],
    )
    print("\nOf means of genuine images each test calls hallucinations:")
    print_table(
        ("test", *run.header["thresholds"]),
        [
            (words, *(percent(rate["rate"]) for rate in run.header["false_alarms"][test].values()))
            for test, words in TEST_WORDS.items()
        ],
    )
    print("\nGuided sampling on the same seeds:")
    print_table(
        (
            "checkpoint, way",
            "images",
            "outside",
            "truly genuine",
            "diversity",
            "painted per image",
            "seconds",
        ),
        [
            (
                f"{row.checkpoint}, {row.way}",
                f"{row.n:,}",
                "–" if row.outside is None else f"{row.outside.n_success:,}",
                "–" if row.truths is None else f"{row.truths['genuine']:,}",
                "–" if row.diversity is None else f"{row.diversity.value:.3f}",
                "–" if row.images_per_kept is None else f"{row.images_per_kept.value:.1f}",
                "–" if row.seconds_per_kept is None else f"{row.seconds_per_kept:.2f}",
            )
            for row in summary.guided
        ],
    )
    print(f"\nWhat it changes against plain sampling ({len(summary.differences)} intervals of 95 %):")
    print_table(
        ("checkpoint, way", "what", "plain", "chosen", "difference", "95 % interval"),
        [
            (
                f"{row.checkpoint}, {row.way}",
                row.quantity,
                f"{row.plain:.3f}",
                f"{row.chosen:.3f}",
                f"{row.difference.value:+.3f}",
                _span(row.difference.interval, "{:+.3f}".format),
            )
            for row in summary.differences
        ],
    )
    print(f"A page about it: python -m hallulab report {out}", file=sys.stderr)


def _span(interval: "Interval | None", written: Callable[[float], str]) -> str:
    return "–" if interval is None else f"{written(interval.low)} … {written(interval.high)}"
