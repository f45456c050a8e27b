"""The command line: every command registered, every error one line and an exit code."""

import sys
from collections.abc import Sequence

import typer

from hallulab.cli.ask import ask
from hallulab.cli.bars import bars
from hallulab.cli.bounds import bounds
from hallulab.cli.check_rules import check_rules
from hallulab.cli.coins import coins
from hallulab.cli.console import one_line
from hallulab.cli.construct import construct
from hallulab.cli.detectors import detectors
from hallulab.cli.doctor import doctor
from hallulab.cli.examples import examples
from hallulab.cli.facts import facts
from hallulab.cli.frame import frame
from hallulab.cli.frame_table import frame_table
from hallulab.cli.grade import grade
from hallulab.cli.iiv import iiv
from hallulab.cli.observation_1 import observation_1
from hallulab.cli.paint import paint
from hallulab.cli.post_train import post_train
from hallulab.cli.report import report
from hallulab.cli.score import score
from hallulab.cli.sweep import sweep
from hallulab.cli.targets import targets
from hallulab.cli.train import train_small_world
from hallulab.cli.train_pictures import train_pictures
from hallulab.cli.train_words import train_words
from hallulab.errors import HallulabError, RefusedInputError

DONE, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="hallulab",
    help="Ask, paint or flip coins, and see whether the output δ-hallucinates.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    ask,
    paint,
    coins,
    frame,
    score,
    frame_table,
    detectors,
    report,
    examples,
    bars,
    construct,
    bounds,
    facts,
    iiv,
    grade,
    check_rules,
    observation_1,
    targets,
    post_train,
    doctor,
):
    app.command()(command)

train = typer.Typer(name="train", help="Rebuild the shipped checkpoints, or fine-tune a preset's models.")
for name, command in {
    "small-world": train_small_world,
    "words": train_words,
    "pictures": train_pictures,
}.items():
    train.command(name)(command)
app.add_typer(train)
app.add_typer(sweep)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 refused input."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        return app(args=arguments, prog_name="python -m hallulab", standalone_mode=False) or DONE
    except (RefusedInputError, typer.TyperException) as error:
        return _say(error.format_message() if isinstance(error, typer.TyperException) else error, REFUSED)
    except HallulabError as error:
        return _say(error, FAILED)
    except typer.Abort:
        return INTERRUPTED


def _say(message: object, exit_code: int) -> int:
    print(one_line(message), file=sys.stderr)
    return exit_code
