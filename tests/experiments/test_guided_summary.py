"""Guided sampling counted from records made by hand, and against slow loops."""

import base64

import numpy as np
import pytest

from hallulab.experiments.guided_summary import (
    _Painted,
    best_way,
    guided_differences,
    guided_rows,
    trade_offs,
)
from hallulab.experiments.pictures_sweep import PictureSweep, SweepRun


def record(
    checkpoint: str, prompt: str, seed: int, margin: float, truth: str, embedding: list[float]
) -> dict:
    return {
        "checkpoint": checkpoint, "prompt": prompt, "seed": seed, "margin_nats": margin, "inside": margin > 0,
        "truth": truth, "seconds": 0.5, "log_density": {"cat": margin, "dog": 0.0},
        "embedding": base64.b64encode(np.array(embedding, dtype="<f4").tobytes()).decode(),
    }  # fmt: skip


IMAGES = [
    record("a", "p", 0, 1.0, "genuine", [1, 0]),
    record("a", "p", 1, -1.0, "blend", [0, 1]),
    record("a", "p", 2, -3.0, "blend", [0, 1]),
    record("a", "p", 3, -2.0, "genuine", [-1, 0]),
]


def test_rows_by_hand():
    plain, kept, best = guided_rows(IMAGES, best_of=2)
    assert (plain.n, plain.outside.n_success, plain.truths["genuine"], plain.images_per_kept.value) == (
        4,
        3,
        2,
        1,
    )
    # pairs: (right, up) 1, (right, up) 1, (right, left) 2, (up, up) 0, (up, left) 1, 1
    assert plain.diversity.value == pytest.approx(1)
    assert plain.states == {"cat": 1, "dog": 3}
    assert (kept.n, kept.outside.n_success, kept.images_per_kept.value, kept.seconds_per_kept) == (
        1,
        0,
        4,
        2.0,
    )
    assert kept.diversity is None
    # of seeds 0 and 1 the first, of 2 and 3 the second, which is outside all the same
    assert (best.n, best.outside.n_success, best.truths["genuine"], best.images_per_kept.value) == (
        2,
        1,
        2,
        2,
    )
    assert best.diversity.value == pytest.approx(2)


def test_nothing_kept_has_no_rate_and_no_difference():
    outside = [record("a", "p", seed, -1.0, "blend", [1, seed]) for seed in range(4)]
    _, kept, best = guided_rows(outside, best_of=2)
    assert (kept.n, kept.outside, kept.genuine, kept.diversity, kept.images_per_kept) == (
        0,
        None,
        None,
        None,
        None,
    )
    assert kept.truths == {"genuine": 0, "blend": 0, "other": 0, "unclear": 0}
    assert {row.way for row in guided_differences(outside, best_of=2)} == {best.way}


def many(n_seeds: int = 40) -> list[dict]:
    """Two prompts that share their seeds; what is genuine is more often inside, and dogs less often."""
    rng = np.random.default_rng(0)
    images = []
    for prompt in ("p", "q"):
        for seed in range(n_seeds):
            is_genuine = rng.random() < 0.6
            margin = float(rng.normal(1.0 if is_genuine else -1.0, 1.0))
            one = record(
                "a", prompt, seed, margin, "genuine" if is_genuine else "other", list(rng.normal(size=3))
            )
            one["log_density"] = {"cat": margin, "dog": float(rng.normal(0.0, 2.0))}
            images.append(one)
    return images


def test_differences_against_slow_loops():
    images = many()
    rows = {(row.way, row.quantity): row for row in guided_differences(images, best_of=4)}
    kept = [image for image in images if image["inside"]]

    def share(chosen, holds):
        return np.mean([holds(image) for image in chosen])

    def diversity(chosen):
        found = []
        for prompt in ("p", "q"):
            rows = [
                np.frombuffer(base64.b64decode(i["embedding"]), "<f4").astype(float)
                for i in chosen
                if i["prompt"] == prompt
            ]
            unit = [row / np.linalg.norm(row) for row in rows]
            found.append(
                np.mean([1 - a @ b for k, a in enumerate(unit) for m, b in enumerate(unit) if k != m])
            )
        return np.mean(found)

    quantities = {
        "truly genuine": lambda chosen: share(chosen, lambda i: i["truth"] == "genuine"),
        "outside": lambda chosen: share(chosen, lambda i: not i["inside"]),
        "most probable as dog": lambda chosen: share(
            chosen, lambda i: i["log_density"]["dog"] > i["log_density"]["cat"]
        ),
        "diversity": diversity,
    }
    for name, measure in quantities.items():
        row = rows["kept", name]
        assert (row.plain, row.chosen) == pytest.approx((measure(images), measure(kept)))
        assert row.difference.value == pytest.approx(measure(kept) - measure(images))
        assert row.difference.n_clusters == 40
    assert rows["best of 4", "truly genuine"].difference.n_clusters == 10  # groups of four seeds


def test_paired_intervals_are_those_of_seeds_drawn_again_one_by_one():
    images = many()
    row = next(
        row
        for row in guided_differences(images, best_of=4)
        if (row.way, row.quantity) == ("kept", "truly genuine")
    )
    rng = np.random.default_rng(1)
    genuine, inside = (
        np.array(
            [[image[key] == value for image in images if image["prompt"] == prompt] for prompt in ("p", "q")]
        )
        for key, value in (("truth", "genuine"), ("inside", True))
    )
    slow = []
    for _ in range(4000):
        seeds = rng.integers(40, size=40)
        slow.append(genuine[:, seeds][inside[:, seeds]].mean() - genuine[:, seeds].mean())
    low, high = np.quantile(slow, [0.025, 0.975])
    assert row.difference.interval.low == pytest.approx(low, abs=0.015)
    assert row.difference.interval.high == pytest.approx(high, abs=0.015)


def test_the_strength_of_a_choice_goes_with_its_price():
    images = many()
    header = {
        "genuine": {
            state: np.sort(np.random.default_rng(2).normal(1, 1, 500)).tolist() for state in ("cat", "dog")
        }
    }
    run = SweepRun(PictureSweep(n_images=40), header, tuple(images), (), {})
    points = trade_offs(run, images)
    best = {point.strength: point for point in points if point.way == "best"}
    assert {n: point.images_per_kept.value for n, point in best.items()} == {
        2: 2,
        4: 4,
        8: 8,
        16: 20,
    }  # 40 / 16: two
    kept = [point for point in points if point.way == "kept"]
    assert [point.n for point in kept] == sorted(
        point.n for point in kept
    )  # the wider the region, the more is kept
    thresholds = {state: np.quantile(sample, 0.1) for state, sample in header["genuine"].items()}
    by_hand = sum(max(i["log_density"][s] - thresholds[s] for s in thresholds) > 0 for i in images)
    assert next(point.n for point in kept if point.strength == 0.9) == by_hand


def test_an_incomplete_last_group_was_painted_too():
    images = [record("a", "p", seed, float(seed), "genuine", [1, seed]) for seed in range(5)]
    assert _Painted(images).chosen(best_way(2)).tolist() == [[False, True, False, True, False]]
    *_, best = guided_rows(images, best_of=2)
    assert best.images_per_kept.value == 2.5
