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
from hallulab.experiments.coin_settings import ObjectiveName
from hallulab.scoring.coin_table import Answers, one_answer, sampled_answers
from hallulab.scoring.coins import Rounding, round_predictions
from hallulab.theory.minimisers import MODAL_BANDWIDTH, MODAL_PULL

AnswerName = Literal["prediction", "mode", "mean", "sample"]


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

    def answers_of(self, outputs: NDArray[np.floating], answer: str, *, rounding: Rounding | None) -> Answers:
        """Numbers of heads from the network's outputs; an output that is no number is a missing answer.

        Args:
            outputs: of the network for n draws, shape (..., n, n_outputs).
            answer: one of `answers`.
            rounding: how a prediction between two counts becomes one of them; None leaves it as it is, the A* of
                Def. 4.2 of [LHZSL].

        Raises RefusedInputError for an answer that this objective does not give.
        """
        if answer not in self.answers:
            raise RefusedInputError(
                f"expected an answer by {' or '.join(self.answers)} after {self.name}, got {answer!r}"
            )
        return self._answers(np.asarray(outputs, dtype=float), answer, rounding)

    @abstractmethod
    def _answers(self, outputs: NDArray[np.float64], answer: str, rounding: Rounding | None) -> Answers: ...


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

    def _answers(self, outputs, answer, rounding):  # noqa: ARG002
        return one_answer(_rounded(outputs[..., 0], rounding))


@dataclass(frozen=True)
class PredictedPmf(Objective):
    """The network gives every number of heads a logit; it pays −log of the probability of what came up, nats."""

    def n_outputs(self, coins_per_draw: int) -> int:
        return coins_per_draw + 1

    def losses(self, outputs: Tensor, coins_per_draw: int) -> Tensor:  # noqa: ARG002
        return -torch.log_softmax(outputs, dim=-1)

    def _answers(self, outputs, answer, rounding):
        with np.errstate(invalid="ignore"):
            pmf = softmax(outputs, axis=-1)
        if answer == "sample":
            return sampled_answers(pmf)
        if answer == "mean":
            return one_answer(_rounded(pmf @ np.arange(pmf.shape[-1]), rounding))
        return one_answer(np.where(np.isnan(pmf).any(axis=-1), np.nan, pmf.argmax(axis=-1)))


def _rounded(predictions: NDArray[np.float64], rounding: Rounding | None) -> NDArray[np.float64]:
    return predictions if rounding is None else round_predictions(predictions, rounding)


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
