"""The draws that one round's network is scored on, and its held-out flips (Section 7.1 of [LHZSL])."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hallulab.data.coins import CoinFlips
from hallulab.experiments.coin_events import CoinMoment, HeldOutScores
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.scoring.coin_table import CoinTable, coin_table, score_answers, scored_table

DRAWS_PER_CHUNK = 4_096
"""distinct held-out draws scored together: their pmfs exist no longer than that, which bounds the memory at large N"""


class CoinJudge:
    """Where a network is asked: every draw of `scored_table`, and every distinct draw of the held-out flips once.

    Args:
        held_out: the flips kept from training.
        settings: the run.
        seed: of the round.
    """

    def __init__(self, held_out: CoinFlips, settings: CoinSettings, seed: int):
        self.settings, self.seed = settings, seed
        self.objective = OBJECTIVES[settings.objective]
        table = scored_table(settings.coins_per_draw)
        self._n_scored = len(table.labels)
        counts = held_out.draw_counts
        occurs = counts > 0
        self._held_out_labels = held_out.draws[occurs]
        self.labels = table.labels if table.is_all else np.concatenate([table.labels, self._held_out_labels])
        """the draws that a network is asked for, shape (n, N)"""
        self._asked_rows = (
            _rows_in(table.labels, self._held_out_labels)
            if table.is_all
            else self._n_scored + np.arange(len(self._held_out_labels))
        )
        """where each distinct held-out draw stands in `labels`"""
        n_counts = settings.coins_per_draw + 1
        row_of = np.cumsum(occurs) - 1
        pairs, self._pair_counts = np.unique(
            row_of[held_out.draw_index] * n_counts + held_out.heads, return_counts=True
        )
        self._pair_rows, self._pair_heads = np.divmod(pairs, n_counts)

    def moment(self, outputs: NDArray[np.float32], *, epoch: float, train_loss: float | None) -> CoinMoment:
        """What the network says now.

        Args:
            outputs: of the network for each of `labels`, shape (n, n_outputs).
            epoch: epochs behind these outputs.
            train_loss: of the epoch so far.
        """
        sums = [_Sums() for _ in self.objective.answers]
        loss_sum = 0.0
        for start in range(0, len(self._held_out_labels), DRAWS_PER_CHUNK):
            rows = slice(start, min(start + DRAWS_PER_CHUNK, len(self._held_out_labels)))
            came_up = self._came_up(rows)
            asked = outputs[self._asked_rows[rows]]
            losses = self.objective.losses(torch.from_numpy(asked), self.settings.coins_per_draw)
            seen = came_up > 0
            loss_sum += float((losses.double().numpy()[seen] * came_up[seen]).sum())
            table = coin_table(self._held_out_labels[rows], self.settings.coins_per_draw, is_all=False)
            for answer, total in zip(self.objective.answers, sums, strict=True):
                total.add(self.settings, table, asked, answer, came_up)
        return CoinMoment(
            seed=self.seed,
            epoch=epoch,
            train_loss=_or_missing(train_loss),
            validation_loss=_or_missing(loss_sum / int(self._pair_counts.sum())),
            outputs=np.ascontiguousarray(outputs[: self._n_scored], dtype="<f4").tobytes(),
            held_out=tuple(
                total.scores(answer) for answer, total in zip(self.objective.answers, sums, strict=True)
            ),
        )

    def _came_up(self, rows: slice) -> NDArray[np.int64]:
        """How often each number of heads came up in these held-out draws, shape (n, N + 1)."""
        first, last = np.searchsorted(self._pair_rows, (rows.start, rows.stop))
        table = np.zeros((rows.stop - rows.start, self.settings.coins_per_draw + 1), dtype=np.int64)
        pairs = slice(first, last)
        table[self._pair_rows[pairs] - rows.start, self._pair_heads[pairs]] = self._pair_counts[pairs]
        return table


@dataclass
class _Sums:
    """Sums over the held-out flips so far, of one way to answer."""

    right: float = 0.0
    right_data_law: float = 0.0
    outside: float = 0.0
    squares: float = 0.0
    n: int = 0
    n_missing: int = 0

    def add(
        self,
        settings: CoinSettings,
        table: CoinTable,
        outputs: NDArray[np.float32],
        answer: str,
        came_up: NDArray[np.int64],
    ) -> None:
        """Add the flips of these draws."""
        choices = settings.choices
        answers = OBJECTIVES[settings.objective].answers_of(outputs, answer, rounding=choices.rounding)
        scores = score_answers(table, answers, settings.rule)
        counts = came_up.sum(axis=1)
        kept = ~np.isnan(scores.conditional_probability)
        weights = counts[kept]
        shifted = choices.law == "shifted"
        by_variant = scores.conditional_probability_shifted_law if shifted else scores.conditional_probability
        self.right += float(by_variant[kept] @ weights)
        self.right_data_law += float(scores.conditional_probability[kept] @ weights)
        self.outside += float(scores.hallucination_rate[kept] @ weights)
        # Σ (answer − heads)² from the flips' sums, as a table of every answer and count would be large at N = 64
        heads = np.arange(came_up.shape[1])
        first, second = came_up @ heads, came_up @ heads**2
        values = answers.values
        with np.errstate(invalid="ignore", over="ignore"):
            squares = values**2 * counts[:, None] - 2 * values * first[:, None] + second[:, None]
            self.squares += float((answers.shares * squares).sum(axis=-1)[kept].sum())
        self.n += int(weights.sum())
        self.n_missing += int(counts[~kept].sum())

    def scores(self, answer: str) -> HeldOutScores:
        """Their means."""

        def mean(total: float) -> float | None:
            return _or_missing(total / self.n) if self.n else None

        return HeldOutScores(
            answer, mean(self.right), mean(self.right_data_law), mean(self.outside), mean(self.squares), self.n,
            self.n_missing,
        )  # fmt: skip


def _rows_in(labels: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Row of each wanted draw among all draws, both in ascending order."""
    keys, wanted_keys = (
        np.ascontiguousarray(rows).view(f"S{rows.shape[1]}")[:, 0] for rows in (labels, wanted)
    )
    return np.searchsorted(keys, wanted_keys)


def _or_missing(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
