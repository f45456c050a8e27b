"""What a table of frames is made of: parts that share no image, and refusals before anything is embedded."""

import numpy as np
import pytest
from PIL import Image

from hallulab.data.image_sets import open_image_set
from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.experiments.frame_table import (
    FrameTableSettings,
    cross_fade,
    drawn_table_source,
    image_set_table_source,
)
from tests.conftest import draw_images


@pytest.fixture(scope="module")
def clip(tiny_preset):
    return Engine(load_preset(str(tiny_preset)), device="cpu").clip()


def test_drawn_parts_share_no_image(clip):
    settings = FrameTableSettings(n_fit_and_held_out=30, n_fresh=12, n_blends=6)
    source = drawn_table_source(clip, settings)
    assert (source.width, source.n_per_state) == (16, {"cat": 30, "dog": 30})
    images = source.embedded()
    assert images.labels == ("cat",) * 30 + ("dog",) * 30
    assert {state: len(rows) for state, rows in images.fresh.items()} == {"cat": 12, "dog": 12}
    every = np.concatenate([images.embeddings, *images.fresh.values(), images.blends]).round(5)
    assert len(np.unique(every, axis=0)) == 60 + 24 + 6


def test_a_third_of_a_folder_is_fresh_and_fades_are_of_fresh_images(clip, tmp_path):
    found = open_image_set(draw_images(tmp_path / "images", n=30))
    source = image_set_table_source(clip, found, FrameTableSettings(n_blends=5))
    images = source.embedded()
    assert {state: len(rows) for state, rows in images.fresh.items()} == {"cat": 10, "dog": 10}
    assert images.labels.count("cat") == images.labels.count("dog") == source.n_per_state["dog"] == 20
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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"held_out_share": float("nan")}, "expected a held-out share between 0 and 1, such as 0.2, got nan"),
        ({"held_out_share": 0.0}, "expected a held-out share between 0 and 1"),
        ({"seeds": (0, 2**40)}, "expected a seed from 0 to 4294967295, got 1099511627776"),
        ({"hdr_mass": 1.0}, "HDR mass between 0 and 1"),
        ({"n_blends": 0}, "expected n blends of at least 1, got 0"),
        ({"seeds": ()}, "expected at least one of seeds, got none"),
        ({"pca_dimensions": (0,)}, "PCA dimension of at least 1, got 0"),
    ],
)
def test_settings_that_fit_no_frame_are_refused_at_once(change, words):
    with pytest.raises(RefusedInputError, match=words):
        FrameTableSettings(**change)


def test_nothing_is_asked_twice():
    settings = FrameTableSettings(pca_dimensions=(4, 4, 8), component_counts=(2, 2), seeds=(1, 0, 1))
    assert settings.cells(6) == [(4, 2, 1), (4, 2, 0)]
    with pytest.raises(RefusedInputError, match="some PCA dimension of at most 3, got"):
        settings.cells(3)
