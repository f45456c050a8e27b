"""A run of text verdicts written by hand, so that tables can be checked without a model."""

from hallulab.experiments.words_verdicts_run import (
    KINDS_OF_SOURCE,
    CheckpointRecord,
    FrameRecord,
    Group,
    JudgedAnswers,
    ScoredBy,
    VerdictsResult,
    WordsVerdictsSettings,
)
from hallulab.scoring.training_history import AdapterTraining

SCORED_BY = ScoredBy("scorer", "1", tie_tolerance_nats=0.0)


def frame(
    question: str, *, group: Group = "known", weights=(0.5, 0.5), reason: str | None = None
) -> FrameRecord:
    """Two states, x and y; 100 genuine log-densities of −1, −2, … −100 nats under each."""
    genuine = tuple(-float(k) for k in range(1, 101))
    return FrameRecord(
        question,
        group,
        ("x", "y"),
        weights,
        (100, 100),
        (100, 100),
        () if reason else (genuine, genuine),
        reason,
    )


def judged(question: str, source: str, *rows, meant=None, n_drawn=None, n_empty=0) -> JudgedAnswers:
    """Rows (state written or None, log f_x, log f_y, log p without a hint)."""
    written = tuple(row[0] for row in rows)
    return JudgedAnswers(
        question,
        source,
        KINDS_OF_SOURCE.get(source, "checkpoint"),
        tuple(f"{source} {place}" for place in range(len(rows))),
        written if meant is None else tuple(meant),
        written,
        tuple((float(row[1]), float(row[2])) for row in rows),
        tuple(float(row[3]) for row in rows),
        len(rows) if n_drawn is None else n_drawn,
        n_empty,
        0,
    )


def result(frames, answers, checkpoints=(), **changed) -> VerdictsResult:
    """These measurements as one run."""
    settings = WordsVerdictsSettings(**({"n_genuine": 100} | changed))
    records = tuple(
        CheckpointRecord(
            name,
            "scorer" if name == "base" else f"scorer + {name}",
            name,
            name == "base",
            None if name == "base" else AdapterTraining(name, 2, 1, 0.001, loss),
        )
        for name, loss in checkpoints
    )
    return VerdictsResult(settings, SCORED_BY, records, tuple(frames), tuple(answers))
