"""What a coin network is trained to minimise, and how its outputs become answers (other losses: open in [LHZSL])."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_run import ObjectiveName
from hallulab.scoring.coins import Rounding, round_predictions
from hallulab.theory.minimisers import MODAL_BANDWIDTH, MODAL_PULL

AnswerName = Literal["prediction", "mode", "mean", "sample"]


@dataclass(frozen=True)
class AnsweredDraws:
    """Answers for the held-out flips, equal answers to the same draw together."""

    rows: NDArray[np.int64]
    """which of the n draws was answered, shape (n_answers,)"""
    answers: NDArray[np.float64]
    """the number of heads said, NaN where the network gave no number, shape (n_answers,)"""
    counts: NDArray[np.int64]
    """how many flips got this answer, shape (n_answers,)"""


@dataclass(frozen=True)
class Objective(ABC):
    """A loss, with the ways to answer that fit it."""

    name: ObjectiveName
    title: str
    """for people"""
    source: str
    """where the loss is from"""
    answers: tuple[AnswerName, ...]
    """how the outputs can become an answer; curves show the first"""

    @abstractmethod
    def n_outputs(self, coins_per_draw: int) -> int:
        """Numbers that the network gives for each draw of N coins."""

    @abstractmethod
    def losses(self, outputs: Tensor, coins_per_draw: int) -> Tensor:
        """What each output costs if 0, 1, …, N heads come up; differentiable.

        Args:
            outputs: of the network, shape (..., n, n_outputs).
            coins_per_draw: N.

        Returns: shape (..., n, N + 1).
        """

    def answers_of(
        self,
        outputs: NDArray[np.floating],
        counts: NDArray[np.integer],
        answer: str,
        *,
        rounding: Rounding,
        rng: np.random.Generator,
    ) -> AnsweredDraws:
        """Whole numbers of heads from the network's outputs; an output that is no number is a missing answer.

        Args:
            outputs: of the network for n distinct draws, shape (n, n_outputs).
            counts: flips of each draw, shape (n,).
            answer: one of `answers`.
            rounding: how a prediction between two counts becomes one of them.
            rng: source of sampled answers; the others leave it alone.

        Raises RefusedInputError for an answer that this objective does not give.
        """
        if answer not in self.answers:
            raise RefusedInputError(
                f"expected an answer by {' or '.join(self.answers)} after {self.name}, got {answer!r}"
            )
        return self._answers(
            np.asarray(outputs, dtype=float), np.asarray(counts, dtype=np.int64), answer, rounding, rng
        )

    @abstractmethod
    def _answers(
        self,
        outputs: NDArray[np.float64],
        counts: NDArray[np.int64],
        answer: str,
        rounding: Rounding,
        rng: np.random.Generator,
    ) -> AnsweredDraws: ...


@dataclass(frozen=True)
class PredictedHeads(Objective):
    """The network gives one real number, the heads it predicts; it pays for the distance to what came up."""

    loss: Callable[[Tensor], Tensor]
    """of the differences prediction − heads, elementwise"""

    def n_outputs(self, coins_per_draw: int) -> int:  # noqa: ARG002
        return 1

    def losses(self, outputs: Tensor, coins_per_draw: int) -> Tensor:
        heads = torch.arange(coins_per_draw + 1, dtype=outputs.dtype, device=outputs.device)
        return self.loss(outputs - heads)

    def _answers(self, outputs, counts, answer, rounding, rng):  # noqa: ARG002
        return _one_answer_each(round_predictions(outputs[:, 0], rounding), counts)


@dataclass(frozen=True)
class PredictedPmf(Objective):
    """The network gives every number of heads a logit; it pays −log of the probability of what came up, nats."""

    def n_outputs(self, coins_per_draw: int) -> int:
        return coins_per_draw + 1

    def losses(self, outputs: Tensor, coins_per_draw: int) -> Tensor:  # noqa: ARG002
        return -torch.log_softmax(outputs, dim=-1)

    def _answers(self, outputs, counts, answer, rounding, rng):
        with np.errstate(invalid="ignore"):
            pmf = softmax(outputs, axis=1)
        if answer == "sample":
            return _sampled_answers(pmf, counts, rng)
        if answer == "mean":
            return _one_answer_each(round_predictions(pmf @ np.arange(pmf.shape[1]), rounding), counts)
        return _one_answer_each(np.where(np.isnan(pmf).any(axis=1), np.nan, pmf.argmax(axis=1)), counts)


def _one_answer_each(answers: NDArray[np.float64], counts: NDArray[np.int64]) -> AnsweredDraws:
    return AnsweredDraws(np.arange(len(answers)), answers, counts)


def _sampled_answers(
    pmf: NDArray[np.float64], counts: NDArray[np.int64], rng: np.random.Generator
) -> AnsweredDraws:
    """One answer per flip, drawn from the pmf of its draw, shape (n, N + 1); NaN rows give missing answers."""
    is_missing = np.isnan(pmf).any(axis=1)
    missing = np.flatnonzero(is_missing)
    drawn = rng.multinomial(np.where(is_missing, 0, counts), np.nan_to_num(pmf))
    rows, answers = np.nonzero(drawn)
    return AnsweredDraws(
        np.concatenate([rows, missing]),
        np.concatenate([answers.astype(float), np.full(len(missing), np.nan)]),
        np.concatenate([drawn[rows, answers], counts[missing]]),
    )


def _modal_loss(difference: Tensor) -> Tensor:
    """1 − a Gaussian kernel, and a pull too weak to move the minimum, which far predictions follow back."""
    squares = difference**2
    return 1 - torch.exp(-squares / (2 * MODAL_BANDWIDTH**2)) + MODAL_PULL * squares / 2


OBJECTIVES: dict[ObjectiveName, Objective] = {
    objective.name: objective
    for objective in (
        PredictedHeads(
            "squared_error",
            title="squared error",
            source="[LHZSL], Section 7.1",
            answers=("prediction",),
            loss=torch.square,
        ),
        PredictedHeads(
            "absolute_error",
            title="absolute error",
            source="Koenker and Bassett, Regression Quantiles, Econometrica 46(1), 1978",
            answers=("prediction",),
            loss=torch.abs,
        ),
        PredictedPmf(
            "cross_entropy",
            title="cross-entropy over counts",
            source="Gneiting and Raftery, Strictly Proper Scoring Rules, Prediction, and Estimation, JASA 102, 2007",
            answers=("mode", "mean", "sample"),
        ),
        PredictedHeads(
            "modal",
            title="modal regression",
            source="Feng, Fan and Suykens, A Statistical Learning Approach to Modal Regression, JMLR 21(2), 2020",
            answers=("prediction",),
            loss=_modal_loss,
        ),
    )
}


def objective_of(name: str) -> Objective:
    """The objective of this name.

    Raises RefusedInputError for an unknown one.
    """
    if name not in OBJECTIVES:
        raise RefusedInputError(
            f"expected objective {' or '.join(OBJECTIVES)}, got {name!r}: choose one of these"
        )
    return OBJECTIVES[name]
