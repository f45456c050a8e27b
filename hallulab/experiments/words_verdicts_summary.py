"""What a run of text verdicts says: rates per checkpoint, coverage, detection, where hints pay, what is withheld."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from hallulab.densities.hcdr import THRESHOLD_RULES, ThresholdRule
from hallulab.experiments.words_comparisons import Comparison, compared
from hallulab.experiments.words_slopes import pooled_slope
from hallulab.experiments.words_verdicts_rows import (
    CheckpointRow,
    CoverageRow,
    DetectionRow,
    HintRow,
    QuestionsRow,
    SlackRow,
    VerdictsSummary,
)
from hallulab.experiments.words_verdicts_run import (
    WRONG_SOURCES,
    CheckpointRecord,
    FrameRecord,
    Group,
    JudgedAnswers,
    Rate,
    VerdictsResult,
    rate,
    rate_of_questions,
)
from hallulab.scoring.words_frame import THRESHOLD_RULE
from hallulab.theory.clustered_auroc import ClusteredAuroc, clustered_auroc

NUMBERS_BEHIND = (32, 64, 128, 256, 512)
"""genuine answers behind a threshold whose coverage is compared, as far as there are as many"""
HELD_OUT_SOURCES = ("recombined wording", "new wording")
COVERED: tuple[tuple[Group, str], ...] = (
    ("known", "fresh genuine"),
    ("reworded", "fresh genuine"),
    *(("known", source) for source in HELD_OUT_SOURCES),
)
"""questions and answers whose coverage is reported: as trained, another question wording, another answer wording"""
SLACKS_NATS = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0)
"""how far below its threshold an answer might still be let in"""
RESAMPLING_SEED = 0


def summarise_verdicts(
    result: VerdictsResult, *, hdr_mass: float = 0.9, rule: ThresholdRule = THRESHOLD_RULE
) -> VerdictsSummary:
    """The tables of a run, finished or killed, at a mass and by a threshold rule; no model is called."""
    judge = _Judge(result, hdr_mass, rule)
    more, groups = _more_than_base(judge), _hint_groups(judge)
    rises = compared(more, seed=RESAMPLING_SEED)
    gains = compared(_gains(judge, groups), seed=RESAMPLING_SEED)
    made = {checkpoint.checkpoint: checkpoint.training for checkpoint in result.checkpoints}
    return VerdictsSummary(
        hdr_mass,
        rule,
        result.settings.n_genuine,
        result.scored_by.scorer,
        tuple(_checkpoint_row(judge, one, rises.get(one.checkpoint)) for one in result.checkpoints),
        tuple(_coverage_rows(result, hdr_mass)),
        tuple(_detection_row(judge, source) for source in WRONG_SOURCES),
        tuple(_hint_row(judge, *kind, group, gains[kind]) for kind, group in groups.items()),
        tuple(_slack_row(judge, slack) for slack in SLACKS_NATS),
        tuple(_questions_row(judge, group) for group in get_args(Group)),
        pooled_slope("hallucination_rate", more, made, seed=RESAMPLING_SEED),
        sum(one is not None for one in rises.values()),
    )


class _Judge:
    """Margins of answers at one mass, by one rule, with so many genuine answers behind each threshold."""

    def __init__(
        self, result: VerdictsResult, hdr_mass: float, rule: ThresholdRule, n_behind: int | None = None
    ):
        self.result, self._mass, self._rule = result, hdr_mass, rule
        self._frames = {frame.question: frame for frame in result.frames}
        self._thresholds = {
            frame.question: frame.hcdr(
                result.scored_by, hdr_mass=hdr_mass, rule=rule, n_behind=n_behind
            ).thresholds
            for frame in result.frames
            if frame.gives_verdicts
        }

    def margins(self, answers: JudgedAnswers) -> NDArray[np.float64]:
        """(n,): max_i (log f_i − log δ_i), nats; positive is inside."""
        return self.region_margins(answers).max(axis=1)

    def region_margins(self, answers: JudgedAnswers) -> NDArray[np.float64]:
        """(n, n_states): log f_i − log δ_i, nats."""
        return answers.densities - self._thresholds[answers.question]

    def plain_margins(self, answers: JudgedAnswers) -> NDArray[np.float64]:
        """(n,): log p(answer | question) less the threshold that keeps the same mass of unhinted answers, nats."""
        return answers.unhinted - self._plain_thresholds[answers.question]

    def inside(self, every: Iterable[JudgedAnswers]) -> Rate:
        """The share of answers that are inside some region."""
        return rate(self.margins(answers) > 0 for answers in every)

    def frame_of(self, answers: JudgedAnswers) -> FrameRecord:
        """The frame that judges these answers."""
        return self._frames[answers.question]

    @cached_property
    def _plain_thresholds(self) -> dict[str, float]:
        tolerance = self.result.scored_by.tie_tolerance_nats
        return {
            answers.question: THRESHOLD_RULES[self._rule](answers.unhinted, self._mass) - tolerance
            for answers in self.result.from_source("unhinted genuine")
            if answers.texts
        }

    @cached_property
    def fresh(self) -> dict[str, JudgedAnswers]:
        """Known question → its fresh genuine answers, where a plain threshold exists as well."""
        every = self.result.from_source("fresh genuine", "known")
        return {a.question: a for a in every if a.question in self._plain_thresholds}

    @cached_property
    def wrong(self) -> dict[str, dict[str, JudgedAnswers]]:
        """Source → known question → its answers that are a wording of no acceptable answer."""
        return {
            source: {
                answers.question: answers.only(~answers.is_right)
                for answers in self.result.from_source(source, "known")
                if answers.question in self.fresh
            }
            for source in WRONG_SOURCES
        }

    def every_wrong(self, question: str) -> list[JudgedAnswers]:
        """All wrong answers to one question."""
        return [by_question[question] for by_question in self.wrong.values() if question in by_question]


def joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """One array of all parts; empty without any."""
    return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)


def _rng() -> np.random.Generator:
    return np.random.default_rng(RESAMPLING_SEED)


def _checkpoint_row(
    judge: _Judge, checkpoint: CheckpointRecord, more_than_base: Comparison | None
) -> CheckpointRow:
    result = judge.result
    every = [answers for answers in result.from_source(checkpoint.checkpoint) if answers.texts]
    outside = {answers.question: judge.margins(answers) <= 0 for answers in every}
    known = [answers for answers in every if judge.frame_of(answers).group == "known"]
    margins = [judge.margins(answers) for answers in known]
    lengths = [len(text) for answers in every for text in answers.texts]
    return CheckpointRow(
        checkpoint.checkpoint,
        checkpoint.model,
        checkpoint.training,
        checkpoint.training_loss,
        len(every),
        sum(not frame.gives_verdicts for frame in result.frames if frame.group != "reworded"),
        sum(answers.n_empty for answers in result.from_source(checkpoint.checkpoint)),
        sum(answers.n_cut for answers in every),
        rate(outside.values()),
        more_than_base,
        rate(~answers.is_right for answers in known),
        rate(outside[answers.question][~answers.is_right] for answers in known),
        rate(outside[answers.question][answers.is_right] for answers in known),
        clustered_auroc(
            [m[a.is_right] for m, a in zip(margins, known, strict=True)],
            [m[~a.is_right] for m, a in zip(margins, known, strict=True)],
            rng=_rng(),
        ),
        float(np.mean(lengths)) if lengths else None,
    )


def _more_than_base(judge: _Judge) -> dict[str, NDArray[np.float64]]:
    """Checkpoint → its rate minus the base's of every judged question, (n_questions,), NaN where one has no answer."""
    result = judge.result
    base = next((one for one in result.checkpoints if one.is_base), None)
    if base is None:
        return {}
    rates = {one.checkpoint: _rates(judge, one.checkpoint) for one in result.checkpoints}
    return {name: own - rates[base.checkpoint] for name, own in rates.items() if name != base.checkpoint}


