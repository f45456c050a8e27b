"""`sweep`: the paper's experiments over every checkpoint of a preset, resumable after a kill."""

import typer

from hallulab.cli.sweep_pictures import sweep_pictures
from hallulab.cli.sweep_words import sweep_words

sweep = typer.Typer(
    name="sweep", help="Run a paper's experiment over all checkpoints; run again, it goes on."
)
sweep.command("words")(sweep_words)
sweep.command("pictures")(sweep_pictures)


@sweep.callback()
def _group() -> None:
    """Run a paper's experiment over all checkpoints; run again, it goes on."""
