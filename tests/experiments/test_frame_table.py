"""The table behind the frame's defaults: counts by hand, no leaking, resume, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from hallulab.data.image_sets import open_image_set
from hallulab.densities.feature_frame import FeatureFrame, FrameSettings
from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.experiments.frame_table import (
    FrameTableSettings,
    TableImages,
    cross_fade,
    drawn_table_images,
    image_set_table_images,
    read_frame_table,
    run_frame_table,
)
from hallulab.records import RecordFile
from tests.conftest import draw_images

SETTINGS = FrameTableSettings(pca_dimensions=(2, 4, 99), component_counts=(1, 3), seeds=(0, 1), n_blends=40)


def clouds() -> TableImages:
    rng = np.random.default_rng(0)
    centres = {"cat": np.r_[np.full(4, 2.0), np.zeros(4)], "dog": np.r_[np.zeros(4), np.full(4, 2.0)]}

    def some(state: str, n: int) -> np.ndarray:
        return rng.normal(centres[state], 0.3, (n, 8)).astype(np.float32)

    blends = (some("cat", 40) + some("dog", 40)) / 2
    return TableImages(
        source="clouds", embedder="test", embeddings=np.concatenate([some("cat", 300), some("dog", 300)]),
        labels=("cat",) * 300 + ("dog",) * 300, fresh={state: some(state, 150) for state in centres},
        blends=blends, blend_kind="means of two",
    )  # fmt: skip


@pytest.fixture
def run(tmp_path):
    records = RecordFile(tmp_path / "frame-table-clouds.jsonl")
    steps = list(run_frame_table(clouds(), SETTINGS, records))
    assert steps[-1] == (8, 8)  # 99 dimensions are more than there are
    return tmp_path


def test_one_row_per_frame_and_rule(run):
    header, rows = read_frame_table(run)
    assert header["source"] == "clouds"
    assert [(row.pca_dimension, row.n_components, row.rule) for row in rows] == [
        (dimension, count, rule)
        for dimension in (2, 4)
        for count in (1, 3)
        for rule in ("percentile", "conformal")
    ]
    assert {row.n_seeds for row in rows} == {2}


def test_the_numbers_of_a_row_are_those_of_its_frames(run):
    images = clouds()
    row = next(row for row in read_frame_table(run)[1] if (row.pca_dimension, row.n_components) == (4, 3))
    frames = [
        FeatureFrame.fit(
            images.embeddings, images.labels,
            FrameSettings(pca_dimension=4, max_components=3, images_per_component=1, held_out_share=0.4, seed=seed),
            embedder="test",
        )
        for seed in (0, 1)
    ]  # fmt: skip
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


def test_conformal_covers_at_least_as_much(run):
    rows = {(row.pca_dimension, row.n_components, row.rule): row for row in read_frame_table(run)[1]}
    for (dimension, count, rule), row in rows.items():
        if rule == "conformal":
            for state, share in rows[dimension, count, "percentile"].coverage.items():
                assert row.coverage[state] >= share


def test_a_stopped_table_goes_on(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("resumed")
    records = RecordFile(folder / "frame-table-clouds.jsonl")
    job = run_frame_table(clouds(), SETTINGS, records)
    for _ in range(4):
        next(job)
    job.close()
    assert next(run_frame_table(clouds(), SETTINGS, records)) == (3, 8)
    list(run_frame_table(clouds(), SETTINGS, records))
    assert read_frame_table(folder)[1] == read_frame_table(run)[1]


def test_another_table_is_refused(run):
    records = RecordFile(run / "frame-table-clouds.jsonl")
    with pytest.raises(RefusedInputError, match="expected the same table"):
        next(run_frame_table(clouds(), replace(SETTINGS, hdr_mass=0.8), records))
    with pytest.raises(RefusedInputError, match="expected some PCA dimension of at most 8"):
        list(run_frame_table(clouds(), replace(SETTINGS, pca_dimensions=(99,)), RecordFile(run / "x.jsonl")))


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="expected one table of frames"):
        read_frame_table(tmp_path)


def test_drawn_parts_share_no_image(tiny_preset):
    engine = Engine(load_preset(str(tiny_preset)), device="cpu")
    settings = FrameTableSettings(n_fit_and_held_out=30, n_fresh=12, n_blends=6)
    images = drawn_table_images(engine.clip(), settings)
    assert images.labels == ("cat",) * 30 + ("dog",) * 30
    assert {state: len(rows) for state, rows in images.fresh.items()} == {"cat": 12, "dog": 12}
    every = np.concatenate([images.embeddings, *images.fresh.values(), images.blends]).round(5)
    assert len(np.unique(every, axis=0)) == 60 + 24 + 6


def test_a_third_of_a_folder_is_fresh_and_fades_are_of_fresh_images(tiny_preset, tmp_path):
    engine = Engine(load_preset(str(tiny_preset)), device="cpu")
    found = open_image_set(draw_images(tmp_path / "images", n=30))
    images = image_set_table_images(engine.clip(), found, FrameTableSettings(n_blends=5))
    assert {state: len(rows) for state, rows in images.fresh.items()} == {"cat": 10, "dog": 10}
    assert images.labels.count("cat") == images.labels.count("dog") == 20
    assert len(images.blends) == 5
    fresh, used = (
        {row.tobytes() for row in rows}
        for rows in (np.concatenate(list(images.fresh.values())), images.embeddings)
    )
    assert not fresh & used


def test_a_cross_fade_is_the_mean():
    faded = cross_fade(Image.new("RGB", (8, 8), (200, 0, 40)), Image.new("RGB", (4, 4), (0, 100, 40)))
    assert faded.size == (8, 8)
    assert faded.getpixel((4, 4)) == (100, 50, 40)
