"""Confusion, AUROC and agreement of the two detectors, against hand counts."""

import numpy as np
import pytest

from hallulab.experiments.detector_summary import (
    agreement,
    confusion,
    detector_rows,
    probe_rows,
    summary_json,
    verdict_agrees,
)


def painted(truth: str, margin: float, variance: float | None, seed: int, checkpoint: str = "step-1") -> dict:
    return {
        "kind": "painted", "checkpoint": checkpoint, "prompt": "a cat", "seed": seed, "truth": truth,
        "margin_nats": margin, "inside": margin > 0, "x0_variance": {"3": variance, "10": -margin},
    }  # fmt: skip


RECORDS = [
    painted("genuine", 4.0, 0.1, 0),
    painted("genuine", 3.0, 0.4, 1),
    painted("genuine", -1.0, 0.2, 2),
    painted("blend", -5.0, 0.3, 3),
    painted("blend", 1.0, 0.5, 4),
    painted("other", -9.0, 0.05, 5),
    painted("unclear", -2.0, 0.9, 6),
]


def test_confusion_counts_by_hand():
    rows = {row.truth: row for row in confusion(RECORDS)}
    assert {truth: (row.n, row.n_outside) for truth, row in rows.items()} == {
        "genuine": (3, 1), "blend": (2, 1), "other": (1, 1), "unclear": (1, 1),
    }  # fmt: skip
    assert rows["blend"].outside == 0.5
    assert rows["blend"].interval.low < 0.5 < rows["blend"].interval.high


def test_agreement_of_verdict_and_truth_leaves_unclear_ones_out():
    # right: two genuine inside, one blend outside, one other outside; wrong: one genuine out, one blend in
    assert verdict_agrees(RECORDS)["step-1"]["agreement"] == pytest.approx(4 / 6)
    assert (verdict_agrees(RECORDS)["step-1"]["n"], verdict_agrees(RECORDS)["step-1"]["n_unclear"]) == (6, 1)


def test_auroc_by_hand():
    rows = {(row.detector, row.bad): row for row in detector_rows(RECORDS)}
    # blends against genuine, six pairs: margin −5 is worse than all three, 1 than two of them
    assert rows["margin", "blend"].auroc == pytest.approx(5 / 6)
    # variance 0.3 is above 0.1 and 0.2, 0.5 above all three
    assert rows["variance, last 3 steps", "blend"].auroc == pytest.approx(5 / 6)
    # with the other one: its margin is worst of all, its variance lowest of all
    assert rows["margin", "blend or other"].auroc == pytest.approx(8 / 9)
    assert rows["variance, last 3 steps", "blend or other"].auroc == pytest.approx(5 / 9)
    assert (rows["margin", "blend or other"].n_bad, rows["margin", "blend or other"].n_genuine) == (3, 3)
    assert rows["margin", "blend"].interval.low <= 5 / 6 <= rows["margin", "blend"].interval.high


def test_a_group_without_blends_has_no_auroc():
    rows = detector_rows([record for record in RECORDS if record["truth"] == "genuine"])
    assert {row.auroc for row in rows} == {None}
    assert {row.interval for row in rows} == {None}


def test_agreement_of_the_detectors_by_hand():
    rows = {row.window: row for row in agreement(RECORDS)}
    # the second "variance" is minus the margin: it orders alike and flags the same four
    assert rows[10].rank_correlation == pytest.approx(1)
    assert rows[10].kappa == pytest.approx(1)
    # the first flags 0.9, 0.5, 0.4, 0.3: two of the four outside; po = 3/7, pe = (16 + 9)/49
    assert rows[3].kappa == pytest.approx((3 / 7 - 25 / 49) / (1 - 25 / 49))


def test_a_missing_variance_is_left_out_and_counted():
    records = [*RECORDS, painted("genuine", 2.0, None, 7)]
    rows = {(row.detector, row.bad): row for row in detector_rows(records)}
    assert rows["variance, last 3 steps", "blend"].n_genuine == 3
    assert rows["margin", "blend"].n_genuine == 4
    assert {row.window: row.n for row in agreement(records)} == {3: 7, 10: 8}


def test_nobody_outside_leaves_kappa_undefined():
    rows = agreement([painted("genuine", 1.0 + index, 0.1 * index, index) for index in range(4)])
    assert {row.kappa for row in rows} == {None}


def test_checkpoints_are_told_apart_and_together():
    records = [*RECORDS, painted("genuine", 1.0, 0.1, 0, checkpoint="step-2")]
    drawn = {
        "kind": "drawn", "index": 0, "drawn_as": "blend", "truth": "genuine", "margin_nats": -1.0, "inside": False,
        "x0_variance": {"3": 0.1, "10": 0.1},
    }  # fmt: skip
    groups = [row.group for row in confusion([*records, drawn])]
    assert list(dict.fromkeys(groups)) == ["step-1", "step-2", "all painted", "drawn"]
    assert [row.truth for row in confusion([*records, drawn]) if row.group == "drawn"] == [
        "blend"
    ]  # as it was drawn


def test_a_detector_that_knows_nothing_is_at_a_half():
    rng = np.random.default_rng(0)
    records = [
        painted("blend" if index % 2 else "genuine", float(rng.normal()), float(rng.random()), index)
        for index in range(600)
    ]
    for row in detector_rows(records):
        assert row.interval.low < 0.5 < row.interval.high


def test_the_summary_is_plain():
    summary = summary_json(RECORDS)
    assert summary.keys() == {"confusion", "probe", "verdict_agrees", "table", "agreement"}
    assert summary["table"][0]["interval"].keys() == {"low", "high"}


def test_images_of_one_seed_are_one_cluster():
    once = [painted("genuine", 1.0 if seed % 2 else -1.0, 0.1, seed) for seed in range(40)]
    (alone,), (copied,) = confusion(once), confusion([one for one in once for _ in range(3)])
    assert (copied.n, copied.outside, copied.n_seeds) == (120, 0.5, 40)
    assert copied.interval.high == pytest.approx(alone.interval.high, abs=2e-3)


def test_what_the_probe_reads_of_decoded_drawings_by_hand():
    def decoded(drawn_as: str, decoded_as: str, read: str) -> dict:
        return {
            "kind": "decoded", "index": 0, "drawn_as": drawn_as, "decoded_as": decoded_as, "truth": read,
            "margin_nats": -1.0, "inside": False, "x0_variance": {},
        }  # fmt: skip

    records = [
        decoded("genuine", "genuine", "genuine"),
        decoded("blend", "blend", "blend"),
        decoded("blend", "blend", "unclear"),
        decoded("blend", "genuine", "genuine"),
    ]
    whole, repaired, kept = probe_rows(records)
    assert (whole.drawn_as, whole.decoded_as, whole.n, whole.right) == ("genuine", "genuine", 1, 1)
    assert (repaired.drawn_as, repaired.decoded_as, repaired.right) == ("blend", "genuine", 1)
    assert (kept.read, kept.right) == ({"genuine": 0, "blend": 1, "other": 0, "unclear": 1}, 0.5)
    # what they are now decides, not what they were drawn as
    assert {row.truth: row.n for row in confusion(records)} == {"genuine": 2, "blend": 2}
    assert probe_rows(RECORDS) == ()
