"""The first look of the Paint tab is what the shipped checkpoints paint, and is shown beside them alone."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings
from hallulab.engine.presets import load_preset
from hallulab.ui.parts.paint_first_look import first_look, kept_rows
from tests.plain_painting import plainly_painted


def test_the_rows_are_the_shipped_checkpoints_in_order():
    assert [row.checkpoint for row in kept_rows()] == list(load_preset().checkpoints("pictures"))
    assert [row.n_steps for row in kept_rows()] == [0, 25, 50, 200, 2800]
    assert len({tuple((image.prompt, image.seed) for image in row.images) for row in kept_rows()}) == 1


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(load_preset(), device="cpu")


@pytest.mark.parametrize(("row", "column"), [(0, 1), (4, 3), (4, 5)])
def test_it_is_what_the_checkpoints_paint(engine, row, column):
    kept = kept_rows()[row]
    image = kept.images[column]
    pictures = engine.preset.pictures
    settings = PaintSettings(1, image.seed, pictures.steps, pictures.guidance, pictures.size)
    (painted,) = plainly_painted(engine, image.prompt, settings, checkpoint=kept.checkpoint)
    assert image.inside == (not painted.verdict.is_hallucination)
    assert image.margin_nats == pytest.approx(painted.verdict.margin_nats, abs=0.5, rel=0.01)
    shown = Image.open(io.BytesIO(base64.b64decode(image.webp))).convert("RGB")
    assert (
        np.abs(np.asarray(shown, int) - np.asarray(painted.image, int)).mean() < 6
    )  # of 255: WebP loses a little


def test_what_is_framed_is_what_is_outside():
    page = first_look(load_preset())
    rows = page.split('class="hl-first-row"')[1:]
    for kept, row in zip(kept_rows(), rows, strict=True):
        assert row.count('class="hl-outside"') == kept.n_outside
        assert f"{kept.n_outside} of 8 hallucinate" in row


def test_other_checkpoints_have_no_first_look(tiny_preset):
    shipped = load_preset()
    assert first_look(load_preset(str(tiny_preset))) == ""
    pictures = replace(shipped.pictures, unets={"mine": "/somewhere"})
    assert first_look(replace(shipped, pictures=pictures)) == ""
