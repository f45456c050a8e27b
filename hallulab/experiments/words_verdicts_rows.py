"""The rows of a run of text verdicts' tables: checkpoints, coverage, detection, hints, slack, questions."""

from dataclasses import asdict, dataclass
from typing import Any

from hallulab.densities.hcdr import ThresholdRule
from hallulab.experiments.words_comparisons import Comparison
from hallulab.experiments.words_slopes import PooledSlope
from hallulab.experiments.words_verdicts_run import Group, Rate
from hallulab.scoring.training_history import AdapterTraining
from hallulab.theory.clustered_auroc import ClusteredAuroc


@dataclass(frozen=True)
class CheckpointRow:
    """The answers of one checkpoint over all questions that can be judged."""

    checkpoint: str
    model: str
    training: AdapterTraining | None
    """how it was tuned; None for the base"""
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
    """answers outside every region"""
    more_than_base: Comparison | None
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
    gain: Comparison | None
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
    rate_slope: PooledSlope | None
    """of the hallucination rate per epoch of training; None without trained checkpoints"""
    n_compared: int
    """comparisons of rates, over which p-values are corrected"""

    def to_json(self) -> dict[str, Any]:
        """Every table, as `sweep words --json` prints it."""
        return asdict(self)
