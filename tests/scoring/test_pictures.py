"""Verdicts on images, one by one and as a mean; what is kept with a picture; what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hallulab.densities.feature_frame import FrameSettings
from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.scoring.pictures import (
    N_NULL_MEANS,
    PaintResult,
    PictureFrame,
    paint,
    read_recipe,
    score_embeddings,
    score_images,
    unit_rows,
)
from tests.tiny_world import CLIP_SIZE, write_world

SETTINGS = PaintSettings(n_images=3, seed=11, steps=2, size=32)
PROMPT = "a cute pet animal"


def two_clouds(n: int, seed: int, width: int = CLIP_SIZE.embed_dim) -> tuple[np.ndarray, list[str]]:
    """Embeddings of two states: directions that differ, with noise."""
    rng = np.random.default_rng(seed)
    centres = np.eye(2, width)
    rows = np.concatenate([centre + 0.1 * rng.standard_normal((n, width)) for centre in centres])
    return rows.astype(np.float32), ["cat"] * n + ["dog"] * n


def fitted(embedder: str = "any", n: int = 200) -> PictureFrame:
    embeddings, labels = two_clouds(n, seed=0)
    return PictureFrame.fit(embeddings, labels, FrameSettings(pca_dimension=8), embedder=embedder)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("world")
    preset = load_preset(str(write_world(folder)))
    engine = Engine(preset, device="cpu")
    fitted(engine.clip().name).save(folder / "frame")
    return engine


@pytest.fixture(scope="module")
def result(engine: Engine) -> PaintResult:
    *_, last = paint(engine, PROMPT, SETTINGS)
    assert last.result is not None
    return last.result


class TestPictureFrame:
    def test_what_it_holds_out_is_what_its_thresholds_rest_on(self):
        frame = fitted()
        for column, state in enumerate(frame.features.states):
            held_out = frame.features.log_densities(frame.held_out[state])[:, column]
            np.testing.assert_allclose(
                np.sort(held_out), np.sort(frame.features.hcdr.genuine_log_densities[column])
            )

    def test_saved_and_loaded_it_decides_the_same(self, tmp_path):
        frame = fitted()
        frame.save(tmp_path)
        again = PictureFrame.load(tmp_path)
        assert again.features.hcdr.content_hash == frame.features.hcdr.content_hash
        embeddings, _ = two_clouds(5, seed=1)
        np.testing.assert_allclose(
            frame.features.log_densities(embeddings), again.features.log_densities(embeddings)
        )
        for state, rows in frame.held_out.items():
            np.testing.assert_array_equal(rows, again.held_out[state])

    @pytest.mark.parametrize("damage", ["missing", "truncated"])
    def test_damaged_held_out_embeddings_are_named(self, tmp_path, damage):
        fitted().save(tmp_path)
        file = tmp_path / "held_out.safetensors"
        content = file.read_bytes()
        file.unlink()
        if damage == "truncated":
            file.write_bytes(content[:50])
        with pytest.raises(RefusedInputError, match=r"held_out\.safetensors, cannot read them"):
            PictureFrame.load(tmp_path)

    def test_the_null_means_of_one_image_are_single_images(self):
        frame = fitted()
        null = frame.null_means(1, rng=np.random.default_rng(0))
        for column, state in enumerate(frame.features.states):
            singles = frame.features.log_densities(unit_rows(frame.held_out[state]))[:, column]
            assert null[state].shape == (N_NULL_MEANS,)
            assert np.abs(null[state][:, None] - singles).min(axis=1).max() < 1e-6

    def test_the_null_means_of_many_images_sit_far_inside(self):
        frame = fitted()
        null = frame.null_means(64, rng=np.random.default_rng(0))
        thresholds = dict(zip(frame.features.states, frame.features.hcdr.thresholds, strict=True))
        for state, means in null.items():
            assert means.min() > thresholds[state]


class TestScores:
    def scores(self, embeddings: np.ndarray, engine: Engine, mass: float = 0.9):
        clip = engine.clip()
        return score_embeddings(fitted(clip.name), clip, embeddings, mass, seed=0)

    def test_one_verdict_per_image_from_the_frame(self, engine):
        embeddings, _ = two_clouds(20, seed=2)
        scores = self.scores(embeddings, engine)
        expected = fitted().features.decide(embeddings)
        assert [verdict.is_hallucination for verdict in scores.verdicts] == [
            verdict.is_hallucination for verdict in expected
        ]
        assert scores.n_outside == sum(verdict.is_hallucination for verdict in expected)
        assert scores.hallucination_rate == scores.n_outside / 40
        assert scores.interval.low <= scores.hallucination_rate <= scores.interval.high

    def test_the_mean_of_two_classes_is_outside_though_every_image_is_inside(self, engine):
        """The paper's theorem: the average of genuine samples of several states belongs to none."""
        embeddings, _ = two_clouds(200, seed=3)
        inside = ~np.array([v.is_hallucination for v in fitted().features.decide(embeddings)])
        scores = self.scores(embeddings[inside], engine)
        assert scores.hallucination_rate == 0
        assert scores.mean_verdict.is_hallucination
        assert scores.matched_verdict.is_hallucination

    def test_the_matched_test_sees_what_the_papers_mean_test_cannot(self, engine):
        """Sixteen slightly shifted cats: their mean is inside the region of single cats, not of means of cats."""
        embeddings, _ = two_clouds(16, seed=4)
        shifted = embeddings[:16].copy()
        shifted[:, 2] += 0.16
        scores = self.scores(shifted, engine)
        assert not scores.mean_verdict.is_hallucination
        assert scores.matched_verdict.is_hallucination
        genuine = self.scores(embeddings[:16], engine)
        assert not genuine.matched_verdict.is_hallucination

    def test_another_mass_decides_again_from_what_is_stored(self, engine):
        embeddings, _ = two_clouds(100, seed=5)
        scores = self.scores(embeddings, engine)
        narrow, wide = scores.with_mass(0.5), scores.with_mass(0.99)
        assert narrow.n_outside > scores.n_outside > wide.n_outside
        assert narrow.log_densities is scores.log_densities
        assert narrow.to_json()["hdr_mass"] == 0.5

    def test_another_embedder_is_refused(self, engine):
        with pytest.raises(
            RefusedInputError, match="fitted on embeddings of another model, got those of clip-tiny"
        ):
            score_embeddings(fitted("another model"), engine.clip(), two_clouds(2, seed=0)[0], 0.9, seed=0)


