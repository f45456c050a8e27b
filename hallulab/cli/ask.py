"""`ask`: an answer and its verdict, and on request its rate, other checkpoints, other words, listed answers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallulab.cli.console import nats, one_line, print_json, print_table, progress_bar, quiet_stdout, sentence
from hallulab.cli.world import AdaptersOption, given, preset_from_environment, start_engine
from hallulab.engine.own_checkpoints import with_folders

if TYPE_CHECKING:
    from hallulab.densities.hcdr import StateVerdict
    from hallulab.scoring.words import AskResult


def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    state: Annotated[
        list[str] | None, typer.Option(help="A possible answer; repeat it. Known answers by default.")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="Who answers: base, an adapter's name, or the folder of one.")
    ] = None,
    adapters: AdaptersOption = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the answer.")] = None,
    samples: Annotated[int | None, typer.Option(help="Genuine answers sampled per state.")] = None,
    hdr_mass: Annotated[float | None, typer.Option(help="Share of genuine answers that is inside.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Of sampling; 0 takes the likeliest.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Nucleus mass of sampling.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Longest answer, in tokens.")] = None,
    answer: Annotated[str | None, typer.Option(help="Judge this text instead of an own answer.")] = None,
    begin: Annotated[
        str | None, typer.Option(help="How the answer must begin; the rest is the model's.")
    ] = None,
    answers: Annotated[
        int | None, typer.Option(help="Also the hallucination rate: sample up to this many, until decided.")
    ] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(help="Also another checkpoint on the same seed, named as above; repeat it."),
    ] = None,
    choices: Annotated[
        int | None, typer.Option(help="Also this many likeliest tokens at every place of the answer.")
    ] = None,
    propose: Annotated[
        bool, typer.Option("--propose", help="Also possible answers, found by sampling and grouping.")
    ] = False,
    references: Annotated[
        str | None,
        typer.Option(help="Also resemblance to the listed answers of a set: misconceptions or truthfulqa."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask a fine-tuned Qwen: is its answer a hallucination?"""
    chosen = given(
        seed=seed, n_samples=samples, hdr_mass=hdr_mass, temperature=temperature,
        top_p=top_p, max_new_tokens=max_new_tokens, answer=answer, begun=begin,
    )  # fmt: skip
    with quiet_stdout():
        world = preset_from_environment(adapters=adapters)
        world, named = with_folders(
            world, "words", [*given(checkpoint=checkpoint).values(), *(compare or [])]
        )
        compared = named[len(named) - len(compare or []) :]
        chosen |= given(checkpoint=named[0] if checkpoint else None)
        engine = start_engine(world)
        from hallulab.cli.ask_more import more_about, print_more
        from hallulab.scoring.words import AskSettings
        from hallulab.scoring.words import ask as ask_and_judge

        settings = AskSettings(**{"question": question, "states": tuple(state or ()), **chosen})
        wanted = more_about(
            engine, settings, n_answers=answers, compared=compared, n_choices=choices, proposes=propose,
            references=references,
        )  # fmt: skip
        result = finished(ask_and_judge(engine, settings))
        more = {name: finished(job(result)) for name, job in wanted.items()}
    if as_json:
        print_json(result.to_json() | {name: found.to_json() for name, found in more.items()})
    else:
        _print_result(result)
        for found in more.values():
            print_more(found)


def finished(job: Iterator[Any]) -> Any:
    """What the last progress of a job holds, with a bar on stderr."""
    result = None
    with progress_bar(100, "%") as bar:
        for progress in job:
            bar.set_description(progress.message)
            bar.update(round(100 * progress.fraction) - bar.n)
            result = progress.result
    return result


def _print_result(result: "AskResult") -> None:
    verdict = result.verdict
    if verdict is None:
        print(sentence(one_line(result.reason)))
    elif verdict.is_hallucination:
        print(f"A hallucination: unlikely under every state, by {nats(-verdict.margin_nats)} nats or more.")
    else:
        # the state that decides is the one it is deepest inside of
        nearest = max(verdict.states, key=lambda state: state.log_density - state.threshold)
        print(
            f"Not a hallucination: it is inside the region of “{nearest.state}”, "
            f"by {nats(verdict.margin_nats)} nats."
        )
    print(f"\n  {result.settings.question}\n  → {one_line(result.answer) or '(nothing)'}\n")
    if verdict is not None:
        rows = [
            (
                state.state,
                nats(state.log_density),
                nats(state.threshold),
                "inside" if state.inside else "outside",
            )
            for state in verdict.states
        ]
        print_table(("state", "log-density", "threshold", "verdict"), rows)
    print(
        f"  without a hint: {nats(result.log_density_unhinted)} nats; written by {result.model}, "
        f"scored by {result.scorer}, seed {result.settings.seed}"
    )


def _row(state: "StateVerdict") -> tuple[str, ...]:
    inside = "inside" if state.inside else "outside"
    return state.state, nats(state.log_density), nats(state.threshold), inside