def _rates(judge: _Judge, checkpoint: str) -> NDArray[np.float64]:
    judged = [frame.question for frame in judge.result.frames if frame.gives_verdicts]
    shares = {
        answers.question: float((judge.margins(answers) <= 0).mean())
        for answers in judge.result.from_source(checkpoint)
        if answers.texts
    }
    return np.array([shares.get(question, np.nan) for question in judged])


def _coverage_rows(result: VerdictsResult, hdr_mass: float) -> Iterable[CoverageRow]:
    n_all = result.settings.n_genuine
    numbers = [*(n for n in NUMBERS_BEHIND if n < n_all), n_all]
    for group, source in COVERED:
        every = [answers for answers in result.from_source(source, group) if answers.texts]
        for rule in get_args(ThresholdRule):
            for n_behind in numbers if every else ():
                judge = _Judge(result, hdr_mass, rule, n_behind)
                own = rate(_own_margins(judge, answers) > 0 for answers in every)
                yield CoverageRow(group, source, rule, n_behind, own, judge.inside(every))


def _own_margins(judge: _Judge, answers: JudgedAnswers) -> NDArray[np.float64]:
    """(n,): margin in the region of the state each answer was made for, nats."""
    states = judge.frame_of(answers).states
    columns = [states.index(state) for state in answers.states_meant if state is not None]
    return judge.region_margins(answers)[np.arange(len(answers.texts)), columns]


