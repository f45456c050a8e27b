"""What a run of text verdicts says: rates per checkpoint, coverage, detection, where hints pay, what is withheld."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from hallulab.densities.hcdr import THRESHOLD_RULES, ThresholdRule
from hallulab.experiments.words_verdicts_run import (
    WRONG_SOURCES,
    CheckpointRecord,
    FrameRecord,
    Group,
    JudgedAnswers,
    Rate,
    VerdictsResult,
    rate,
)
from hallulab.scoring.words_frame import THRESHOLD_RULE
from hallulab.theory.bootstrap import PairedDifference, bootstrap_interval, paired_difference
from hallulab.theory.clustered_auroc import ClusteredAuroc, clustered_auroc
from hallulab.theory.intervals import Interval

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


@dataclass(frozen=True)
class CheckpointRow:
    """The answers of one checkpoint over all questions that can be judged."""

    checkpoint: str
    model: str
    training_loss: float | None
    """last loss of the fine-tuning, nats per answer token; None for the base"""
    n_questions: int
    """questions with a verdict"""
    n_withheld: int
    """questions without one: not in the rates"""
    n_empty: int
    """empty answers: not in the rates"""
    n_cut: int
    """answers cut at their longest length; judged as they are"""
    hallucination_rate: Rate
    """answers outside every region; its Wilson interval is about more answers to the same questions"""
    over_questions: Interval | None
    """bootstrap interval of the same rate, whole questions drawn again: about other questions of this kind"""
    more_than_base: PairedDifference | None
    """rate minus the base's, question by question with the same seeds; None for the base or without it"""
    wrong: Rate
    """answers that are none of the acceptable ones, on known questions: in the small world, the truth"""
    outside_of_wrong: Rate
    """of those, the share the verdict finds"""
    outside_of_right: Rate
    """of the acceptable answers, the share the verdict calls a hallucination all the same"""
    auroc: ClusteredAuroc | None
    """of the margin, acceptable answers against the others; None when all are of one kind"""
    mean_characters: float | None


@dataclass(frozen=True)
class CoverageRow:
    """Genuine answers that thresholds let in."""

    questions: Group
    answers: str
    """`fresh genuine`, or acceptable answers in wordings held out of the training"""
    rule: ThresholdRule
    n_behind: int
    """genuine answers drawn per state behind a threshold, at most"""
    own_region: Rate
    """inside the region of the state they were drawn or made for: what the mass is about"""
    any_region: Rate
    """inside some region: not called a hallucination"""


@dataclass(frozen=True)
class DetectionRow:
    """One way of being wrong against fresh genuine answers to the same questions."""

    source: str
    outside: Rate
    """wrong answers found"""
    auroc: ClusteredAuroc | None
    """of the margin"""
    auroc_plain: ClusteredAuroc | None
    """of log p(answer | question) without a hint, less its own threshold"""
    auroc_held_out: dict[str, ClusteredAuroc | None]
    """of the margin, with acceptable answers in held-out wordings in place of the fresh ones: source → area"""
    n_acceptable: int
    """answers of this source left out because they are acceptable by chance"""


@dataclass(frozen=True)
class HintRow:
    """Hinted verdict against plain likelihood, for causes of one kind."""

    causes: str
    """how often the causes occur without a hint, such as 90/10"""
    answers: str
    """`every`, `frequent` or `rare`: whose cause the genuine answers have"""
    n_questions: int
    inside_hinted: Rate
    """fresh genuine answers let in by the hinted regions"""
    inside_plain: Rate
    """the same answers let in by one threshold on p(answer | question) of the same mass"""
    gain: PairedDifference | None
    """share let in with hints minus without, question by question"""
    auroc_hinted: ClusteredAuroc | None
    """these genuine answers against all wrong ones to the same questions"""
    auroc_plain: ClusteredAuroc | None


@dataclass(frozen=True)
class SlackRow:
    """What a slack below the thresholds would let in."""

    slack_nats: float
    fresh_inside: Rate
    held_out_inside: dict[str, Rate]
    """held-out wording → share let in"""
    wrong_inside: dict[str, Rate]
    """source → share let in"""


@dataclass(frozen=True)
class QuestionsRow:
    """Whether questions get verdicts, and whether those on questions the scorer does not know are wrong."""

    questions: Group
    withheld: Rate
    """questions without a verdict"""
    wrong_verdicts: Rate
    """of the judgements given on unknown questions: acceptable answers called hallucinations, answers to other
    questions let in; none counted for the other groups, whose verdicts the other tables test"""
    examples: tuple[str, ...]
    """questions of the rarer outcome, a few"""


@dataclass(frozen=True)
class VerdictsSummary:
    """Every table of a run."""

    hdr_mass: float
    rule: ThresholdRule
    n_genuine: int
    scorer: str
    checkpoints: tuple[CheckpointRow, ...]
    coverage: tuple[CoverageRow, ...]
    detection: tuple[DetectionRow, ...]
    hints: tuple[HintRow, ...]
    slack: tuple[SlackRow, ...]
    questions: tuple[QuestionsRow, ...]

    def to_json(self) -> dict[str, Any]:
        """Every table, as `sweep words --json` prints it."""
        return asdict(self)


