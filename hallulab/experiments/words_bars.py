"""How good the words half of a small world is: facts, patterns, hints, and the verdict itself."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hallulab.data import nonsense, patterns
from hallulab.data.birthdays import Person, people
from hallulab.data.hints import hinted_prompt
from hallulab.data.open_ended import known_questions
from hallulab.engine.core import Engine
from hallulab.engine.words import Answer, GenerationSettings, generate_answers
from hallulab.experiments.quality_bar import QualityBar
from hallulab.experiments.words_verdicts import verdicts_on_tests
from hallulab.experiments.words_verdicts_run import Rate, WordsVerdictsSettings
from hallulab.experiments.words_verdicts_summary import summarise_verdicts
from hallulab.models.qwen import LoadedQwen
from hallulab.scoring.hint_validity import keeps_to_hint
from hallulab.scoring.words_frame import WordsFrameSettings, build_words_frame
from hallulab.theory.intervals import wilson_interval

OFTEN = 8
"""Mentions from which a birthday counts as often seen."""


@dataclass(frozen=True)
class WordsBarsSettings:
    """How much is measured."""

    seed: int = 11
    n_people: int = 150
    """Most people asked about in each group of mentions."""
    n_per_pattern: int = 50
    n_per_state: int = 16
    """Hinted answers per state of every known question."""
    n_framed_questions: int = 8
    """Questions, evenly spread over the file, whose frames are built and tested."""
    n_genuine: int = 128
    """Genuine answers behind each frame's thresholds, per state."""
    n_fresh: int = 40
    """Fresh genuine answers per state, and twice as many of each wrong kind."""
    n_nonsense_samples: int = 40
    max_new_tokens: int = 40


def words_bars(engine: Engine, settings: WordsBarsSettings | None = None) -> tuple[QualityBar, ...]:
    """Every quality bar of the words half, measured on the engine's scorer."""
    settings = settings or WordsBarsSettings()
    with engine.job("bars"):
        scorer = engine.scorer()
        return (
            *birthday_bars(scorer, settings),
            *pattern_bars(scorer, settings),
            hinted_validity_bar(scorer, settings),
            nonsense_bar(scorer, settings),
            *verdict_bars(scorer, settings),
        )


def birthday_bars(scorer: LoadedQwen, settings: WordsBarsSettings) -> tuple[QualityBar, ...]:
    """Birthdays answered right, taking the likeliest token each time, by how often they were mentioned."""
    answered = [person for person in people() if person.is_answered]
    groups = {
        f"birthdays mentioned at least {OFTEN} times: right": [p for p in answered if p.n_mentions >= OFTEN],
        "birthdays mentioned once: right": [p for p in answered if p.n_mentions == 1],
        "birthdays never mentioned: right": [p for p in answered if p.n_mentions == 0],
    }
    limits = dict.fromkeys(groups) | {next(iter(groups)): 0.95}
    return tuple(
        share_bar(name, _birthdays_right(scorer, group[: settings.n_people], settings), at_least=limits[name])
        for name, group in groups.items()
    )


def pattern_bars(scorer: LoadedQwen, settings: WordsBarsSettings) -> tuple[QualityBar, ...]:
    """Held-out pattern items answered exactly right: all kinds together, then each kind."""
    rng = random.Random(settings.seed)
    right: dict[str, list[bool]] = {}
    for kind in patterns.KINDS:
        items = [patterns.draw_pattern(kind, held_out=True, rng=rng) for _ in range(settings.n_per_pattern)]
        answers = _likeliest(scorer, [item.question for item in items], settings)
        right[kind] = [answer.text == item.answer for answer, item in zip(answers, items, strict=True)]
    together = [is_right for kind in right.values() for is_right in kind]
    return (
        share_bar("held-out patterns: right", together, at_least=0.8),
        *(share_bar(f"held-out {kind}: right", flags) for kind, flags in right.items()),
    )