def _detection_row(judge: _Judge, source: str) -> DetectionRow:
    wrong = judge.wrong[source]
    questions = list(wrong)
    fresh = [judge.fresh[question] for question in questions]
    there = judge.result.from_source(source, "known")
    return DetectionRow(
        source,
        rate(judge.margins(answers) <= 0 for answers in wrong.values()),
        clustered_auroc(
            [judge.margins(a) for a in fresh], [judge.margins(wrong[q]) for q in questions], rng=_rng()
        ),
        clustered_auroc(
            [judge.plain_margins(a) for a in fresh],
            [judge.plain_margins(wrong[q]) for q in questions],
            rng=_rng(),
        ),
        {held_out: _held_out_auroc(judge, held_out, wrong) for held_out in HELD_OUT_SOURCES},
        sum(int(answers.is_right.sum()) for answers in there),
    )


def _held_out_auroc(judge: _Judge, source: str, wrong: dict[str, JudgedAnswers]) -> ClusteredAuroc | None:
    every = [a for a in judge.result.from_source(source, "known") if a.question in wrong]
    return clustered_auroc(
        [judge.margins(answers) for answers in every],
        [judge.margins(wrong[answers.question]) for answers in every],
        rng=_rng(),
    )


def _hint_groups(judge: _Judge) -> dict[tuple[str, str], list[JudgedAnswers]]:
    """(how often the causes occur, whose answers) → fresh genuine answers, question by question."""
    groups: dict[tuple[str, str], list[JudgedAnswers]] = {}
    for causes in sorted({_causes(judge.frame_of(a)) for a in judge.fresh.values()}, key=_first_share):
        group = [a for a in judge.fresh.values() if _causes(judge.frame_of(a)) == causes]
        groups[causes, "every"] = group
        if len(set(causes.split("/"))) > 1:
            groups[causes, "frequent"] = [_of_state(judge, answers, np.argmax) for answers in group]
            groups[causes, "rare"] = [_of_state(judge, answers, np.argmin) for answers in group]
    return {kind: [answers for answers in group if answers.texts] for kind, group in groups.items()}


def _gains(
    judge: _Judge, groups: dict[tuple[str, str], list[JudgedAnswers]]
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Share let in with hints minus without, of every question, NaN where it has no such answer."""
    questions = list(judge.fresh)
    gains = {}
    for kind, group in groups.items():
        own = {
            answers.question: float(
                (judge.margins(answers) > 0).mean() - (judge.plain_margins(answers) > 0).mean()
            )
            for answers in group
        }
        gains[kind] = np.array([own.get(question, np.nan) for question in questions])
    return gains


def _hint_row(
    judge: _Judge, causes: str, which: str, group: Sequence[JudgedAnswers], gain: Comparison | None
) -> HintRow:
    hinted = [judge.margins(answers) for answers in group]
    plain = [judge.plain_margins(answers) for answers in group]
    wrong = [judge.every_wrong(answers.question) for answers in group]
    return HintRow(
        causes,
        which,
        len(group),
        rate(margins > 0 for margins in hinted),
        rate(margins > 0 for margins in plain),
        gain,
        clustered_auroc(hinted, [joined([judge.margins(a) for a in every]) for every in wrong], rng=_rng()),
        clustered_auroc(
            plain, [joined([judge.plain_margins(a) for a in every]) for every in wrong], rng=_rng()
        ),
    )


def _of_state(judge: _Judge, answers: JudgedAnswers, choose: Any) -> JudgedAnswers:
    """The answers meant for the state that `choose` picks by its weight."""
    frame = judge.frame_of(answers)
    state = frame.states[int(choose(frame.weights))]
    return answers.only(np.array([meant == state for meant in answers.states_meant], dtype=bool))


def _causes(frame: FrameRecord) -> str:
    return "/".join(f"{100 * weight:.0f}" for weight in sorted(frame.weights, reverse=True))


def _first_share(causes: str) -> float:
    return float(causes.split("/")[0])


def _slack_row(judge: _Judge, slack_nats: float) -> SlackRow:
    def inside(every: Iterable[JudgedAnswers]) -> Rate:
        return rate(judge.margins(answers) > -slack_nats for answers in every if answers.texts)

    return SlackRow(
        slack_nats,
        inside(judge.result.from_source("fresh genuine", "known")),
        {source: inside(judge.result.from_source(source, "known")) for source in HELD_OUT_SOURCES},
        {source: inside(by_question.values()) for source, by_question in judge.wrong.items()},
    )


def _questions_row(judge: _Judge, group: Group, n_examples: int = 5) -> QuestionsRow:
    frames = [frame for frame in judge.result.frames if frame.group == group]
    withheld = [not frame.gives_verdicts for frame in frames]
    wrong = []
    for source in ("acceptable", "another question's") if group == "unknown" else ():
        for answers in judge.result.from_source(source, group):
            is_outside = judge.margins(answers) <= 0
            wrong.append(is_outside if source == "acceptable" else ~is_outside)
    rarer = sum(withheld) < len(withheld) / 2
    examples = [f.question for f, is_withheld in zip(frames, withheld, strict=True) if is_withheld == rarer]
    return QuestionsRow(group, rate_of_questions(withheld), rate(wrong), tuple(examples[:n_examples]))
