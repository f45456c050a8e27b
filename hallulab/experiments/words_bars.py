"""How good the words half of a small world is: facts, patterns, hints, and the verdict itself."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from hallulab.data import nonsense, patterns
from hallulab.data.birthdays import Person, people
from hallulab.data.hints import hinted_prompt
from hallulab.data.open_ended import OpenEndedQuestion, open_ended_questions
from hallulab.engine.core import Engine
from hallulab.engine.words import Answer, GenerationSettings, generate_answers
from hallulab.experiments.quality_bar import QualityBar
from hallulab.models.qwen import LoadedQwen
from hallulab.scoring.hint_validity import keeps_to_hint
from hallulab.scoring.words_frame import (
    WordsFrameSettings,
    answer_log_densities,
    build_words_frame,
    sample_hinted,
)
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
    """Fresh genuine answers per state, and as many of each wrong kind."""
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
        for question in open_ended_questions()
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
        keeps_to_hint(question.question, question.states, state, answer.text)
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
    """How well the margin tells fresh genuine answers from answers made wrong on purpose."""
    questions = open_ended_questions()
    step = max(1, len(questions) // settings.n_framed_questions)
    tested = [
        _test_verdict(scorer, question, questions[place - 1], settings)
        for place, question in list(enumerate(questions))[::step][: settings.n_framed_questions]
    ]
    judged = [margins for margins in tested if margins is not None]
    verdict_share = share_bar("known questions: verdict given", [m is not None for m in tested])
    if not judged:
        return (verdict_share,)
    genuine = np.concatenate([margins.genuine for margins in judged])
    bars = [verdict_share, share_bar("fresh genuine answers: inside", genuine > 0, at_least=0.8)]
    for kind in ("another question's", "spliced", "blended"):
        wrong = np.concatenate([margins.wrong[kind] for margins in judged])
        bars.append(share_bar(f"{kind} answers: outside", wrong <= 0))
        labels = np.repeat([1, 0], [len(genuine), len(wrong)])
        auroc = float(roc_auc_score(labels, np.concatenate([genuine, wrong])))
        bars.append(QualityBar(f"AUROC of the margin, genuine against {kind} answers", auroc, len(labels)))
    return tuple(bars)


@dataclass(frozen=True)
class VerdictMargins:
    """Margins in nats at 90 % mass; positive is inside."""

    genuine: NDArray[np.float64]
    """(n,) of fresh genuine answers."""
    wrong: dict[str, NDArray[np.float64]]
    """Kind → (n,) of answers made wrong on purpose."""


def share_bar(name: str, flags: Sequence[bool] | NDArray, *, at_least: float | None = None) -> QualityBar:
    """A share with its Wilson interval."""
    n_true, n = int(np.sum(flags)), len(flags)
    interval = wilson_interval(n_true, n)
    return QualityBar(name, n_true / n, n, (interval.low, interval.high), at_least=at_least)


def spliced_answer(first: str, second: str) -> str:
    """The first half of one answer followed by the second half of another, in words."""
    words, others = first.split(), second.split()
    return " ".join([*words[: max(1, len(words) // 2)], *others[len(others) // 2 :]])


def blended_answers(question: OpenEndedQuestion, n: int, *, rng: random.Random) -> list[str]:
    """Answers that name one acceptable answer and give the reason of another."""
    texts = []
    while len(texts) < n:
        named, meant = rng.sample(question.answers, 2)
        text, reason = named.draw(rng=rng), rng.choice(meant.reasons)
        own = [r for r in named.reasons if r in text or r[0].upper() + r[1:] in text]
        if own:
            start = text.lower().index(own[0])
            swapped = reason if text[start].islower() else reason[0].upper() + reason[1:]
            texts.append(text[:start] + swapped + text[start + len(own[0]) :])
    return texts


def _test_verdict(
    scorer: LoadedQwen, question: OpenEndedQuestion, other: OpenEndedQuestion, settings: WordsBarsSettings
) -> VerdictMargins | None:
    """Margins of fresh and of wrong answers to one question; None when it gets no verdict."""
    asked = question.question
    frame = build_words_frame(
        scorer,
        WordsFrameSettings(
            asked,
            n_genuine=settings.n_genuine,
            seed=settings.seed,
            max_new_tokens=settings.max_new_tokens,
        ),
    )
    if frame.hcdr is None:
        return None
    rng, n = random.Random(settings.seed), settings.n_fresh
    fresh = [
        answer.text
        for state in question.states
        for answer in sample_hinted(scorer, asked, state, n, seed=settings.seed + 1)
    ]
    strange = [other.draw_answer(rng=rng).draw(rng=rng) for _ in range(n)]
    kinds = {
        "genuine": fresh,
        "another question's": strange,
        "spliced": [spliced_answer(rng.choice(fresh), text) for text in strange],
        "blended": blended_answers(question, n, rng=rng),
    }
    margins = {
        kind: np.array(
            [
                verdict.margin_nats
                for verdict in frame.hcdr.decide(answer_log_densities(scorer, asked, frame.states, texts))
            ]
        )
        for kind, texts in kinds.items()
    }
    return VerdictMargins(margins.pop("genuine"), margins)


def _birthdays_right(scorer: LoadedQwen, group: list[Person], settings: WordsBarsSettings) -> list[bool]:
    answers = _likeliest(scorer, [person.questions()[0] for person in group], settings)
    # the blank keeps "3 May" from being found in "13 May"
    return [f" {person.birthday}." in answer.text for person, answer in zip(group, answers, strict=True)]


def _likeliest(scorer: LoadedQwen, prompts: list[str], settings: WordsBarsSettings) -> list[Answer]:
    greedy = GenerationSettings(max_new_tokens=settings.max_new_tokens, temperature=0)
    return generate_answers(scorer, prompts, [0] * len(prompts), greedy)
