"""Possible answers to a question, found by sampling and grouping; they can then serve as latent states."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hallulab.data.open_ended import normalised
from hallulab.engine.core import Engine
from hallulab.engine.words import AnswerBuilder, GenerationSettings, stream_answers
from hallulab.scoring.hint_validity import abstains
from hallulab.scoring.job_progress import JobProgress, taking_turns
from hallulab.scoring.state_proposals import (
    LEAST_NAMED_SHARE,
    LEAST_OTHER_QUESTIONS,
    LEAST_SHARE,
    MOST_STATES,
    AnswerGroup,
    named_groups,
    near_identical_groups,
)
from hallulab.scoring.words import AskSettings
from hallulab.scoring.words_frame import N_PROPOSAL_SAMPLES, proposal_seeds

SAMPLES_ELSEWHERE = 8
"""Answers to each other question, which tell wording from what is named."""


@dataclass(frozen=True)
class ProposedStates:
    """What the frozen scorer answers without a hint, grouped."""

    question: str
    scorer: str
    n_sampled: int
    n_abstained: int
    """Answers that say they do not know, or nothing."""
    groups: tuple[AnswerGroup, ...]
    """Answers that give the same answer, the largest group first."""
    least_share: float
    """Of the answers, for a group to become a state."""

    @property
    def states(self) -> tuple[str, ...]:
        """The large groups."""
        large = [group.text for group in self.groups if group.n >= self.least_share * self.n_sampled]
        return tuple(large[:MOST_STATES])

    def to_json(self) -> dict[str, Any]:
        """What the endpoint gives."""
        return {**vars(self), "groups": [vars(group) for group in self.groups], "states": self.states}


def propose(engine: Engine, settings: AskSettings) -> Iterator[JobProgress[ProposedStates]]:
    """Sample the frozen scorer without a hint and group what it says; the last progress holds the groups.

    The preset's other example questions are sampled too: what their answers share is wording.
    """
    settings = replace(settings, states=()).checked()
    question = settings.question
    others = [
        other for other in engine.preset.words.example_questions if normalised(other) != normalised(question)
    ]
    prompts = [question] * N_PROPOSAL_SAMPLES + [o for o in others for _ in range(SAMPLES_ELSEWHERE)]
    seeds = proposal_seeds(settings.frame_seed, len(prompts))
    longest = engine.preset.words.max_new_tokens
    builders = [AnswerBuilder() for _ in prompts]
    with engine.enter("propose") as ticket:
        yield from taking_turns(ticket)
        scorer = engine.scorer()
        plain = GenerationSettings(max_new_tokens=longest)
        for place, steps in enumerate(stream_answers(scorer, prompts, seeds, plain)):
            for step in steps:
                builders[step.sample].add(step)
            yield JobProgress(f"sampling {N_PROPOSAL_SAMPLES} answers", place / longest)
    answers = [builder.answer().text for builder in builders]
    own, elsewhere = answers[:N_PROPOSAL_SAMPLES], answers[N_PROPOSAL_SAMPLES:]
    per_question = [
        elsewhere[first : first + SAMPLES_ELSEWHERE] for first in range(0, len(elsewhere), SAMPLES_ELSEWHERE)
    ]
    yield JobProgress("grouped", 1.0, _grouped(question, scorer.name, own, per_question))


def _grouped(
    question: str, scorer: str, answers: Sequence[str], elsewhere: Sequence[Sequence[str]]
) -> ProposedStates:
    can_name = len(elsewhere) >= LEAST_OTHER_QUESTIONS
    groups = named_groups(answers, question, elsewhere) if can_name else near_identical_groups(answers)
    return ProposedStates(
        question=question,
        scorer=scorer,
        n_sampled=len(answers),
        n_abstained=sum(not answer or abstains(answer) for answer in answers),
        groups=tuple(groups),
        least_share=LEAST_NAMED_SHARE if can_name else LEAST_SHARE,
    )
