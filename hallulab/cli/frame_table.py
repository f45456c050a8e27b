"""`frame-table`: the numbers behind a choice of PCA dimension, mixture size, threshold rule and test of means."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallulab.cli.console import percent, print_json, print_table, progress_bar, quiet_stdout
from hallulab.cli.world import chosen_clip, given, output_folder, start_engine

if TYPE_CHECKING:
    from hallulab.experiments.frame_table_summary import OverFits, TableRow


def frame_table(
    out: Annotated[Path, typer.Option(help="Folder for the records; frames in it are not fitted again.")],
    images: Annotated[
        str | None,
        typer.Argument(
            help="Genuine images, as in `frame`; drawn cats and dogs, with drawn blends, by default."
        ),
    ] = None,
    pca_dimension: Annotated[
        list[int] | None, typer.Option(help="Principal components kept. Repeatable.", min=1)
    ] = None,
    components: Annotated[
        list[int] | None, typer.Option(help="Gaussians per state. Repeatable.", min=1)
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Of split and mixtures. Repeatable.", min=0)] = None,
    held_out_share: Annotated[
        float | None, typer.Option(help="Share of the images kept for the thresholds.")
    ] = None,
    fresh: Annotated[
        int | None, typer.Option(help="Drawn images per state to count coverage on.", min=1)
    ] = None,
    fitted: Annotated[
        int | None, typer.Option(help="Drawn images per state to fit on and hold out.", min=1)
    ] = None,
    blends: Annotated[int | None, typer.Option(help="Blends that no training saw.", min=1)] = None,
    hdr_mass: Annotated[
        float | None, typer.Option(help="Share of genuine images that belong inside.")
    ] = None,
    mean_images: Annotated[
        int | None, typer.Option(help="Images of a mean, for the tests of means (the paper's K).", min=1)
    ] = None,
    clip_model: Annotated[
        str | None, typer.Option(help="open_clip model that embeds, as in `frame`.")
    ] = None,
    clip_weights: Annotated[str | None, typer.Option(help="open_clip tag of its weights.")] = None,
    skip_unusable: Annotated[
        bool,
        typer.Option("--skip-unusable", help="Leave out broken images and those of another colour mode."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit every frame of a grid; print coverage, how well blends are found, and what tests of means are worth."""
    from hallulab.data.image_sets import open_image_set
    from hallulab.experiments.frame_table import (
        FrameTableSettings,
        drawn_table_source,
        image_set_table_source,
    )
    from hallulab.experiments.frame_table_run import run_frame_table
    from hallulab.experiments.frame_table_summary import read_frame_table
    from hallulab.records import RecordFile

    lists = given(pca_dimensions=pca_dimension, component_counts=components, seeds=seed)
    settings = FrameTableSettings(
        **{name: tuple(values) for name, values in lists.items()},
        **given(
            held_out_share=held_out_share,
            n_fresh=fresh,
            n_fit_and_held_out=fitted,
            n_blends=blends,
            n_mean_images=mean_images,
            hdr_mass=hdr_mass,
        ),
    )
    output_folder(out)
    with quiet_stdout():
        image_set = open_image_set(images, skip_unusable=skip_unusable) if images else None
        engine = start_engine()
        name = "images" if image_set else "pets"
        records = RecordFile(out / f"frame-table-{name}.jsonl")
        n_done = n_total = 0
        with engine.job("frame-table"), progress_bar(None, "frame") as bar:
            clip = chosen_clip(engine, clip_model, clip_weights) or engine.clip()
            source = (
                image_set_table_source(clip, image_set, settings)
                if image_set
                else drawn_table_source(clip, settings)
            )
            for n_done, n_total in run_frame_table(source, settings, records):
                bar.total = n_total
                bar.update(n_done - bar.n)
        header, rows = read_frame_table(out)
    if as_json:
        table = [asdict(row) for row in rows]
        print_json(
            {
                "run": str(out),
                "n_done": n_done,
                "n_total": n_total,
                "source": header["source"],
                "table": table,
            }
        )
        return
    print(f"{n_done} frames on {header['source']}; blends are {header['blend_kind']}.")
    _print_images(rows)
    _print_means(header, rows)
    print(f"A page about it: python -m hallulab report {out}", file=sys.stderr)


def _print_images(rows: "Sequence[TableRow]") -> None:
    states = list(rows[0].coverage)
    print_table(
        (
            "PCA",
            "Gaussians",
            "rule",
            *(f"{state} inside" for state in states),
            "blends outside",
            "AUROC",
            "over fits",
        ),
        [
            (
                str(row.pca_dimension),
                str(row.n_components),
                row.rule,
                *(f"{row.coverage[state]:.3f}" for state in states),
                f"{row.blends_outside:.3f}",
                f"{row.auroc:.4f}",
                f"{row.auroc_range[0]:.4f}–{row.auroc_range[1]:.4f}",
            )
            for row in rows
        ],
    )


def _print_means(header: dict[str, Any], rows: "Sequence[TableRow]") -> None:
    from hallulab.densities.mean_tests import TEST_WORDS

    settings, states = header["settings"], list(rows[0].coverage)
    k, meant = settings["n_mean_images"], 1 - settings["hdr_mass"]
    print(
        f"\nMeans of {k} images called hallucinations; least and most over {rows[0].n_seeds} fits. Of means of genuine "
        f"images {percent(meant)} are meant to be:"
    )
    print_table(
        (
            "PCA",
            "Gaussians",
            "test",
            *(f"genuine {state}s" for state in states),
            "all states mixed",
            *(f"{percent(share)} blends" for share in rows[0].means[0].power),
        ),
        [
            (
                str(row.pca_dimension),
                str(row.n_components),
                TEST_WORDS[one.test],
                *(_over_fits(one.false_alarms[state]) for state in states),
                _over_fits(one.mixed),
                *map(_over_fits, one.power.values()),
            )
            for row in rows
            for one in row.means
        ],
    )


def _over_fits(share: "OverFits") -> str:
    return f"{share.least:.2f}–{share.most:.2f}"
