"""A network's answers to the held-out flips of one round, scored (Section 7.1 of [LHZSL])."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hallulab.data.coins import CoinFlips, mean_heads
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_run import CoinPoint, CoinSettings
from hallulab.scoring.coins import coin_pmf, score_answers


class CoinJudge:
    """The held-out flips of one round: each distinct draw is judged once, with its count.

    Args:
        held_out: the flips kept from training.
        settings: the run.
        seed: of the round; sampled answers come from it too.
    """

    def __init__(self, held_out: CoinFlips, settings: CoinSettings, seed: int):
        n = settings.coins_per_draw
        self.settings, self.seed = settings, seed
        self.objective = OBJECTIVES[settings.objective]
        occurs = held_out.draw_counts > 0
        self.labels = held_out.draws[occurs]
        """the distinct draws, shape (n_draws, N)"""
        self._counts = held_out.draw_counts[occurs]
        # flips as distinct (draw, heads) pairs with their count
        row_of = np.cumsum(occurs) - 1
        pairs, self._pair_counts = np.unique(
            row_of[held_out.draw_index] * (n + 1) + held_out.heads, return_counts=True
        )
        self._pair_rows, self._pair_heads = np.divmod(pairs, n + 1)
        self._mean_heads = self._mean_per_draw(self._pair_heads)
        self._heads_variance = self._mean_per_draw(self._pair_heads**2) - self._mean_heads**2
        self._pmf = coin_pmf(self.labels, n)
        self._variant_pmf = coin_pmf(self.labels, n, law=settings.choices.law)
        self._log_delta = settings.rule.log_delta(self._pmf)
        self._best = float(np.average(self._pmf.max(axis=1), weights=self._counts))
        rows = np.arange(len(self.labels))
        self._bayes_mean_squared_error = self._squared_error(rows, mean_heads(self.labels, n), self._counts)

    def points(
        self,
        outputs: NDArray[np.float64],
        losses: NDArray[np.float64],
        *,
        epoch: float,
        train_loss: float | None,
    ) -> Iterator[CoinPoint]:
        """One point per way to answer.

        Args:
            outputs: of the network for each of `labels`, shape (n_draws, n_outputs).
            losses: of the objective for each of `labels` and number of heads, shape (n_draws, N + 1).
            epoch: epochs behind these outputs.
            train_loss: of the epoch so far.
        """
        loss = np.average(losses[self._pair_rows, self._pair_heads], weights=self._pair_counts)
        for answer in self.objective.answers:
            given = self.objective.answers_of(
                outputs,
                self._counts,
                answer,
                rounding=self.settings.choices.rounding,
                rng=np.random.default_rng([self.seed, 2]),
            )
            rows = given.rows
            by_data, by_variant = (
                score_answers(pmf[rows], self._log_delta[rows], given.answers, given.counts)
                for pmf in (self._pmf, self._variant_pmf)
            )
            interval = by_data.hallucination_interval
            yield CoinPoint(
                seed=self.seed,
                epoch=epoch,
                answer=answer,
                train_loss=_or_missing(train_loss),
                validation_loss=_or_missing(loss),
                squared_error=_or_missing(self._squared_error(rows, given.answers, given.counts)),
                conditional_probability=by_variant.conditional_probability,
                conditional_probability_data_law=by_data.conditional_probability,
                hallucination_rate=by_data.hallucination_rate,
                hallucination_interval=(interval.low, interval.high) if interval else None,
                best_conditional_probability=self._best,
                bayes_mean_squared_error=self._bayes_mean_squared_error,
                n=by_data.n,
                n_missing=by_data.n_missing,
            )

    def _squared_error(
        self, rows: NDArray[np.int64], answers: NDArray[np.float64], counts: NDArray[np.int64]
    ) -> float:
        """Mean of (answer − heads)² over the answered flips, answers paired with those of their draw at random."""
        scored = ~np.isnan(answers)
        if not scored.any():
            return np.nan
        answers, rows, counts = answers[scored], rows[scored], counts[scored]
        squares = (answers - self._mean_heads[rows]) ** 2 + self._heads_variance[rows]
        return float(np.average(squares, weights=counts))

    def _mean_per_draw(self, values: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.bincount(self._pair_rows, self._pair_counts * values) / self._counts


def _or_missing(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
