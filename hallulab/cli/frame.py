"""`frame`: fit an HCDR frame on a folder of genuine images."""

from pathlib import Path
from typing import Annotated

import typer

from hallulab.cli.console import percent, print_json, print_table, quiet_stdout
from hallulab.cli.world import start_engine
from hallulab.densities.hcdr import ThresholdRule


def frame(
    folder: Annotated[Path, typer.Argument(help="Folder of genuine images, one subfolder per state.")],
    out: Annotated[Path, typer.Option(help="Folder for the fitted frame.")],
    hdr_mass: Annotated[float, typer.Option(help="Share of genuine images that belong inside.")] = 0.9,
    threshold_rule: Annotated[
        ThresholdRule, typer.Option(help="`conformal` guarantees the mass on average over new images.")
    ] = "percentile",
    pca_dimension: Annotated[int | None, typer.Option(help="Principal components kept.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split and the mixtures.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit the regions of genuine images that `score` and `paint` judge by."""
    from hallulab.data.image_folder import list_image_folder
    from hallulab.densities.feature_frame import FrameSettings
    from hallulab.scoring.pictures import PictureFrame, embed_files, frame_report
    from hallulab.theory.regions import check_mass

    check_mass(hdr_mass)
    found = list_image_folder(folder)
    settings = FrameSettings(
        hdr_mass=hdr_mass, threshold_rule=threshold_rule, pca_dimension=pca_dimension, seed=seed
    )
    engine = start_engine()
    with quiet_stdout(), engine.job("frame"):
        clip = engine.clip()
        fitted = PictureFrame.fit(embed_files(clip, found.paths), found.labels, settings, embedder=clip.name)
    fitted.save(out)
    report = {"frame": str(out), **frame_report(fitted)}
    if as_json:
        print_json(report)
        return
    print(f"Fitted a frame for {', '.join(report['states'])} and wrote it to {out}.")
    rows = [
        (
            state,
            str(report["n_fit"][state]),
            str(report["n_held_out"][state]),
            f"{report['thresholds'][state]:.2f}",
            percent(report["coverage"][state]),
        )
        for state in report["states"]
    ]
    print_table(("state", "fitted on", "held out", "threshold (nats)", "held out inside"), rows)
