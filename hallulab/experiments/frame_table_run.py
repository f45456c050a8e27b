"""Fits every frame of a table and measures it: coverage, detection of blends, and what tests of means are worth."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hallulab.densities.feature_frame import FeatureFrame, split_rows
from hallulab.densities.hcdr import THRESHOLD_RULES
from hallulab.densities.mean_tests import MeanTests, genuine_means
from hallulab.experiments.frame_table import Cell, FrameTableSettings, TableImages, TableSource
from hallulab.experiments.run_folder import begin_or_continue, only_writer
from hallulab.records import RecordFile, library_versions
from hallulab.theory.clustered_auroc import grouped_auroc

BLEND_SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)
"""of the images of a mean that are blends, the others being genuine images of one state"""


def run_frame_table(
    source: TableSource, settings: FrameTableSettings, records: RecordFile
) -> Iterator[tuple[int, int]]:
    """Fit and judge frame after frame, one record each, yielding (done, total); finished ones are not fitted again.

    Raises RefusedInputError for images too few for a frame, for records of another table, and while another run writes
    to them.
    """
    cells = source.check(settings)
    with only_writer(records.path.parent):
        found = begin_or_continue(records, source.about(settings), lambda: {"versions": library_versions()})
        done = {_cell(record) for record in found if record.get("kind") == "frame"}
        missing = [cell for cell in cells if cell not in done]
        yield len(done), len(cells)
        images = source.embedded() if missing else None
        for n_done, cell in enumerate(missing, start=len(done) + 1):
            assert images is not None  # there is something to fit
            records.append(_frame_record(images, settings, source.embedder, cell))
            yield n_done, len(cells)


def _frame_record(
    images: TableImages, settings: FrameTableSettings, embedder: str, cell: Cell
) -> dict[str, Any]:
    frame_settings = settings.frame(*cell)
    frame = FeatureFrame.fit(images.embeddings, images.labels, frame_settings, embedder=embedder)
    of_fresh = {state: frame.log_densities(rows) for state, rows in images.fresh.items()}
    of_blends = frame.log_densities(images.blends)
    inside, outside = {}, {}
    for rule in THRESHOLD_RULES:
        thresholds = replace(frame.hcdr, threshold_rule=rule).thresholds
        inside[rule] = {state: int((rows > thresholds).any(axis=1).sum()) for state, rows in of_fresh.items()}
        outside[rule] = int((~(of_blends > thresholds).any(axis=1)).sum())
    genuine_margins = np.concatenate(
        [(rows - frame.hcdr.thresholds).max(axis=1) for rows in of_fresh.values()]
    )
    blend_margins = (of_blends - frame.hcdr.thresholds).max(axis=1)
    seed = frame_settings.seed
    auroc = grouped_auroc(genuine_margins, blend_margins, rng=np.random.default_rng(seed))
    assert auroc is not None  # there are genuine images and blends
    return {
        "kind": "frame",
        "pca_dimension": cell[0],
        "n_components": cell[1],
        "seed": seed,
        "inside": inside,
        "n_fresh": {state: len(rows) for state, rows in of_fresh.items()},
        "blends_outside": outside,
        "n_blends": len(images.blends),
        "auroc": auroc.value,
        "auroc_interval": [auroc.interval.low, auroc.interval.high],
        "means": _means(frame, images, settings, seed),
        "frame_hash": frame.content_hash,
    }


def _means(
    frame: FeatureFrame, images: TableImages, settings: FrameTableSettings, seed: int
) -> dict[str, Any]:
    """Of means of each kind, how many each test calls hallucinations; the percentile rule throughout.

    Genuine: of one state. Mixed: of all states in equal parts, every image right. Blended: some are blends.
    """
    rng = np.random.default_rng([seed, 3])
    labels = np.asarray(images.labels)
    _, held_out = split_rows(labels, frame.settings)
    behind = {
        state: frame.features(images.embeddings[held_out[labels[held_out] == state]])
        for state in frame.states
    }
    fresh = {state: frame.features(rows) for state, rows in images.fresh.items()}
    blends = frame.features(images.blends)
    k, n = settings.n_mean_images, settings.n_means
    tests = MeanTests.of(frame, behind, k, rng=rng)

    def outside(parts: list[tuple[NDArray[np.float64], int]]) -> dict[str, int]:
        """Test → means outside, of means that hold so many of each part."""
        means = sum(count * genuine_means(rows, count, n, rng=rng) for rows, count in parts if count) / k
        return {test: int(found.sum()) for test, found in tests.outside(means).items()}

    return {
        "n": n,
        "k": k,
        "genuine": {state: outside([(rows, k)]) for state, rows in fresh.items()},
        "mixed": outside(list(zip(fresh.values(), _equal_parts(k, len(fresh)), strict=True))),
        "blended": {
            str(share): {
                state: outside([(rows, k - round(share * k)), (blends, round(share * k))])
                for state, rows in fresh.items()
            }
            for share in BLEND_SHARES
        },
    }


def _equal_parts(total: int, n: int) -> list[int]:
    """`total` in n parts that differ by at most 1."""
    return [(total + place) // n for place in range(n)]


def _cell(record: dict[str, Any]) -> Cell:
    return record["pca_dimension"], record["n_components"], record["seed"]
