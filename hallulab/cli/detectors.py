"""`detectors`: two detectors of hallucinated pictures beside the truth of the small world."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hallulab.cli.console import print_json, print_table, progress_bar, quiet_stdout
from hallulab.cli.world import UnetsOption, given, output_folder, preset_from_environment, start_engine
from hallulab.engine.own_checkpoints import with_folders


def detectors(
    out: Annotated[Path, typer.Option(help="Folder for the records; images in it are not made again.")],
    images: Annotated[int | None, typer.Option(help="Images per checkpoint and prompt.", min=1)] = None,
    drawn: Annotated[
        int | None, typer.Option(help="Drawn whole pets, and as many drawn cat-dog blends.", min=0)
    ] = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            help="A checkpoint to paint with, by name or by folder. Repeatable; all of them by default."
        ),
    ] = None,
    unets: UnetsOption = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="What to paint. Repeatable; the preset's examples by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Image k is painted from seed + k.", min=0)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Hold the verdict, and the variance of predicted clean images, against what the pictures truly are."""
    chosen = given(n_images=images, n_drawn=drawn, seed=seed)
    output_folder(out)
    with quiet_stdout():
        world, names = with_folders(preset_from_environment(unets=unets), "pictures", checkpoint or ())
        engine = start_engine(world)
        from hallulab.experiments.detector_summary import summary_json
        from hallulab.experiments.picture_detectors import (
            DetectorSettings,
            read_detector_run,
            records_path,
            run_detectors,
        )
        from hallulab.records import RecordFile

        settings = DetectorSettings(**chosen, checkpoints=names, prompts=tuple(prompt or ()))
        records = RecordFile(records_path(out, engine.preset.name))
        n_done = n_total = 0
        with progress_bar(None, "image") as bar:
            for step in run_detectors(engine, settings, records):
                n_done, n_total = step.n_done, step.n_total
                bar.total = n_total
                bar.update(n_done - bar.n)
        summary = summary_json(read_detector_run(out)[1])
    report = {"run": str(out), "n_done": n_done, "n_total": n_total, **summary}
    if as_json:
        print_json(report)
    else:
        _print_summary(report)


def _print_summary(report: dict[str, Any]) -> None:
    print(f"{report['n_done']} images judged. How many of each kind the verdict puts outside every region:")
    print_table(
        ("images", "truth", "n", "outside", "95 % interval"),
        [
            (row["group"], row["truth"], str(row["n"]), _number(row["outside"]), _range(row["interval"]))
            for row in report["confusion"]
        ],
    )
    print("\nHow well margin and variance find bad images among genuine ones (AUROC; 0.5 is guessing):")
    print_table(
        ("images", "detector", "finds", "bad / genuine", "AUROC", "95 % interval"),
        [
            (
                row["group"],
                row["detector"],
                row["bad"],
                f"{row['n_bad']} / {row['n_genuine']}",
                _number(row["auroc"]),
                _range(row["interval"]),
            )
            for row in report["table"]
        ],
    )
    print("\nWhether the two order and flag the same images:")
    print_table(
        ("images", "last steps", "n", "rank correlation", "kappa"),
        [
            (
                row["group"],
                str(row["window"]),
                str(row["n"]),
                _number(row["rank_correlation"]),
                _number(row["kappa"]),
            )
            for row in report["agreement"]
        ],
    )


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _range(interval: dict[str, float] | None) -> str:
    return "" if interval is None else f"{interval['low']:.3f}–{interval['high']:.3f}"
