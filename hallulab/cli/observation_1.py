"""`observation-1`: every binary grader, every belief over them, and how often abstaining is the best thing to do."""

from dataclasses import asdict
from typing import Annotated

import typer

from hallulab.cli.console import print_json, print_table, quiet_stdout


def observation_1(
    answers: Annotated[
        list[int] | None, typer.Option(help="Plausible answers, 2 to 5; repeatable. 2, 3 and 4 by default.")
    ] = None,
    target: Annotated[
        list[float] | None, typer.Option(help="Confidence targets; repeatable. 0 is binary grading.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Beliefs are multiples of 1/STEPS; as fine as is quick by default.", min=1),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the beliefs drawn evenly.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Observation 1 by enumeration: under binary grading abstaining is never optimal, above t it is."""
    import numpy as np

    from hallulab.scoring.grading import LABELLED_TARGETS
    from hallulab.theory import observation_1 as theory
    from hallulab.theory.confidence_targets import target_text

    wanted = tuple(target or LABELLED_TARGETS)
    with quiet_stdout():
        found = {
            n: (
                theory.observation_1(n, wanted, steps=steps),
                theory.share_of_beliefs(n, wanted, rng=np.random.default_rng(seed)).tolist(),
            )
            for n in dict.fromkeys(answers or theory.USUAL_ANSWERS)
        }
    if as_json:
        sets = [asdict(one) | {"share": one.share, "share_drawn": drawn} for one, drawn in found.values()]
        print_json({"sets": sets, "n_draws": theory.N_DRAWS, "seed": seed})
        return
    for one, drawn in found.values():
        print(
            f"{one.n_answers} answers and “I do not know”: {one.n_graders} binary graders, {one.n_beliefs:,} beliefs "
            f"over them (multiples of 1/{one.steps}, belief in one grader alone included)"
        )
        print_table(
            ("t", "abstaining is optimal", "no answer is right with more than t", "of beliefs drawn evenly"),
            [
                (target_text(t), f"{n:,}", f"{unlikely:,}", f"{100 * share:.1f} %")
                for t, n, unlikely, share in zip(
                    one.targets, one.n_optimal, one.n_unlikely, drawn, strict=True
                )
            ],
        )
    print(f"  {theory.N_DRAWS:,} beliefs drawn evenly, seed {seed}")
