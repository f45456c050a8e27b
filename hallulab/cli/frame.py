"""`frame`: fit an HCDR frame on genuine images, of a folder or of a data set."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hallulab.cli.console import percent, print_json, print_table, quiet_stdout
from hallulab.cli.world import chosen_clip, given, output_folder, start_engine
from hallulab.densities.hcdr import ThresholdRule


def frame(
    images: Annotated[
        str,
        typer.Argument(
            help="Genuine images: a folder with one subfolder per state, or huggan/AFHQ and the like."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the fitted frame.")],
    state: Annotated[
        list[str] | None,
        typer.Option(help="A state to use, such as cat. Repeatable; all of them by default."),
    ] = None,
    hdr_mass: Annotated[float, typer.Option(help="Share of genuine images that belong inside.")] = 0.9,
    threshold_rule: Annotated[
        ThresholdRule, typer.Option(help="`conformal` guarantees the mass on average over new images.")
    ] = "percentile",
    pca_dimension: Annotated[int | None, typer.Option(help="Principal components kept.", min=1)] = None,
    max_components: Annotated[
        int | None, typer.Option(help="Most Gaussians in the mixture of one state.", min=1)
    ] = None,
    images_per_component: Annotated[
        int | None, typer.Option(help="Images that one Gaussian needs.", min=1)
    ] = None,
    held_out_share: Annotated[
        float | None, typer.Option(help="Share of the images kept for the thresholds, never fitted on.")
    ] = None,
    clip_model: Annotated[
        str | None,
        typer.Option(help="open_clip model that embeds, such as ViT-B-32-quickgelu or local-dir:FOLDER."),
    ] = None,
    clip_weights: Annotated[
        str | None, typer.Option(help="open_clip tag of its weights, such as openai.")
    ] = None,
    skip_unusable: Annotated[
        bool,
        typer.Option("--skip-unusable", help="Leave out broken images and those of another colour mode."),
    ] = False,
    split: Annotated[str, typer.Option(help="Split of a data set.")] = "train",
    seed: Annotated[int, typer.Option(help="Seed of the split and the mixtures.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit the regions of genuine images that `score` and `paint` judge by."""
    from hallulab.data.image_sets import open_image_set
    from hallulab.densities.feature_frame import FrameSettings, check_counts
    from hallulab.scoring.picture_frames import PictureFrame, embed_image_set, frame_report
    from hallulab.theory.regions import check_mass

    check_mass(hdr_mass)
    settings = FrameSettings(
        hdr_mass=hdr_mass,
        threshold_rule=threshold_rule,
        pca_dimension=pca_dimension,
        seed=seed,
        **given(
            max_components=max_components,
            images_per_component=images_per_component,
            held_out_share=held_out_share,
        ),
    )
    output_folder(out)
    with quiet_stdout():
        found = open_image_set(images, states=state or (), skip_unusable=skip_unusable, split=split)
        check_counts(found.n_per_state, settings)  # before an hour of embedding
        engine = start_engine()
        with engine.job("frame"):
            clip = chosen_clip(engine, clip_model, clip_weights) or engine.clip()
            embeddings = embed_image_set(clip, found)
            fitted = PictureFrame.fit(embeddings, found.labels, settings, embedder=clip.name)
    fitted.save(out)
    report = {
        "frame": str(out),
        "images": found.place,
        "n": found.n_per_state,
        "n_skipped": len(found.skipped),
        "skipped": list(found.skipped),
        **frame_report(fitted),
    }
    if as_json:
        print_json(report)
        return
    _print_frame(report)


def _print_frame(report: dict[str, Any]) -> None:
    print(f"Fitted a frame for {', '.join(report['states'])} and wrote it to {report['frame']}.")
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
    print(f"Embedded by {report['embedder']}; content hash {report['frame_hash']}.")
    if report["skipped"]:
        print(f"Left out {report['n_skipped']} images that cannot be used, such as {report['skipped'][0]}.")
