"""The answers of a run of text verdicts: written or made, and scored under every hint and without one."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hallulab.data.hints import hinted_prompt
from hallulab.data.new_wordings import NEW_TEMPLATES, RECOMBINED_TEMPLATES, worded
from hallulab.data.open_ended import OpenEndedQuestion
from hallulab.data.wrong_answers import blended_answers, borrowed_answers, spliced_answers
from hallulab.engine.word_likelihoods import log_likelihoods
from hallulab.engine.words import Answer, GenerationSettings, generate_answers
from hallulab.experiments.words_verdicts_run import (
    KINDS_OF_SOURCE,
    Group,
    JudgedAnswers,
    WordsVerdictsSettings,
)
from hallulab.models.qwen import LoadedQwen
from hallulab.scoring.hint_validity import keeps_to_hint

NEED_REASONS = ("blended", "recombined wording", "new wording")
"""sources that need the reasons which only the known questions have"""
TESTS_OF_KNOWN = tuple(source for source in KINDS_OF_SOURCE if source != "acceptable")
TESTS_OF_UNKNOWN = tuple(source for source in KINDS_OF_SOURCE if source not in NEED_REASONS)


@dataclass(frozen=True)
class ChosenQuestion:
    """A question of a run."""

    question: OpenEndedQuestion
    group: Group
    other: OpenEndedQuestion
    """the question whose answers are wrong here"""

    @property
    def is_asked(self) -> bool:
        """Whether checkpoints answer it: a reworded question would count twice."""
        return self.group != "reworded"

    @property
    def tests(self) -> tuple[str, ...]:
        """Sources of its test answers."""
        return TESTS_OF_UNKNOWN if self.group == "unknown" else TESTS_OF_KNOWN


def judged_test_answers(
    scorer: LoadedQwen, item: ChosenQuestion, settings: WordsVerdictsSettings
) -> list[JudgedAnswers]:
    """Answers to one question whose truth is known, scored: one entry per source."""
    question, rng = item.question, random.Random(f"{settings.seed} {item.question.question}")
    written = [(answer.state, text) for answer in question.answers for text in answer.phrasings()]
    # an unknown question has only a few wordings to cut up
    n_wrong = min(settings.n_tested * len(question.answers), len(written))
    drafts = [
        *_sampled_drafts(scorer, question, settings),
        _draft(question, "spliced", spliced_answers(question, n_wrong, rng=rng)),
        _draft(question, "another question's", borrowed_answers(item.other, n_wrong, rng=rng)),
    ]
    if item.group == "unknown":
        drafts.append(_meant_draft(question, "acceptable", written))
    else:
        drafts += [
            _draft(question, "blended", blended_answers(question, n_wrong, rng=rng)),
            _worded_draft(question, "recombined wording", RECOMBINED_TEMPLATES),
            _worded_draft(question, "new wording", NEW_TEMPLATES),
        ]
    return _scored(scorer, drafts, [question])


def checkpoint_answers(
    qwen: LoadedQwen,
    scorer: LoadedQwen,
    checkpoint: str,
    questions: Sequence[OpenEndedQuestion],
    generation: GenerationSettings,
    settings: WordsVerdictsSettings,
) -> list[JudgedAnswers]:
    """A checkpoint's answers to these questions, scored by the frozen scorer; its seeds are every checkpoint's."""
    n = settings.n_answers
    answers = generate_answers(
        qwen,
        [question.question for question in questions for _ in range(n)],
        [seed for question in questions for seed in item_seeds(settings.seed, question.question, n)],
        generation,
    )
    drafts = [
        _drawn_draft(scorer, question, checkpoint, answers[place * n : place * n + n])
        for place, question in enumerate(questions)
    ]
    return _scored(scorer, drafts, questions)


def item_seeds(seed: int, label: str, n: int) -> list[int]:
    """Seeds of n answers, by the run's seed and a label alone: they do not depend on what else is drawn."""
    return np.random.SeedSequence([seed, *label.encode()]).generate_state(n, np.uint32).tolist()


