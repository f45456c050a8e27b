"""A prompt painted and judged; what is kept with a picture; what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.scoring.pictures import PaintResult, paint, read_recipe
from tests.hand_made_frames import fitted
from tests.tiny_world import write_world

SETTINGS = PaintSettings(n_images=3, seed=11, steps=2, size=32)
PROMPT = "a cute pet animal"


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
