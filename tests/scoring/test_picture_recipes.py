"""Recipes in PNG texts: what is written is read, what anybody may have written is refused, what differs is said."""

import json
import zlib
from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.records import library_versions
from hallulab.scoring.given_pictures import open_given
from hallulab.scoring.picture_recipes import Choice, Recipe, png_text, saved_with_recipe, what_differs

SETTINGS = PaintSettings(n_images=1, seed=7, steps=3, guidance=2.5, size=32, variance_steps=4)
RECIPE = Recipe(
    "a “cute” pet\n<b>",
    "step-2",
    SETTINGS,
    checkpoint_sha256="ab",
    pipeline_sha256="cd",
    hdr_mass=0.8,
    frame_hash="ef",
    choice=Choice("best", 4, 0.9, 4),
)


@pytest.mark.parametrize(
    "recipe", [RECIPE, replace(RECIPE, choice=Choice("keep", 7, 0.5)), replace(RECIPE, choice=None)]
)
def test_what_is_written_is_read(recipe, tmp_path):
    saved_with_recipe(Image.new("RGB", (32, 32)), recipe.to_json(), tmp_path / "kept.png")
    assert open_given(tmp_path / "kept.png").recipe() == recipe
    assert recipe.versions == library_versions()


def test_a_picture_without_a_recipe_has_none(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    assert open_given(tmp_path / "plain.png").recipe() is None


def test_a_recipe_of_an_older_version_holds_less():
    old = {"prompt": "a cat", "checkpoint": "base", "seed": 3, "steps": 20, "guidance": 3, "margin_nats": 1.0}
    recipe = Recipe.from_text(json.dumps(old))
    assert recipe.settings == PaintSettings(n_images=1, seed=3)
    assert (recipe.hdr_mass, recipe.frame_hash, recipe.choice, recipe.versions) == (None, None, None, {})


def text(**changes) -> str:
    return png_text({**RECIPE.to_json(), **changes})


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", "damaged recipe"),
        ("no JSON", "damaged recipe (it is not JSON)"),
        ("3", "damaged recipe (it is no table of fields)"),
        ("null", "damaged recipe"),
        ("[]", "damaged recipe"),
        ("{}", "damaged recipe (it has no seed)"),
        ("[" * 20_000, "damaged recipe (it is not JSON)"),
        ('{"a":' * 3_000, "damaged recipe"),
        ("[" * 100_000, "damaged recipe (100,000 characters of text)"),
        (text()[:-1] + ', "seed": 1' + "0" * 400 + "}", "seed is no whole number that can be used"),
        (text()[:-1] + ', "guidance": 1' + "0" * 400 + "}", "damaged recipe"),
        (text()[:-1] + ', "seed": 1' + "0" * 5000 + "}", "damaged recipe"),
        (text(seed=1.9), "damaged recipe (seed is no whole number that can be used)"),
        (text(seed=-1), "expected seed between 0 and"),
        (text(seed=2**31), "expected seed between 0 and"),
        (text(seed=True), "seed is no whole number"),
        (text(steps=10**9), "expected steps between 1 and 200"),
        (text(guidance="3"), "guidance is no number"),
        (text(size=10**9), "expected image size between 16 and 4096"),
        (text(size=17), "expected an image size"),
        (text(prompt="x" * 5000), "at most 1000 characters, got 5000"),
        (text(prompt=["a"]), "prompt is no text"),
        (text(prompt="  "), "expected a prompt, got an empty one"),
        (text(checkpoint={"a": 1}), "checkpoint is no text"),
        (text(hdr_mass=1.5), "expected an HDR mass between 0 and 1"),
        (text(hdr_mass="0.9"), "HDR mass is no number"),
        (text(chosen=["keep"]), "damaged recipe (chosen is no table of fields)"),
        (text(chosen={"way": "worst", "first_seed": 1, "hdr_mass": 0.9}), "the way of choosing is unknown"),
        (text(chosen={"way": ["keep"], "first_seed": 1, "hdr_mass": 0.9}), "damaged recipe"),
        (text(chosen={"way": "best", "first_seed": 1, "hdr_mass": 0.9}), "best of is no whole number"),
        (text(chosen={"way": "best", "first_seed": 1, "hdr_mass": 0.9, "best_of": 10**6}), "damaged recipe"),
        (text(chosen={"way": "keep", "first_seed": -4, "hdr_mass": 0.9}), "expected seed between 0 and"),
        (r'{"prompt": "\ud800", "checkpoint": "base", "seed": 1, "steps": 2, "guidance": 3}', "damaged recipe"),
        (r'{"prompt": "a", "checkpoint": "\ud800", "seed": 1, "steps": 2, "guidance": 3}', "damaged recipe"),
        (text(guidance=3.0).replace("3.0", "NaN"), "guidance is no number"),
        (text(guidance=3.0).replace("3.0", "Infinity"), "guidance is no number"),
    ],
)  # fmt: skip
def test_what_nobody_can_paint_is_refused_in_one_sentence(written, words):
    with pytest.raises(RefusedInputError) as refusal:
        Recipe.from_text(written)
    assert words in str(refusal.value)
    assert len(str(refusal.value)) < 260


def test_odd_notes_beside_the_recipe_do_no_harm():
    recipe = Recipe.from_text(text(versions=[1], checkpoint_sha256=5, frame_hash={}, new_key="x"))
    assert (recipe.versions, recipe.checkpoint_sha256, recipe.frame_hash) == ({}, None, None)


def test_a_text_that_swells_when_unpacked_is_refused():
    """A zlib bomb in the chunk itself: some kilobytes that stand for 20 MB."""
    buffer = BytesIO()
    chunk = PngInfo()
    chunk.add(b"zTXt", b"hallulab\0\0" + zlib.compress(b"[" * 20_000_000))
    Image.new("RGB", (4, 4)).save(buffer, "PNG", pnginfo=chunk)
    buffer.seek(0)
    assert len(buffer.getvalue()) < 50_000
    with pytest.raises(RefusedInputError, match="cannot read the picture as an image"):
        open_given(buffer)


@pytest.fixture(scope="module")
def engine(tiny_preset) -> Engine:
    return Engine(load_preset(str(tiny_preset)), device="cpu")


def test_only_what_differs_is_said(engine):
    same = replace(
        RECIPE,
        checkpoint_sha256=engine.checkpoint_sha256("pictures", "step-2"),
        pipeline_sha256=engine.checkpoint_sha256("pictures", "base"),
    )
    assert what_differs(same, engine, "ef") == ()
    assert (
        what_differs(replace(same, checkpoint_sha256=None, frame_hash=None, versions={}), engine, "ef") == ()
    )
    for changed, words in (
        (replace(same, checkpoint_sha256="ab"), "“step-2” here has other weights"),
        (replace(same, pipeline_sha256="cd"), "The base model here is another one"),
        (replace(same, frame_hash="00"), "The regions here are others"),
        (replace(same, settings=replace(SETTINGS, size=64)), "painted 64 pixels wide, and is 32 here"),
        (replace(same, versions={"torch": "1.0", "gradio": "1.0"}), "Other versions of torch painted it"),
    ):
        (said,) = what_differs(changed, engine, "ef")
        assert words in said
