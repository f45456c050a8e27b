"""How quick the theory laboratory is: `python benchmarks/theory.py` prints a table.

A million draws of Theorem 6.1's event against a loop that draws one A* at a time (timed on fewer draws and multiplied,
as it says), and what the server takes to answer a drag in the mixture explorer; the browser draws on top of that.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from benchmarks.table import machine, print_markdown, seconds  # noqa: E402
from hallulab.experiments.bounds_audit import setting_of  # noqa: E402
from hallulab.theory.gaussians import GaussianMixture  # noqa: E402
from hallulab.theory.hallucination_rate import measure_rate  # noqa: E402
from hallulab.theory.lower_bounds import MeanSetting  # noqa: E402
from hallulab.theory.mixture_regions import mixture_regions  # noqa: E402

N_DRAWS, N_SLOW_DRAWS = 1_000_000, 20_000
N_STATES, RADIUS = 10, 0.1
LAWS = (("gaussian", None), ("uniform", None), ("laplace", None), ("two_point", None), ("student_t", 5.0))
MIXTURES = ((1, 2), (1, 6), (2, 2), (2, 6))
"""(dimensions, states) of the mixtures that answer a drag"""
HDR_MASS = 0.9


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="repeats of every measurement")
    repeats = parser.parse_args().repeats
    print(machine(), "\n")
    rows = [*draw_rows(repeats), *drag_rows(repeats)]
    print_markdown(("what", "median", "the slow way", "ratio", "promised"), rows)


def draw_rows(repeats: int) -> list[tuple[str, ...]]:
    """A million draws per law of the means, ours and one by one."""
    rows = []
    for law, degrees_of_freedom in LAWS:
        setting = setting_of(law, N_STATES, RADIUS, degrees_of_freedom=degrees_of_freedom)
        ours_s = median(
            seconds(lambda s=setting, r=repeat: measure_rate(s, N_DRAWS, rng=np.random.default_rng(r)))
            for repeat in range(repeats)
        )
        slow_s = seconds(lambda s=setting: one_by_one(s)) * N_DRAWS / N_SLOW_DRAWS
        what = f"{N_DRAWS:,} draws, {law}, N = {N_STATES}"
        slow = f"{slow_s:.1f} s, from {N_SLOW_DRAWS:,} draws"
        rows.append((what, f"{ours_s:.2f} s", slow, f"{slow_s / ours_s:.0f} ×", "≤ 2 s"))
    return rows


def one_by_one(setting: MeanSetting) -> float:
    """The slow obvious way: draw the means, average them, measure the distances, count."""
    rng, n_far = np.random.default_rng(0), 0
    for _ in range(N_SLOW_DRAWS):
        means = [float(law.sample((1,), rng=rng)[0]) for law in setting.laws]
        best = sum(p * mean for p, mean in zip(setting.weights, means, strict=True))
        n_far += all(abs(best - mean) > setting.radius for mean in means)
    return n_far / N_SLOW_DRAWS


def drag_rows(repeats: int) -> list[tuple[str, ...]]:
    """Regions of a mixture whose first mean has just been moved."""
    rows = []
    for n_dimensions, n_states in MIXTURES:
        moved = [moved_mixture(n_dimensions, n_states, n_moves) for n_moves in range(repeats)]
        answers_s = [seconds(partial(answer_drag, mixture)) for mixture in moved]
        what = f"regions after a drag, {n_states} states, dimensions: {n_dimensions}"
        rows.append((what, f"{median(answers_s):.3f} s", "", "", "≤ 0.5 s with the drawing"))
    return rows


def answer_drag(mixture: GaussianMixture) -> None:
    """The regions that the explorer shows."""
    mixture_regions(mixture, mass=HDR_MASS, rng=np.random.default_rng(0))


def moved_mixture(n_dimensions: int, n_states: int, n_moves: int) -> GaussianMixture:
    """States on a circle (or a line), the first one moved a little further each time."""
    angles = 2 * np.pi * np.arange(n_states) / n_states
    means = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)[:, :n_dimensions]
    means[0] += 0.1 * n_moves
    covariances = np.tile(np.eye(n_dimensions), (n_states, 1, 1))
    return GaussianMixture(np.full(n_states, 1 / n_states), means, covariances)


if __name__ == "__main__":
    main()
