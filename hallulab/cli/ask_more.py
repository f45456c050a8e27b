"""What `ask` adds on request to an answer and its verdict: one job each, under the key it has in the JSON."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from hallulab.cli.console import nats, one_line, percent, print_table, sentence
from hallulab.cli.world import truthfulqa_path
from hallulab.data.open_ended import normalised
from hallulab.data.question_sets import load_question_set
from hallulab.engine.core import Engine
from hallulab.errors import RefusedInputError
from hallulab.scoring.job_progress import JobProgress
from hallulab.scoring.words import AskResult, AskSettings
from hallulab.scoring.words_choices import MOST_CHOICES, WordChoices, choose_words
from hallulab.scoring.words_comparison import Comparison, compare
from hallulab.scoring.words_proposals import ProposedStates, propose
from hallulab.scoring.words_rate import RateResult, RateSettings, hallucination_rate
from hallulab.scoring.words_references import ReferencedAnswer, answer_referenced

Job = Callable[[AskResult], Iterator[Any]]
"""From the judged answer to progress whose last step holds a result with `to_json`."""


@dataclass(frozen=True)
class EveryChoice:
    """The likeliest tokens at every place of an answer."""

    places: tuple[WordChoices, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """Per place, what was written and what could have been."""
        return [
            {
                "place": place,
                "written": found.written,
                "choices": [vars(choice) for choice in found.choices],
            }
            for place, found in enumerate(self.places)
        ]


def more_about(
    engine: Engine,
    settings: AskSettings,
    *,
    n_answers: int | None,
    compared: Sequence[str],
    n_choices: int | None,
    proposes: bool,
    references: str | None,
) -> dict[str, Job]:
    """The jobs asked for, by key; refused before the first of them runs.

    Raises RefusedInputError for what cannot be used.
    """
    jobs: dict[str, Job] = {}
    if n_answers is not None:
        rate = RateSettings(settings, n_answers).checked()
        jobs["rate"] = lambda _: hallucination_rate(engine, rate)
    if compared:
        checkpoints = (settings.checkpoint or engine.default_checkpoint("words"), *compared)
        for checkpoint in checkpoints:
            engine.checkpoint_place("words", checkpoint)
        jobs["comparison"] = lambda _: compare(engine, settings, checkpoints)
    if n_choices is not None:
        if not 1 <= n_choices <= MOST_CHOICES:
            raise RefusedInputError(f"expected 1 to {MOST_CHOICES} choices, got {n_choices}")
        jobs["choices"] = partial(_every_choice, engine, n_choices)
    if proposes:
        jobs["proposed"] = lambda _: propose(engine, settings)
    if references is not None:
        jobs["resemblance"] = _references_job(engine, settings, references)
    return jobs


def print_more(found: Any) -> None:
    """One of the results, as people read it."""
    printers = {
        RateResult: _print_rate,
        Comparison: _print_comparison,
        EveryChoice: _print_choices,
        ProposedStates: _print_proposed,
        ReferencedAnswer: _print_references,
    }
    print()
    printers[type(found)](found)


def _references_job(engine: Engine, settings: AskSettings, name: str) -> Job:
    path = truthfulqa_path() if name == "truthfulqa" else None
    questions = load_question_set(name, path)
    found = [q for q in questions if normalised(q.question) == normalised(settings.question)]
    if not found:
        raise RefusedInputError(
            f"expected one of the {len(questions)} questions of {name}, such as {questions[0].question!r}, got "
            f"{settings.question!r}: ask one of them, or leave --references out"
        )
    return lambda _: answer_referenced(engine, settings, questions, found[0].id)


def _every_choice(engine: Engine, n_choices: int, result: AskResult) -> Iterator[JobProgress[EveryChoice]]:
    """The choices at every place; a pasted answer is read by the base model."""
    pasted = result.settings.answer is not None
    checkpoint = engine.preset.words.base_name if pasted else result.checkpoint
    ids = [token.token_id for token in result.tokens]
    places: list[WordChoices] = []
    for place, written in enumerate(ids):
        begun = tuple(ids[:place])
        settings = replace(result.settings, answer=None, checkpoint=checkpoint, begun=begun)
        *_, last = choose_words(engine, settings, written=written, n_choices=n_choices)
        assert last.result is not None  # the last progress always holds the result
        places.append(last.result)
        yield JobProgress("looking up words", (place + 1) / len(ids))
    yield JobProgress("found", 1.0, EveryChoice(tuple(places)))


def _print_rate(result: RateResult) -> None:
    if result.reason is not None:
        print(f"No rate: {result.reason.removeprefix('no verdict: ')}.")
        return
    decided = {"above": "mostly hallucinations", "below": "mostly not hallucinations", None: "not decided"}
    interval = result.interval
    print(
        f"{result.n_hallucinations} of {result.n_judged} sampled answers hallucinate ({percent(interval.low)} to "
        f"{percent(interval.high)} at {percent(result.settings.confidence)} confidence, whenever one stops): "
        f"{decided[result.decided]}."
    )


def _print_comparison(found: Comparison) -> None:
    rows = [
        (
            result.checkpoint,
            one_line(result.answer) or "(nothing)",
            "–" if result.verdict is None else nats(result.verdict.margin_nats),
        )
        for result in found.results
    ]
    print_table(("checkpoint", "answer on the same seed", "margin (nats)"), rows)


def _print_choices(found: EveryChoice) -> None:
    rows = []
    for place in found.places:
        written = next((choice for choice in place.choices if choice.token_id == place.written), None)
        others = [choice for choice in place.choices if choice.token_id != place.written]
        listed = ", ".join(f"{_shown(c.text, c.is_end)} {percent(c.probability)}" for c in others)
        if written is not None:
            rows.append((_shown(written.text, written.is_end), percent(written.probability), listed))
    print_table(("written", "likely", "instead"), rows)


def _print_proposed(found: ProposedStates) -> None:
    kept = found.groups[: len(found.states)]
    named = ", ".join(f"{group.n} × “{group.text}”" for group in kept) or "nothing to propose"
    print(f"Of {found.n_sampled} answers without a hint: {named}; {found.n_abstained} abstain.")


def _print_references(found: ReferencedAnswer) -> None:
    said = {
        "incorrect": "like a listed wrong answer",
        "correct": "like a listed right answer",
        "chance": "no more like the listed answers than like those of other questions",
        "empty": "empty",
    }
    print(sentence(f"the answer is {said[found.finding]}; graded {found.graded.grade}"))
    rows = [
        (
            name,
            f"{one.ratio:.2f}",
            f"{one.null_mean:.2f}",
            f"{one.n_as_alike} of {len(one.null)}",
            one.nearest,
        )
        for name, one in (("wrong", found.incorrect), ("right", found.correct), ("either", found.either))
        if one is not None
    ]
    if rows:
        print_table(("list", "resemblance", "mean of others", "others as alike", "nearest"), rows)


def _shown(text: str, is_end: bool) -> str:
    return "(end)" if is_end else repr(text)