class TestPaint:
    def test_the_contract_of_paint(self, result):
        report = json.loads(json.dumps(result.to_json()))
        assert {
            "prompt", "checkpoint", "seed", "images", "mean", "hallucination_rate", "interval", "thresholds",
        } <= report.keys()  # fmt: skip
        assert report["checkpoint"] == "step-10"
        assert [image["seed"] for image in report["images"]] == [11, 12, 13]
        for image in report["images"]:
            assert {"path", "seed", "log_density", "inside", "margin_nats", "x0_variance"} <= image.keys()
            assert image["x0_variance"] > 0
            assert image["log_density"].keys() == {"cat", "dog"}
            assert image["inside"] == (image["margin_nats"] > 0)
        assert report["mean"].keys() >= {"log_density", "inside"}
        assert len(report["interval"]) == 2
        assert report["thresholds"].keys() == {"cat", "dog"}

    def test_progress_ends_with_the_result(self, engine):
        steps = list(paint(engine, PROMPT, replace(SETTINGS, batch_size=2)))
        assert [step.result is None for step in steps] == [True] * (len(steps) - 1) + [False]
        assert steps[-1].n_done == steps[-1].n_total == 5  # 2 batches of 2 steps, and judging
        assert len(steps[-1].images) == 3

    def test_images_are_saved_with_their_recipe_inside(self, result, tmp_path):
        saved = result.save(tmp_path / "out")
        for index, path in enumerate(saved.paths):
            recipe = read_recipe(Path(path))
            assert recipe is not None
            assert (recipe["prompt"], recipe["seed"]) == (PROMPT, 11 + index)
            assert (recipe["steps"], recipe["guidance"]) == (2, 3.0)
            assert recipe["x0_variance"] == result.x0_variances[index]
            assert recipe["margin_nats"] == pytest.approx(result.scores.verdicts[index].margin_nats)
            assert np.array_equal(np.asarray(Image.open(path)), np.asarray(result.images[index]))
        assert [image["path"] for image in saved.to_json()["images"]] == list(saved.paths)

    def test_a_picture_without_a_recipe_has_none(self, tmp_path):
        Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
        assert read_recipe(tmp_path / "plain.png") is None

    def test_another_mass_needs_no_model(self, result):
        again = result.with_mass(0.5)
        assert again.images is result.images
        assert again.to_json()["hdr_mass"] == 0.5
        with pytest.raises(RefusedInputError, match="mass"):
            result.with_mass(1.0)

    def test_without_a_frame_there_are_images_and_a_reason(self, engine):
        preset = replace(engine.preset, pictures=replace(engine.preset.pictures, frame=""))
        *_, last = paint(Engine(preset, device="cpu"), PROMPT, SETTINGS)
        report = last.result.to_json()
        assert report["hallucination_rate"] is None
        assert report["images"][0]["inside"] is None
        assert "fit one with" in report["reason"]
        assert last.result.with_mass(0.5).scores is None

    @pytest.mark.parametrize(
        ("prompt", "options", "words"),
        [
            (" ", {}, "expected a prompt, got an empty one"),
            ("x" * 10_000, {}, "at most 1000 characters, got 10000"),
            (
                PROMPT,
                {"checkpoint": "step-99"},
                "unknown checkpoint 'step-99' for pictures: use one of base, step-2",
            ),
            (PROMPT, {"hdr_mass": 1.5}, r"1\.5"),
        ],
    )
    def test_bad_input_is_refused_before_any_work(self, engine, prompt, options, words):
        with pytest.raises(RefusedInputError, match=words):
            next(paint(engine, prompt, SETTINGS, **options))
        assert engine.queue.holder is None


class TestScoreImages:
    def write(self, folder: Path, n: int = 3) -> list[Path]:
        rng = np.random.default_rng(0)
        paths = [folder / f"{index}.png" for index in range(n)]
        for path in paths:
            Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(path)
        return paths

    def test_a_broken_file_does_not_lose_the_others(self, engine, tmp_path):
        paths = self.write(tmp_path)
        paths[1].write_text("not an image")
        report = score_images(engine, fitted(engine.clip().name), paths).to_json()
        assert [image["inside"] is None for image in report["images"]] == [False, True, False]
        assert "1.png" in report["images"][1]["error"]
        assert (report["n"], report["n_unreadable"]) == (2, 1)

    def test_only_broken_files_are_refused(self, engine, tmp_path):
        (tmp_path / "a.png").write_text("not an image")
        with pytest.raises(RefusedInputError, match=r"cannot read .*a\.png as an image"):
            score_images(engine, fitted(engine.clip().name), [tmp_path / "a.png"])
        assert engine.queue.holder is None

    def test_no_file_is_refused(self, engine):
        with pytest.raises(RefusedInputError, match="expected at least one image file, got none"):
            score_images(engine, fitted(engine.clip().name), [])