def _sampled_drafts(
    scorer: LoadedQwen, question: OpenEndedQuestion, settings: WordsVerdictsSettings
) -> list[JudgedAnswers]:
    """Fresh answers under each hint, answers without a hint, and answers drawn too wildly."""
    asked, states = question.question, question.states
    n_unhinted, n_wild = settings.n_genuine * len(states), settings.n_tested * len(states)
    # labels that no frame uses: the seeds of fresh answers must not be those of the threshold's own
    labels = [
        *((hinted_prompt(asked, state), f"fresh {state}", settings.n_tested) for state in states),
        (asked, "unhinted", n_unhinted),
    ]
    plain = generate_answers(
        scorer,
        [prompt for prompt, _, n in labels for _ in range(n)],
        [seed for _, label, n in labels for seed in item_seeds(settings.seed, f"{label}\n{asked}", n)],
        GenerationSettings(settings.max_new_tokens),
    )
    wild = generate_answers(
        scorer,
        [asked] * n_wild,
        item_seeds(settings.seed, f"wild\n{asked}", n_wild),
        GenerationSettings(settings.max_new_tokens, settings.high_temperature),
    )
    n_hinted = settings.n_tested * len(states)
    meant = [state for state in states for _ in range(settings.n_tested)]
    hinted, unhinted = plain[:n_hinted], plain[n_hinted:]
    return [
        _drawn_draft(scorer, question, "fresh genuine", hinted, meant, genuine_only=True),
        _drawn_draft(scorer, question, "unhinted genuine", unhinted, genuine_only=True),
        _drawn_draft(scorer, question, "high temperature", wild),
    ]


def _worded_draft(question: OpenEndedQuestion, source: str, templates: Sequence[str]) -> JudgedAnswers:
    """Every acceptable answer in templates that were never trained on."""
    pairs = [(answer.state, text) for answer in question.answers for text in worded(answer, templates)]
    return _meant_draft(question, source, pairs)


def _meant_draft(question: OpenEndedQuestion, source: str, pairs: Sequence[tuple[str, str]]) -> JudgedAnswers:
    """Written answers, from pairs (state, text)."""
    return _draft(question, source, [text for _, text in pairs], [state for state, _ in pairs])


def _drawn_draft(
    scorer: LoadedQwen,
    question: OpenEndedQuestion,
    source: str,
    answers: Sequence[Answer],
    states_meant: Sequence[str | None] = (),
    *,
    genuine_only: bool = False,
) -> JudgedAnswers:
    """Drawn answers without the empty ones; `genuine_only` keeps those that the frame would call genuine."""
    meant = tuple(states_meant) or (None,) * len(answers)
    given = [_states_given(scorer, question, answer.text) for answer in answers]
    kept = [
        place
        for place, answer in enumerate(answers)
        if answer.text
        and (not genuine_only or (answer.is_complete and _is_given(meant[place], given[place])))
    ]
    return replace(
        _draft(question, source, [answers[p].text for p in kept], [meant[p] for p in kept]),
        states_written=tuple(given[place][0] if given[place] else None for place in kept),
        n_drawn=len(answers),
        n_empty=sum(not answer.text for answer in answers),
        n_cut=sum(not answer.is_complete for answer in answers),
    )


def _states_given(scorer: LoadedQwen, question: OpenEndedQuestion, text: str) -> list[str]:
    """The acceptable answers that this text is, by the rule of genuine answers: at most one where it is exact."""
    states = question.states
    return [s for s in states if keeps_to_hint(question.question, states, s, text, writer=scorer.name)]


def _is_given(meant: str | None, given: Sequence[str]) -> bool:
    """Whether the answer meant was given; without a hint any will do."""
    return bool(given) if meant is None else meant in given


def _draft(
    question: OpenEndedQuestion, source: str, texts: Sequence[str], states_meant: Sequence[str | None] = ()
) -> JudgedAnswers:
    """Answers that are still to be scored."""
    return JudgedAnswers(
        question.question,
        source,
        KINDS_OF_SOURCE.get(source, "checkpoint"),
        tuple(texts),
        tuple(states_meant) or (None,) * len(texts),
        tuple(question.state_of(text) for text in texts),
        (),
        (),
        len(texts),
        0,
        0,
    )


def _scored(
    scorer: LoadedQwen, drafts: Sequence[JudgedAnswers], questions: Sequence[OpenEndedQuestion]
) -> list[JudgedAnswers]:
    """The drafts with log-densities under every hint and without one; equal pairs are scored once."""
    states = {question.question: question.states for question in questions}
    prompts = {asked: [asked, *(hinted_prompt(asked, s) for s in states[asked])] for asked in states}
    pairs = [(p, text) for draft in drafts for text in draft.texts for p in prompts[draft.question]]
    scores = log_likelihoods(scorer, [prompt for prompt, _ in pairs], [text for _, text in pairs])
    done, start = [], 0
    for draft in drafts:
        n_columns = len(prompts[draft.question])
        end = start + len(draft.texts) * n_columns
        table = scores[start:end].reshape(-1, n_columns).tolist()
        done.append(
            replace(
                draft,
                log_densities=tuple(tuple(row[1:]) for row in table),
                log_densities_unhinted=tuple(row[0] for row in table),
            )
        )
        start = end
    return done
