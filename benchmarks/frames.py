"""How quick frames are, and what their thresholds hold: `python benchmarks/frames.py` prints two tables.

A hundred thousand embeddings scored by a frame, in the paper's shape and in the shipped one, against scikit-learn's
chain and `score_samples`, and against one embedding at a time (timed on fewer and multiplied, as it says); and the
coverage that both threshold rules reach over many random splits of the shipped frame's genuine embeddings.
"""

import argparse
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from benchmarks.table import machine, print_markdown, seconds  # noqa: E402
from hallulab.densities.feature_frame import FeatureFrame, FrameSettings  # noqa: E402
from hallulab.densities.resplits import resplit_coverage  # noqa: E402
from hallulab.scoring.picture_frames import PictureFrame  # noqa: E402

N_EMBEDDINGS, N_SLOW = 100_000, 500
SHIPPED = ROOT / "checkpoints" / "clip-mini-pet-frame"
PAPER_WIDTH, PAPER_FIT = 512, 1500
"""width of a ViT-B/32 embedding; images per state that the paper-shaped frame is fitted on"""
HELD_OUT_SIZES = (50, 200, 1000)
N_RESPLITS = 200


def main() -> None:
    """Measure everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="repeats of every timing")
    parser.add_argument("--embeddings", type=int, default=N_EMBEDDINGS, help="embeddings to score")
    parser.add_argument("--resplits", type=int, default=N_RESPLITS, help="random splits per coverage")
    options = parser.parse_args()
    shipped = PictureFrame.load(SHIPPED)
    print(machine(), "\n")
    rng = np.random.default_rng(0)
    frames = {
        "paper's shape": paper_shaped_frame(rng=rng),
        "shipped frame": shipped.features,
    }
    rows = [
        row
        for name, frame in frames.items()
        for row in score_rows(name, frame, options.embeddings, options.repeats, rng=rng)
    ]
    print_markdown(("what", "median", "the slow way", "ratio", "furthest apart", "promised"), rows)
    print()
    print_markdown(
        ("held-out images", "rule", "mean coverage at 90 %", "± standard error", "least", "most", "splits"),
        coverage_rows(shipped, options.resplits),
    )


def paper_shaped_frame(*, rng: np.random.Generator) -> FeatureFrame:
    """Width 512 → PCA 128 → six components for each of two states, on random clouds: its speed is what counts."""
    centres = rng.normal(size=(2, PAPER_WIDTH))
    clouds = np.concatenate([rng.normal(centre, 0.5, (PAPER_FIT, PAPER_WIDTH)) for centre in centres])
    return FeatureFrame.fit(
        clouds, np.repeat(["cat", "dog"], PAPER_FIT), FrameSettings(), embedder="random clouds"
    )


def score_rows(
    name: str, frame: FeatureFrame, n: int, repeats: int, *, rng: np.random.Generator
) -> list[tuple[str, ...]]:
    """Ours against scikit-learn's chain, against one embedding at a time, and with a verdict object for each."""
    embeddings = rng.normal(size=(n, frame.chain[1].n_features_in_)).astype(np.float32)
    ours_s = median(seconds(lambda: frame.margins(embeddings)) for _ in range(repeats))
    chain_s = median(seconds(lambda: score_samples(frame, embeddings)) for _ in range(repeats))
    apart = np.abs(score_samples(frame, embeddings) - frame.log_densities(embeddings)).max()
    few = embeddings[: min(n, N_SLOW)]
    one_s = seconds(lambda: [score_samples(frame, row[None]) for row in few]) * n / len(few)
    verdicts_s = median(seconds(lambda: frame.decide(embeddings)) for _ in range(min(repeats, 2)))
    shape = f"{name}: {embeddings.shape[1]} → {frame.chain[1].n_components_}, {len(frame.states)} states"
    return [
        (f"{n:,} margins, {shape}", f"{ours_s:.2f} s", f"{chain_s:.2f} s (scikit-learn, all at once)",
         f"{chain_s / ours_s:.1f} ×", f"{apart:.1e} nats", "≤ 2 s; 1e-4"),
        ("the same, one by one", "", f"{one_s:.0f} s, from {len(few)}", f"{one_s / ours_s:.0f} ×", "", ""),
        ("the same, a verdict object each", f"{verdicts_s:.2f} s", "", "", "", "≤ 2 s"),
    ]  # fmt: skip


def score_samples(frame: FeatureFrame, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """The obvious way: scikit-learn's transform, then every state's `score_samples`."""
    reduced = frame.chain.transform(embeddings.astype(np.float64))
    return np.column_stack([frame.mixtures[state].score_samples(reduced) for state in frame.states])


def coverage_rows(frame: PictureFrame, n_resplits: int) -> list[tuple[str, ...]]:
    """Per number of held-out images and rule, the coverage over random splits of the shipped genuine embeddings."""
    rows = []
    for n_held_out in HELD_OUT_SIZES:
        for rule in ("percentile", "conformal"):
            coverage = resplit_coverage(
                frame.features, frame.held_out, rule, n_held_out=n_held_out, n_resplits=n_resplits,
                rng=np.random.default_rng(0),
            )  # fmt: skip
            error = coverage.std(ddof=1) / np.sqrt(len(coverage))
            rows.append(
                (f"{n_held_out} per state", rule, f"{coverage.mean():.4f}", f"{error:.4f}",
                 f"{coverage.min():.3f}", f"{coverage.max():.3f}", str(len(coverage)))
            )  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
