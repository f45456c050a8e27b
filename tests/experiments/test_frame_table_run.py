"""A table of frames run and summed up: counts against single frames, resume, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hallulab.densities.feature_frame import FeatureFrame, FrameSettings, split_rows
from hallulab.errors import RefusedInputError
from hallulab.experiments.frame_table import FrameTableSettings, TableImages
from hallulab.experiments.frame_table_run import run_frame_table
from hallulab.experiments.frame_table_summary import read_frame_table
from hallulab.records import RecordFile
from tests.hand_made_frames import table_images, table_source

SETTINGS = FrameTableSettings(
    pca_dimensions=(2, 4, 99),
    component_counts=(1, 3),
    seeds=(0, 1),
    n_blends=40,
    n_mean_images=16,
    n_means=300,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    records = RecordFile(folder / "frame-table-clouds.jsonl")
    steps = list(run_frame_table(table_source(), SETTINGS, records))
    assert steps[-1] == (8, 8)  # 99 dimensions are more than there are
    return folder


def fitted(images: TableImages, seed: int) -> FeatureFrame:
    settings = FrameSettings(
        pca_dimension=4, max_components=3, images_per_component=1, held_out_share=0.4, seed=seed
    )
    return FeatureFrame.fit(images.embeddings, images.labels, settings, embedder="test")


def test_one_row_per_frame_and_rule(run):
    header, rows = read_frame_table(run)
    assert (header["source"], header["blend_kind"]) == ("clouds", "means of two")
    assert [(row.pca_dimension, row.n_components, row.rule) for row in rows] == [
        (dimension, count, rule)
        for dimension in (2, 4)
        for count in (1, 3)
        for rule in ("percentile", "conformal")
    ]
    assert {row.n_seeds for row in rows} == {2}


def test_the_numbers_of_a_row_are_those_of_its_frames(run):
    images = table_images()
    row = next(row for row in read_frame_table(run)[1] if (row.pca_dimension, row.n_components) == (4, 3))
    frames = [fitted(images, seed) for seed in (0, 1)]
    for state, fresh in images.fresh.items():
        inside = [not verdict.is_hallucination for frame in frames for verdict in frame.decide(fresh)]
        assert row.coverage[state] == pytest.approx(np.mean(inside))
    outside = [verdict.is_hallucination for frame in frames for verdict in frame.decide(images.blends)]
    assert row.blends_outside == pytest.approx(np.mean(outside))
    aurocs = []
    for frame in frames:
        genuine = np.concatenate([frame.margins(fresh) for fresh in images.fresh.values()])
        truth = np.repeat([1, 0], [len(genuine), len(images.blends)])
        aurocs.append(roc_auc_score(truth, np.concatenate([genuine, frame.margins(images.blends)])))
    assert row.auroc == pytest.approx(np.mean(aurocs))
    assert row.auroc_range == pytest.approx((min(aurocs), max(aurocs)))


def test_tests_of_means_against_means_drawn_the_slow_way(run):
    """scikit-learn's transform, the mean, `score_samples`; within what 300 means of either leave to chance."""
    images = table_images()
    row = next(row for row in read_frame_table(run)[1] if (row.pca_dimension, row.n_components) == (4, 3))
    frames = [fitted(images, seed) for seed in (0, 1)]
    rng = np.random.default_rng(9)
    k = SETTINGS.n_mean_images

    def outside(frame: FeatureFrame, thresholds, parts) -> float:
        pools = [(frame.chain.transform(part.astype(float)), n) for part, n in parts if n]
        means = [
            np.concatenate([pool[rng.integers(len(pool), size=n)] for pool, n in pools]).mean(axis=0)
            for _ in range(300)
        ]
        scores = [frame.mixtures[state].score_samples(means) for state in frame.states]
        return np.all(
            [score <= limit for score, limit in zip(scores, thresholds, strict=True)], axis=0
        ).mean()

    def matched_thresholds(frame: FeatureFrame) -> list[float]:
        _, held_out = split_rows(np.asarray(images.labels), frame.settings)
        found = []
        for state in frame.states:
            own = images.embeddings[[row for row in held_out if images.labels[row] == state]]
            pool = frame.chain.transform(own.astype(float))
            means = [pool[rng.integers(len(pool), size=k)].mean(axis=0) for _ in range(400)]
            found.append(np.percentile(frame.mixtures[state].score_samples(np.array(means)), 10))
        return found

    thresholds = {
        "paper": [frame.hcdr.thresholds for frame in frames],
        "k_matched": [matched_thresholds(frame) for frame in frames],
    }
    cats, dogs = images.fresh["cat"], images.fresh["dog"]
    for test, per_frame in thresholds.items():
        means = next(one for one in row.means if one.test == test)

        def slow(parts, per_frame=per_frame) -> float:
            return np.mean([outside(*pair, parts) for pair in zip(frames, per_frame, strict=True)])

        assert means.false_alarms["cat"].mean == pytest.approx(slow([(cats, k)]), abs=0.1)
        assert means.mixed.mean == pytest.approx(slow([(cats, k // 2), (dogs, k // 2)]), abs=0.1)
        n = round(0.25 * k)
        power = np.mean([slow([(own, k - n), (images.blends, n)]) for own in (cats, dogs)])
        assert means.power[0.25].mean == pytest.approx(power, abs=0.1)


def test_tests_whose_thresholds_come_from_means_keep_their_promise(run):
    for row in read_frame_table(run)[1]:
        for means in row.means:
            if means.test != "paper":
                for share in means.false_alarms.values():
                    assert 0.02 <= share.least <= share.mean <= share.most <= 0.25
                assert means.power[1.0].least == 1
                assert means.mixed.least == 1


def test_conformal_covers_at_least_as_much(run):
    rows = {(row.pca_dimension, row.n_components, row.rule): row for row in read_frame_table(run)[1]}
    for (dimension, count, rule), row in rows.items():
        if rule == "conformal":
            for state, share in rows[dimension, count, "percentile"].coverage.items():
                assert row.coverage[state] >= share


def test_a_stopped_table_goes_on(run, tmp_path):
    records = RecordFile(tmp_path / "frame-table-clouds.jsonl")
    job = run_frame_table(table_source(), SETTINGS, records)
    for _ in range(4):
        next(job)
    with pytest.raises(RefusedInputError, match="no other run is writing to"):
        next(run_frame_table(table_source(), SETTINGS, records))
    job.close()
    again = run_frame_table(table_source(), SETTINGS, records)
    assert next(again) == (3, 8)
    list(again)
    assert read_frame_table(tmp_path)[1] == read_frame_table(run)[1]


def test_a_finished_table_embeds_nothing(run):
    def never() -> TableImages:
        raise AssertionError("embedded again")

    records = RecordFile(run / "frame-table-clouds.jsonl")
    assert list(run_frame_table(replace(table_source(), embedded=never), SETTINGS, records)) == [(8, 8)]


def test_another_table_is_refused(run):
    records = RecordFile(run / "frame-table-clouds.jsonl")
    with pytest.raises(RefusedInputError, match=r"with hdr_mass 0\.9; got hdr_mass 0\.8: repeat its command"):
        next(run_frame_table(table_source(), replace(SETTINGS, hdr_mass=0.8), records))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"held_out_share": 0.99}, "a frame needs at least 1000 images per state"),
        ({"pca_dimensions": (99,)}, "some PCA dimension of at most 8, got"),
        ({"component_counts": (60,)}, "at least 5 images to fit each Gaussian on, got 180 of cat for 60"),
    ],
)
def test_what_cannot_be_fitted_leaves_no_header(tmp_path, change, words):
    records = RecordFile(tmp_path / "frame-table-clouds.jsonl")
    with pytest.raises(RefusedInputError, match=words):
        next(run_frame_table(table_source(), replace(SETTINGS, **change), records))
    assert not records.path.exists()


def test_a_folder_without_a_table_is_refused(tmp_path):
    (tmp_path / "frame-table-x.jsonl").mkdir()
    with pytest.raises(RefusedInputError, match="expected one table of frames .* found 0"):
        read_frame_table(tmp_path)
    RecordFile(tmp_path / "frame-table-y.jsonl").append({"kind": "frame", "colour": 1})
    with pytest.raises(RefusedInputError, match="a table of this version"):
        read_frame_table(tmp_path)
