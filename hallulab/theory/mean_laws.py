"""Laws of the random conditional means in Theorem 6.1 of [LHZSL]: centred, symmetric, with a finite fourth moment."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from hallulab.errors import RefusedInputError


@dataclass(frozen=True)
class MeanLaw(ABC):
    """Law of one coordinate of μ_i − μ_0."""

    name: ClassVar[str]
    """what people and `--law` call it"""

    variance: float
    """per axis, squared units of the answer"""

    def __post_init__(self) -> None:
        if not (0 < self.variance < math.inf):
            raise RefusedInputError(
                f"expected a variance above 0, got {self.variance}: a mean that never moves has no law to audit"
            )

    @property
    def scale(self) -> float:
        """Standard deviation."""
        return math.sqrt(self.variance)

    @property
    @abstractmethod
    def kurtosis(self) -> float:
        """Fourth moment over squared variance: 1 for two points, 3 for a Gaussian."""

    @abstractmethod
    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """P(X <= x), elementwise."""

    @abstractmethod
    def sample(self, shape: tuple[int, ...], *, rng: np.random.Generator) -> NDArray[np.float64]:
        """Independent draws."""

    @abstractmethod
    def tail(self, distance: float, n_dimensions: int = 1) -> "Tail | None":
        """P(‖X‖ > distance) and E‖X‖² there; None where we have no exact formula (only Gaussian above one axis).

        Args:
            distance: from the common mean, 0 or more.
            n_dimensions: independent axes, each with this law.
        """

    @abstractmethod
    def reach(self, probability: float) -> float:
        """A distance that |X| exceeds with at most this probability."""

    def tail_probability(self, distance: float) -> float:
        """P(|X| > distance), at most."""
        return float(1 - self.cdf(distance) + self.cdf(-distance))

    def moments(self, n_dimensions: int = 1) -> "Moments":
        """Of ‖X‖ over independent axes: E‖X‖⁴ = n·E[X⁴] + n(n − 1)·E[X²]²."""
        n = n_dimensions
        return Moments(n * self.variance, n / (self.kurtosis + n - 1))


@dataclass(frozen=True)
class Tail:
    """What lies further than some distance from the common mean."""

    probability: float
    second_moment: float
    """E[‖X‖²; ‖X‖ > distance], not divided by the probability"""


@dataclass(frozen=True)
class Moments:
    """All that Theorem 6.1 of [LHZSL] asks of a law."""

    variance: float
    """σ_i = E‖μ_i − μ_0‖²"""
    fourth_ratio: float
    """K_i = (E‖μ_i − μ_0‖²)² / E‖μ_i − μ_0‖⁴, from 0 to 1"""

    def __post_init__(self) -> None:
        if not (0 < self.variance < math.inf and 0 < self.fourth_ratio <= 1 + 1e-12):
            raise RefusedInputError(
                f"expected a variance above 0 and a ratio K from 0 to 1, got {self.variance} and {self.fourth_ratio}"
            )


@dataclass(frozen=True)
class GaussianMean(MeanLaw):
    """Normal."""

    name = "gaussian"

    @property
    def kurtosis(self) -> float:
        return 3.0

    def cdf(self, x):
        return special.ndtr(np.asarray(x, dtype=float) / self.scale)

    def sample(self, shape, *, rng):
        return rng.standard_normal(shape) * self.scale

    def tail(self, distance, n_dimensions=1):
        # ‖X‖²/v is χ² with n degrees of freedom; weighting χ²_n by its value gives n times χ²_{n+2}
        squared = distance**2 / self.variance
        return Tail(
            float(special.chdtrc(n_dimensions, squared)),
            float(n_dimensions * self.variance * special.chdtrc(n_dimensions + 2, squared)),
        )

    def reach(self, probability):
        return float(-special.ndtri(probability / 2) * self.scale)


@dataclass(frozen=True)
class UniformMean(MeanLaw):
    """Uniform on an interval around the common mean."""

    name = "uniform"

    @property
    def kurtosis(self) -> float:
        return 9 / 5

    @property
    def half_width(self) -> float:
        """From the common mean to an end."""
        return math.sqrt(3 * self.variance)

    def cdf(self, x):
        return np.clip((np.asarray(x, dtype=float) / self.half_width + 1) / 2, 0, 1)

    def sample(self, shape, *, rng):
        return rng.uniform(-self.half_width, self.half_width, shape)

    def tail(self, distance, n_dimensions=1):
        if n_dimensions > 1:
            return None
        width = self.half_width
        beyond = max(width - distance, 0.0)
        # width³ − distance³, without the cancellation
        return Tail(
            beyond / width,
            beyond * (width**2 + width * distance + distance**2) / (3 * width) if beyond else 0.0,
        )

    def reach(self, probability):  # noqa: ARG002
        return self.half_width


@dataclass(frozen=True)
class LaplaceMean(MeanLaw):
    """Two-sided exponential."""

    name = "laplace"

    @property
    def kurtosis(self) -> float:
        return 6.0

    @property
    def decay(self) -> float:
        """b: the mean of |X|."""
        return math.sqrt(self.variance / 2)

    def cdf(self, x):
        z = np.asarray(x, dtype=float) / self.decay
        below = np.exp(-np.abs(z)) / 2
        return np.where(z < 0, below, 1 - below)

    def sample(self, shape, *, rng):
        return rng.laplace(0, self.decay, shape)

    def tail(self, distance, n_dimensions=1):
        if n_dimensions > 1:
            return None
        probability = math.exp(-distance / self.decay)
        return Tail(probability, probability * (distance**2 + 2 * distance * self.decay + 2 * self.decay**2))

    def reach(self, probability):
        return -self.decay * math.log(probability)


@dataclass(frozen=True)
class TwoPointMean(MeanLaw):
    """One standard deviation above or below, evenly."""

    name = "two_point"

    @property
    def kurtosis(self) -> float:
        return 1.0

    def cdf(self, x):
        z = np.asarray(x, dtype=float)
        return ((z >= -self.scale).astype(float) + (z >= self.scale)) / 2

    def sample(self, shape, *, rng):
        return np.where(rng.integers(0, 2, shape, dtype=np.int8), self.scale, -self.scale)

    def tail(self, distance, n_dimensions=1):
        # every corner of the cube is as far from its centre
        total = n_dimensions * self.variance
        return Tail(1.0, total) if distance < math.sqrt(total) else Tail(0.0, 0.0)

    def reach(self, probability):  # noqa: ARG002
        return self.scale


@dataclass(frozen=True)
class StudentMean(MeanLaw):
    """Student's t, scaled to the variance: heavy tails whose fourth moment is still finite."""

    degrees_of_freedom: float = 5.0
    """above 4"""
    name = "student_t"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (4 < self.degrees_of_freedom < math.inf):
            raise RefusedInputError(
                f"expected more than 4 degrees of freedom, got {self.degrees_of_freedom}: with 4 or fewer the "
                "fourth moment, and with it K_i of Theorem 6.1, does not exist"
            )

    @property
    def kurtosis(self) -> float:
        return 3 * (self.degrees_of_freedom - 2) / (self.degrees_of_freedom - 4)

    @property
    def stretch(self) -> float:
        """From a standard t to this variance."""
        return math.sqrt(self.variance * (self.degrees_of_freedom - 2) / self.degrees_of_freedom)

    def cdf(self, x):
        return special.stdtr(self.degrees_of_freedom, np.asarray(x, dtype=float) / self.stretch)

    def sample(self, shape, *, rng):
        return rng.standard_t(self.degrees_of_freedom, shape) * self.stretch

    def tail(self, distance, n_dimensions=1):
        if n_dimensions > 1:
            return None
        df, t = self.degrees_of_freedom, distance / self.stretch
        # T²/(df + T²) is Beta(1/2, df/2); weighting by T² gives Beta(3/2, df/2 − 1)
        share = t**2 / (df + t**2)
        return Tail(
            float(2 * special.stdtr(df, -t)), float(self.variance * special.betaincc(1.5, df / 2 - 1, share))
        )

    def reach(self, probability):
        return float(stats.t.isf(probability / 2, self.degrees_of_freedom) * self.stretch)


LAWS: dict[str, type[MeanLaw]] = {
    "gaussian": GaussianMean,
    "uniform": UniformMean,
    "laplace": LaplaceMean,
    "two_point": TwoPointMean,
    "student_t": StudentMean,
}
"""every law, by the name that people give"""


def mean_law(name: str, variance: float, *, degrees_of_freedom: float | None = None) -> MeanLaw:
    """The law of this name.

    Args:
        name: one of `LAWS`.
        variance: per axis, above 0.
        degrees_of_freedom: of student_t alone, above 4.

    Raises RefusedInputError for an unknown law, a variance or degrees of freedom that it cannot have.
    """
    if name not in LAWS:
        raise RefusedInputError(f"expected a law among {', '.join(LAWS)}, got {name!r}: choose one of these")
    if degrees_of_freedom is None:
        return LAWS[name](variance)
    if name != "student_t":
        raise RefusedInputError(
            f"expected degrees of freedom with student_t alone, got them with {name}: leave them out"
        )
    return StudentMean(variance, degrees_of_freedom)
