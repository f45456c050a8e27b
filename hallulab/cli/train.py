"""`train small-world`: rebuild the shipped checkpoints."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hallulab.cli.console import print_json, quiet_stdout
from hallulab.cli.world import home_from_environment
from hallulab.engine.quiet import quiet_libraries
from hallulab.records import folder_sha256

DEFAULT_OUT = Path("checkpoints")


def train_small_world(
    part: Annotated[
        Literal["words", "pictures", "clip", "probe", "all"], typer.Argument(help="Which part to rebuild.")
    ] = "all",
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.", min=0)] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; torch decides by default.", min=1)] = None,
    out: Annotated[Path, typer.Option(help="Folder for the finished checkpoints.")] = DEFAULT_OUT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Rebuild the shipped checkpoints; run again, it resumes."""
    chosen = {} if seed is None else {"seed": seed}
    work = home_from_environment() / "train"
    with quiet_stdout():
        trainings = _trainings(threads)
        parts = list(trainings) if part == "all" else [part]
        folders = [folder for name in parts for folder in trainings[name](chosen, out, work)]
    checkpoints = [{"path": str(folder), "sha256": folder_sha256(folder)} for folder in folders]
    if as_json:
        print_json({"world": "small-world", "checkpoints": checkpoints})
        return
    print(f"Trained {len(checkpoints)} checkpoints of the small-world preset.")
    for checkpoint in checkpoints:
        print(f"  {checkpoint['sha256'][:12]}  {checkpoint['path']}")


def _trainings(threads: int | None) -> dict[str, Callable[[dict[str, Any], Path, Path], tuple[Path, ...]]]:
    """Part → its training, in the order in which `all` runs them."""
    quiet_libraries()
    import torch

    from hallulab.training.attribute_probe import ProbeTraining, train_probe
    from hallulab.training.clip import ClipTraining, train_clip
    from hallulab.training.pictures import PicturesTraining, train_pictures
    from hallulab.training.words import WordsSettings, train_words

    if threads is not None:
        torch.set_num_threads(threads)
    return {
        "words": lambda chosen, out, work: train_words(WordsSettings(**chosen), out=out, work=work),
        "clip": lambda chosen, out, work: train_clip(ClipTraining(**chosen), out=out, work=work),
        "pictures": lambda chosen, out, work: train_pictures(PicturesTraining(**chosen), out=out, work=work),
        "probe": lambda chosen, out, work: train_probe(ProbeTraining(**chosen), out=out, work=work),
    }