def summarise_verdicts(
    result: VerdictsResult, *, hdr_mass: float = 0.9, rule: ThresholdRule = THRESHOLD_RULE
) -> VerdictsSummary:
    """The tables of a run, finished or killed, at a mass and by a threshold rule; no model is called."""
    judge = _Judge(result, hdr_mass, rule)
    return VerdictsSummary(
        hdr_mass,
        rule,
        result.settings.n_genuine,
        result.scored_by.scorer,
        tuple(_checkpoint_row(judge, checkpoint) for checkpoint in result.checkpoints),
        tuple(_coverage_rows(result, hdr_mass)),
        tuple(_detection_row(judge, source) for source in WRONG_SOURCES),
        tuple(_hint_rows(judge)),
        tuple(_slack_row(judge, slack) for slack in SLACKS_NATS),
        tuple(_questions_row(judge, group) for group in get_args(Group)),
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
        return rate(joined([self.margins(answers) > 0 for answers in every]))

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


def _checkpoint_row(judge: _Judge, checkpoint: CheckpointRecord) -> CheckpointRow:
    result = judge.result
    every = [answers for answers in result.from_source(checkpoint.checkpoint) if answers.texts]
    outside = {answers.question: judge.margins(answers) <= 0 for answers in every}
    shares = {question: float(flags.mean()) for question, flags in outside.items()}
    known = [answers for answers in every if judge.frame_of(answers).group == "known"]
    right = joined([answers.is_right for answers in known])
    found = joined([outside[answers.question] for answers in known])
    margins = [judge.margins(answers) for answers in known]
    spread = bootstrap_interval(list(shares.values()), rng=_rng())
    lengths = [len(text) for answers in every for text in answers.texts]
    return CheckpointRow(
        checkpoint.checkpoint,
        checkpoint.model,
        checkpoint.training_loss,
        len(every),
        sum(not frame.gives_verdicts for frame in result.frames if frame.group != "reworded"),
        sum(answers.n_empty for answers in result.from_source(checkpoint.checkpoint)),
        sum(answers.n_cut for answers in every),
        rate(joined(list(outside.values()))),
        None if spread is None else spread.interval,
        _more_than_base(judge, checkpoint, shares),
        rate(~right),
        rate(found[~right]),
        rate(found[right]),
        clustered_auroc(
            [m[a.is_right] for m, a in zip(margins, known, strict=True)],
            [m[~a.is_right] for m, a in zip(margins, known, strict=True)],
            rng=_rng(),
        ),
        float(np.mean(lengths)) if lengths else None,
    )


def _more_than_base(
    judge: _Judge, checkpoint: CheckpointRecord, shares: dict[str, float]
) -> PairedDifference | None:
    scorer = judge.result.scored_by.scorer
    base = next((other for other in judge.result.checkpoints if other.model == scorer), None)
    if base is None or base == checkpoint:
        return None
    theirs = {
        answers.question: float((judge.margins(answers) <= 0).mean())
        for answers in judge.result.from_source(base.checkpoint)
        if answers.texts
    }
    both = [question for question in shares if question in theirs]
    return paired_difference([shares[q] for q in both], [theirs[q] for q in both], rng=_rng())


def _coverage_rows(result: VerdictsResult, hdr_mass: float) -> Iterable[CoverageRow]:
    n_all = result.settings.n_genuine
    numbers = [*(n for n in NUMBERS_BEHIND if n < n_all), n_all]
    for group, source in COVERED:
        every = [answers for answers in result.from_source(source, group) if answers.texts]
        for rule in get_args(ThresholdRule):
            for n_behind in numbers if every else ():
                judge = _Judge(result, hdr_mass, rule, n_behind)
                own = joined([_own_margins(judge, answers) > 0 for answers in every])
                yield CoverageRow(group, source, rule, n_behind, rate(own), judge.inside(every))


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
        rate(joined([judge.margins(answers) <= 0 for answers in wrong.values()])),
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


def _hint_rows(judge: _Judge) -> Iterable[HintRow]:
    for causes in sorted({_causes(judge.frame_of(a)) for a in judge.fresh.values()}, key=_first_share):
        group = [a for a in judge.fresh.values() if _causes(judge.frame_of(a)) == causes]
        yield _hint_row(judge, causes, "every", group)
        if len(set(causes.split("/"))) > 1:
            yield _hint_row(judge, causes, "frequent", [_of_state(judge, a, np.argmax) for a in group])
            yield _hint_row(judge, causes, "rare", [_of_state(judge, a, np.argmin) for a in group])


def _hint_row(judge: _Judge, causes: str, which: str, group: Sequence[JudgedAnswers]) -> HintRow:
    group = [answers for answers in group if answers.texts]
    hinted = [judge.margins(answers) for answers in group]
    plain = [judge.plain_margins(answers) for answers in group]
    wrong = [judge.every_wrong(answers.question) for answers in group]
    return HintRow(
        causes,
        which,
        len(group),
        rate(joined([margins > 0 for margins in hinted])),
        rate(joined([margins > 0 for margins in plain])),
        paired_difference([(m > 0).mean() for m in hinted], [(m > 0).mean() for m in plain], rng=_rng()),
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
        return rate(joined([judge.margins(answers) > -slack_nats for answers in every if answers.texts]))

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
    return QuestionsRow(group, rate(withheld), rate(joined(wrong)), tuple(examples[:n_examples]))
