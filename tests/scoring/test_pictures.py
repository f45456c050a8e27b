"""The images of one prompt with their verdicts: the contract, another mass, files that hold their recipe."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.records import folder_sha256, library_versions
from hallulab.scoring.given_pictures import open_given
from hallulab.scoring.pictures import PaintResult
from hallulab.scoring.pictures_rate import GrowingSettings, paint_growing
from tests.hand_made_frames import fitted
from tests.plain_painting import pixel_difference
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


def painted(engine: Engine, **options) -> PaintResult:
    *_, last = paint_growing(engine, PROMPT, GrowingSettings(SETTINGS, begins_small=False), **options)
    assert last.result is not None
    return last.result.shown


@pytest.fixture(scope="module")
def result(engine: Engine) -> PaintResult:
    return painted(engine)


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

    def test_images_are_saved_with_their_recipe_inside(self, engine, result, tmp_path):
        saved = result.save(tmp_path / "out")
        for index, path in enumerate(saved.paths):
            given = open_given(Path(path))
            told, recipe = json.loads(given.text), given.recipe()
            assert (recipe.prompt, recipe.checkpoint, recipe.hdr_mass) == (PROMPT, "step-10", 0.9)
            assert recipe.settings == replace(SETTINGS, n_images=1, seed=11 + index)
            assert recipe.frame_hash == result.scores.hcdr.content_hash
            assert recipe.checkpoint_sha256 == folder_sha256(engine.checkpoint_place("pictures", "step-10"))
            assert recipe.pipeline_sha256 == folder_sha256(engine.preset.pictures.pipeline)
            assert recipe.choice is None
            assert recipe.versions == library_versions()
            assert told["x0_variance"] == result.x0_variances[index]
            assert told["margin_nats"] == pytest.approx(result.scores.verdicts[index].margin_nats)
            assert pixel_difference(given.image, result.images[index]) == 0
        assert [image["path"] for image in saved.to_json()["images"]] == list(saved.paths)

    def test_another_mass_needs_no_model(self, result):
        again = result.with_mass(0.5)
        assert again.images is result.images
        assert again.to_json()["hdr_mass"] == 0.5
        with pytest.raises(RefusedInputError, match="mass"):
            result.with_mass(1.0)

    def test_without_a_frame_there_are_images_and_a_reason(self, engine):
        preset = replace(engine.preset, pictures=replace(engine.preset.pictures, frame=""))
        unjudged = painted(Engine(preset, device="cpu"))
        report = unjudged.to_json()
        assert report["hallucination_rate"] is None
        assert report["images"][0]["inside"] is None
        assert "fit one with" in report["reason"]
        assert unjudged.with_mass(0.5).scores is None