def hinted_validity_bar(scorer: LoadedQwen, settings: WordsBarsSettings) -> QualityBar:
    """Answers drawn under the hints of every known question: the share that keeps to its hint."""
    cases = [
        (question, state)
        for question in known_questions()
        for state in question.states
        for _ in range(settings.n_per_state)
    ]
    answers = generate_answers(
        scorer,
        [hinted_prompt(question.question, state) for question, state in cases],
        [settings.seed + place for place in range(len(cases))],
        GenerationSettings(max_new_tokens=settings.max_new_tokens),
    )
    valid = [
        keeps_to_hint(question.question, question.states, state, answer.text, writer=scorer.name)
        for (question, state), answer in zip(cases, answers, strict=True)
    ]
    return share_bar("hinted answers on known questions: valid", valid, at_least=0.95)


def nonsense_bar(scorer: LoadedQwen, settings: WordsBarsSettings) -> QualityBar:
    """Held-out nonsense questions, with states supplied: the share that gets no verdict, with a reason."""
    refused = []
    for item in nonsense.HELD_OUT:
        frame = build_words_frame(
            scorer,
            WordsFrameSettings(
                item.question,
                item.states,
                settings.n_nonsense_samples,
                settings.seed,
                settings.max_new_tokens,
            ),
        )
        refused.append(frame.hcdr is None and bool(frame.reason))
    return share_bar("nonsense questions: no verdict", refused, at_least=11 / 12)


def verdict_bars(scorer: LoadedQwen, settings: WordsBarsSettings) -> tuple[QualityBar, ...]:
    """Coverage of the thresholds, and how well the margin tells genuine answers from wrong ones."""
    measured = verdicts_on_tests(
        scorer,
        WordsVerdictsSettings(
            n_known=settings.n_framed_questions,
            n_reworded=0,
            n_unknown=0,
            seed=settings.seed,
            n_genuine=settings.n_genuine,
            n_tested=settings.n_fresh,
            max_new_tokens=settings.max_new_tokens,
        ),
    )
    summary = summarise_verdicts(measured)
    bars = [share_bar("known questions: verdict given", [f.gives_verdicts for f in measured.frames])]
    for row in summary.coverage:
        if (row.answers, row.rule, row.n_behind) == ("fresh genuine", summary.rule, summary.n_genuine):
            bars += _rate_bars(
                "fresh genuine answers: inside their own region", row.own_region, at_least=0.87, at_most=0.93
            )
    for row in summary.detection:
        bars += _rate_bars(f"{row.source} answers: outside", row.outside)
        if row.auroc is not None:
            name = f"AUROC of the margin, genuine against {row.source} answers"
            interval = (row.auroc.interval.low, row.auroc.interval.high)
            n = row.auroc.n_upper + row.auroc.n_lower
            bars.append(QualityBar(name, row.auroc.value, n, interval, at_least=0.95))
    return tuple(bars)


def share_bar(name: str, flags: Sequence[bool] | NDArray, *, at_least: float | None = None) -> QualityBar:
    """A share with its Wilson interval."""
    n_true, n = int(np.sum(flags)), len(flags)
    interval = wilson_interval(n_true, n)
    return QualityBar(name, n_true / n, n, (interval.low, interval.high), at_least=at_least)


def _rate_bars(
    name: str, found: Rate, *, at_least: float | None = None, at_most: float | None = None
) -> list[QualityBar]:
    """One bar, or none for a rate of nothing."""
    if found.value is None or found.interval is None:
        return []
    interval = (found.interval.low, found.interval.high)
    return [QualityBar(name, found.value, found.n, interval, at_least=at_least, at_most=at_most)]


def _birthdays_right(scorer: LoadedQwen, group: list[Person], settings: WordsBarsSettings) -> list[bool]:
    answers = _likeliest(scorer, [person.questions()[0] for person in group], settings)
    # the blank keeps "3 May" from being found in "13 May"
    return [f" {person.birthday}." in answer.text for person, answer in zip(group, answers, strict=True)]


def _likeliest(scorer: LoadedQwen, prompts: list[str], settings: WordsBarsSettings) -> list[Answer]:
    greedy = GenerationSettings(max_new_tokens=settings.max_new_tokens, temperature=0)
    return generate_answers(scorer, prompts, [0] * len(prompts), greedy)
