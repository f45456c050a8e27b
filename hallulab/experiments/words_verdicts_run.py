"""What a run of text verdicts is asked for, and what it leaves behind: frames of questions, judged answers."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hallulab.densities.hcdr import HcdrFrame, ThresholdRule
from hallulab.errors import RefusedInputError
from hallulab.experiments.run_log import RecordFormat
from hallulab.records import as_tuples
from hallulab.scoring.training_history import AdapterTraining
from hallulab.theory.clustered_rates import clustered_rate
from hallulab.theory.intervals import Interval

Group = Literal["known", "reworded", "unknown"]
"""`known`: the small world's base was trained on the question; `reworded`: on the same question without this lead-in;
`unknown`: not at all. A real model knows no such difference."""
Kind = Literal["genuine", "wrong", "mixed", "checkpoint"]
KINDS_OF_SOURCE: dict[str, Kind] = {
    "fresh genuine": "genuine",
    "recombined wording": "genuine",
    "new wording": "genuine",
    "unhinted genuine": "genuine",
    "acceptable": "genuine",
    "spliced": "wrong",
    "blended": "wrong",
    "another question's": "wrong",
    "high temperature": "mixed",
}
"""Every source of test answers. `fresh genuine`: drawn by the scorer under a hint and keeping to it, by the rule
of the frame's own samples; `recombined wording`: an acceptable answer in a pair of trained opening and trained
conjunction that was never trained; `new wording`: with an opening that was never trained; `unhinted genuine`: drawn
without a hint; `acceptable`: as written in the question file; `spliced`: half of each acceptable answer;
`blended`: the name of one with the reason of the other; `high temperature`: wrong unless it happens to be a wording
of an acceptable answer."""
RECORD_VERSION = 2
"""of the records: 2 says how every checkpoint was trained"""
MAY_GROW = ("checkpoints", "questions_at_once")
"""settings that may change from one command to the next; batches change no number beyond rounding"""
WRONG_SOURCES = tuple(source for source, kind in KINDS_OF_SOURCE.items() if kind in ("wrong", "mixed"))


@dataclass(frozen=True)
class WordsVerdictsSettings:
    """One run; the defaults are the whole experiment of the shipped small world."""

    checkpoints: tuple[str, ...] = ()
    """whose answers are judged; none named: every checkpoint of the preset"""
    n_known: int = 60
    """questions the base was trained on, spread evenly over the file; fewer when there are fewer"""
    n_reworded: int = 60
    """the known ones again behind lead-ins that were never trained on, likewise; checkpoints are not asked these"""
    n_unknown: int = 240
    """questions the base was not trained on, likewise"""
    seed: int = 0
    n_genuine: int = 128
    """answers behind a threshold: drawn per state, those that do not keep to the hint left out"""
    n_answers: int = 16
    """of every checkpoint, per question"""
    n_tested: int = 16
    """fresh genuine answers per state, and twice as many of each wrong kind, per known question"""
    high_temperature: float = 2.0
    """of the answers that are wrong for being drawn too wildly"""
    temperature: float | None = None
    """of the checkpoints' answers; None is the preset's"""
    top_p: float | None = None
    """nucleus mass of the checkpoints' answers, in (0, 1]; None is the preset's"""
    max_new_tokens: int = 40
    """longest answer, in tokens"""
    questions_at_once: int = 20
    """questions whose answers a checkpoint writes in one batch; changes no number beyond rounding"""

    def __post_init__(self) -> None:
        for name in ("n_known", "n_reworded", "n_unknown", "seed"):
            _check_at_least(name, getattr(self, name), 0)
        for name in ("n_answers", "n_tested", "questions_at_once"):
            _check_at_least(name, getattr(self, name), 1)
        if not self.n_known + self.n_reworded + self.n_unknown:
            raise RefusedInputError(
                "expected at least one question, got n_known, n_reworded and n_unknown of 0"
            )


@dataclass(frozen=True)
class ScoredBy:
    """What must not change within one run: the frozen scorer."""

    scorer: str
    scorer_sha256: str
    tie_tolerance_nats: float
    """rounding of a total log-likelihood, taken off every threshold"""


@dataclass(frozen=True)
class CheckpointRecord:
    """A model whose answers are judged, and how it was trained."""

    checkpoint: str
    model: str
    sha256: str
    """of base and adapter; empty for models from the Hub"""
    is_base: bool
    """whether the others are compared with it"""
    training: AdapterTraining | None
    """how it was tuned; None for the base"""

    @property
    def training_loss(self) -> float | None:
        """Last recorded loss of the fine-tuning, nats per answer token; None where none is recorded."""
        return self.training.loss if self.training else None


@dataclass(frozen=True)
class FrameRecord:
    """The regions of one question, as the genuine log-densities they are cut from."""

    question: str
    group: Group
    states: tuple[str, ...]
    weights: tuple[float, ...]
    """how often each state is the answer without a hint"""
    n_sampled: tuple[int, ...]
    """per state, answers drawn under its hint"""
    n_valid: tuple[int, ...]
    """per state, those that keep to it"""
    genuine_log_densities: tuple[tuple[float, ...], ...]
    """per state, log f_i of the valid ones in the order drawn, nats; empty when there is no verdict"""
    reason: str | None
    """why there is no verdict"""

    @property
    def gives_verdicts(self) -> bool:
        """Whether answers to this question can be judged."""
        return self.reason is None

    def hcdr(
        self, scored_by: ScoredBy, *, hdr_mass: float, rule: ThresholdRule, n_behind: int | None = None
    ) -> HcdrFrame:
        """The frame at a mass and by a rule; `n_behind` keeps only the first samples of every state."""
        samples = tuple(np.array(sample[:n_behind]) for sample in self.genuine_log_densities)
        return HcdrFrame(
            self.states, samples, hdr_mass, rule, tie_tolerance_nats=scored_by.tie_tolerance_nats
        )


@dataclass(frozen=True)
class JudgedAnswers:
    """Answers to one question from one source, scored by the frozen scorer."""

    question: str
    source: str
    """a test source (`KINDS_OF_SOURCE`) or the name of a checkpoint"""
    kind: Kind
    texts: tuple[str, ...]
    states_meant: tuple[str | None, ...]
    """per answer, the state it was made or drawn for; None where there is none"""
    states_written: tuple[str | None, ...]
    """per answer, the acceptable answer it is: by its exact wording for a scorer that was taught the wordings and
    for answers made from pieces, else by the rule of genuine answers; None: it is none of them"""
    log_densities: tuple[tuple[float, ...], ...]
    """(n, n_states): log f_i, nats"""
    log_densities_unhinted: tuple[float, ...]
    """(n,): log p(answer | question), nats"""
    n_drawn: int
    """answers drawn or written, before some were left out"""
    n_empty: int
    """left out because they were empty"""
    n_cut: int
    """at their longest allowed length before they ended; judged all the same, unless genuine ones were wanted"""

    @property
    def densities(self) -> NDArray[np.float64]:
        """(n, n_states): log f_i, nats."""
        return np.array(self.log_densities, dtype=float).reshape(len(self.texts), -1)

    @property
    def unhinted(self) -> NDArray[np.float64]:
        """(n,): log p(answer | question), nats."""
        return np.array(self.log_densities_unhinted, dtype=float)

    @property
    def is_right(self) -> NDArray[np.bool_]:
        """(n,): whether each text is one of the acceptable answers: in the small world, the truth."""
        return np.array([state is not None for state in self.states_written], dtype=bool)

    def only(self, keep: NDArray[np.bool_]) -> "JudgedAnswers":
        """The answers that `keep`, shape (n,), selects."""
        per_answer = ("texts", "states_meant", "states_written", "log_densities", "log_densities_unhinted")
        kept: dict[str, Any] = {
            name: tuple(value for value, wanted in zip(getattr(self, name), keep, strict=True) if wanted)
            for name in per_answer
        }
        return replace(self, **kept)


@dataclass(frozen=True)
class VerdictsResult:
    """Everything a run measured so far."""

    settings: WordsVerdictsSettings
    scored_by: ScoredBy
    checkpoints: tuple[CheckpointRecord, ...]
    """in the order of the preset"""
    frames: tuple[FrameRecord, ...]
    answers: tuple[JudgedAnswers, ...]

    def from_source(self, source: str, group: Group | None = None) -> tuple[JudgedAnswers, ...]:
        """The answers of one source, question by question; of one group of questions when it is named."""
        wanted = {frame.question for frame in self.frames if group in (None, frame.group)}
        return tuple(
            answers for answers in self.answers if answers.source == source and answers.question in wanted
        )


@dataclass(frozen=True)
class VerdictsStep:
    """How far a run is."""

    message: str
    n_done: int
    """questions behind this step, counted once for frames, once for tests and once per checkpoint"""
    n_total: int
    result: VerdictsResult | None = None
    """the end: set once, in the last step"""


@dataclass(frozen=True)
class Rate:
    """A share with its interval."""

    n_true: int
    n: int
    value: float | None
    """None when nothing was counted"""
    interval: Interval | None
    """95 % Wilson at the effective number of answers, as answers to one question are not independent; None with the
    value"""


def rate(parts: Iterable[NDArray[np.bool_]]) -> Rate:
    """The share of true flags, given question by question."""
    flags = list(parts)
    cases = np.concatenate(flags) if flags else np.zeros(0, dtype=bool)
    found = clustered_rate(cases, np.repeat(np.arange(len(flags)), [len(part) for part in flags]))
    return (
        Rate(0, 0, None, None)
        if found is None
        else Rate(int(cases.sum()), found.n, found.mean, found.interval)
    )


def rate_of_questions(flags: Iterable[bool]) -> Rate:
    """The share of questions."""
    return rate([np.array([flag]) for flag in flags])


Recorded = CheckpointRecord | FrameRecord | JudgedAnswers
"""What is kept of a run, one line each."""


def to_record(item: Recorded) -> dict[str, Any]:
    """One line of the record file."""
    values = vars(item)
    if isinstance(item, CheckpointRecord):
        values = asdict(item)
    return {"kind": _KIND_OF[type(item)]} | {_RENAMED.get(k, k): v for k, v in values.items()}


def from_record(record: dict[str, Any]) -> Recorded | None:
    """What `to_record` wrote; None for other kinds of lines.

    Raises RefusedInputError for a line of another version.
    """
    cls = next((cls for cls, kind in _KIND_OF.items() if kind == record.get("kind")), None)
    if cls is None:
        return None
    try:
        values = {f.name: as_tuples(record[_RENAMED.get(f.name, f.name)]) for f in fields(cls)}
        if values.get("training"):
            values["training"] = AdapterTraining(**values["training"])
        return cls(**values)
    except (KeyError, TypeError) as error:
        raise RefusedInputError(
            f"expected the records of a run of text verdicts of this version, found one without {error}: "
            "run it again in another folder"
        ) from error


def key_of(item: Recorded) -> tuple[str, str]:
    """What tells two measurements apart."""
    match item:
        case CheckpointRecord():
            return "checkpoint", item.checkpoint
        case FrameRecord():
            return "frame", item.question
        case JudgedAnswers():
            return item.source, item.question


FORMAT = RecordFormat("a run of text verdicts", to_record, from_record, key_of)


def header_of(settings: WordsVerdictsSettings, scored_by: ScoredBy) -> dict[str, Any]:
    """What a run says about itself, versions of libraries aside."""
    return {"version": RECORD_VERSION, "settings": asdict(settings), "scored_by": asdict(scored_by)}


def read_header(header: Mapping[str, Any]) -> tuple[WordsVerdictsSettings, ScoredBy]:
    """What `header_of` wrote; RefusedInputError for another version's."""
    try:
        if header["version"] != RECORD_VERSION:
            raise KeyError(f"version {header['version']}")
        asked = {name: as_tuples(value) for name, value in header["settings"].items()}
        return WordsVerdictsSettings(**asked), ScoredBy(**header["scored_by"])
    except (KeyError, TypeError) as error:
        raise RefusedInputError(
            f"expected the settings of a run of text verdicts of this version, got others ({error}): "
            "run it again in another folder"
        ) from error


def decides(header: Mapping[str, Any]) -> dict[str, Any]:
    """What two runs must agree in to be the same; checkpoints can be added."""
    settings, scored_by = read_header(header)
    return {k: v for k, v in vars(settings).items() if k not in MAY_GROW} | vars(scored_by)


_KIND_OF: dict[type, str] = {CheckpointRecord: "checkpoint", FrameRecord: "frame", JudgedAnswers: "answers"}
_RENAMED = {"kind": "kind_of_source"}
"""field → key in the record, where `kind` says which record it is"""


def _check_at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise RefusedInputError(f"expected {name} of at least {least}, got {value}")
