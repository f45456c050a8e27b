"""Table 1 of [LHZSL] (arXiv 2509.21473, Section 7.2): the paper's numbers, none of them measured here."""

from dataclasses import dataclass

SOURCE = "Are Hallucinations Bad Estimations? arXiv 2509.21473, Table 1"


@dataclass(frozen=True)
class PaperScore:
    """One cell of the table."""

    model: str
    epochs: int
    """of fine-tuning; 0 is the original model"""
    seed: int | None
    """of the fine-tuning; None for the original model"""
    resemblance: float
    """mean over TruthfulQA of the largest Gestalt ratio to an incorrect answer, prompt decoded into the output"""


_QWEN_1_5, _QWEN_2_5 = "Qwen1.5-1.8B-Chat", "Qwen2.5-7B-Instruct"
TABLE_1: tuple[PaperScore, ...] = (
    PaperScore(_QWEN_1_5, 0, None, 0.1975),
    PaperScore(_QWEN_1_5, 2, 1, 0.2338),
    PaperScore(_QWEN_1_5, 3, 1, 0.2338),
    PaperScore(_QWEN_1_5, 4, 1, 0.2450),
    PaperScore(_QWEN_1_5, 2, 2, 0.2431),
    PaperScore(_QWEN_1_5, 3, 2, 0.2486),
    PaperScore(_QWEN_1_5, 4, 2, 0.2539),
    PaperScore(_QWEN_2_5, 0, None, 0.1868),
    PaperScore(_QWEN_2_5, 2, 1, 0.2043),
    PaperScore(_QWEN_2_5, 3, 1, 0.2123),
    PaperScore(_QWEN_2_5, 4, 1, 0.2173),
    PaperScore(_QWEN_2_5, 2, 2, 0.1997),
    PaperScore(_QWEN_2_5, 3, 2, 0.2028),
    PaperScore(_QWEN_2_5, 4, 2, 0.2099),
)
LOWEST, HIGHEST = (
    min(one.resemblance for one in TABLE_1),
    max(one.resemblance for one in TABLE_1),
)
"""the range of the whole table"""


def paper_models() -> tuple[str, ...]:
    """The models of the table, in its order."""
    return tuple(dict.fromkeys(one.model for one in TABLE_1))


def paper_scores(model: str, seed: int | None) -> dict[int, float]:
    """Epochs → score of one training, the original model at epoch 0 included."""
    return {one.epochs: one.resemblance for one in TABLE_1 if one.model == model and one.seed in (None, seed)}
