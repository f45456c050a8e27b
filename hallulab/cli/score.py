"""`score`: verdicts for images that already exist."""

from pathlib import Path
from typing import Annotated

import typer

from hallulab.cli.console import nats, percent, print_json, print_table, quiet_stdout
from hallulab.cli.world import chosen_clip, start_engine


def score(
    frame: Annotated[Path, typer.Argument(help="Folder of a fitted frame.")],
    paths: Annotated[list[Path], typer.Argument(help="Image files, or folders of images.")],
    hdr_mass: Annotated[float, typer.Option(help="Share of genuine images that belong inside.")] = 0.9,
    clip_model: Annotated[
        str | None, typer.Option(help="The open_clip model the frame was made with, if not the preset's.")
    ] = None,
    clip_weights: Annotated[
        str | None, typer.Option(help="open_clip tag of its weights, such as openai.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Judge existing images by a frame."""
    from hallulab.data.image_folder import list_images
    from hallulab.scoring.picture_folders import score_images
    from hallulab.scoring.picture_frames import PictureFrame

    loaded = PictureFrame.load(frame)
    files = [file for path in paths for file in (list_images(path) if path.is_dir() else [path])]
    engine = start_engine()
    with quiet_stdout():
        clip = chosen_clip(engine, clip_model, clip_weights)
        scored = score_images(engine, loaded, files, hdr_mass=hdr_mass, clip=clip)
    report = {"frame": str(frame), **scored.to_json()}
    if as_json:
        print_json(report)
        return
    low, high = report["interval"]
    print(
        f"{report['n_outside']} of {report['n']} images are outside every region: "
        f"{percent(report['hallucination_rate'])} ({percent(low)} to {percent(high)})."
    )
    rows = []
    for image in scored.images:
        verdict = image.verdict
        inside = "unreadable" if verdict is None else "outside" if verdict.is_hallucination else "inside"
        rows.append((image.path, inside, nats(None if verdict is None else verdict.margin_nats)))
    print_table(("image", "verdict", "margin (nats)"), rows)
