"""Growing batches: the same images, an interval for every look, an end when decided; previews at a bounded cost."""

import numpy as np
import pytest
import torch
from PIL import Image

from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.scoring import picture_previews
from hallulab.scoring.picture_previews import Previews, with_previews
from hallulab.scoring.pictures import paint
from hallulab.scoring.pictures_rate import GrowingSettings, batch_plan, paint_growing
from hallulab.theory.confidence_sequences import anytime_interval
from hallulab.theory.intervals import wilson_interval

PROMPT = "a cute pet animal"
SETTINGS = PaintSettings(n_images=5, seed=11, steps=2, size=32)


@pytest.fixture(scope="module")
def engine(tiny_preset) -> Engine:
    return Engine(load_preset(str(tiny_preset)), device="cpu")


@pytest.mark.parametrize(
    ("n", "largest", "small", "plan"),
    [
        (16, 16, True, (1, 1, 2, 4, 8)),
        (64, 16, True, (1, 1, 2, 4, 8, 16, 16, 16)),
        (5, 2, True, (1, 1, 2, 1)),
        (1, 16, True, (1,)),
        (20, 16, False, (16, 4)),
    ],
)
def test_the_images_so_far_double(n, largest, small, plan):
    assert batch_plan(PaintSettings(n_images=n, batch_size=largest), begins_small=small) == plan


def test_the_images_are_those_of_plain_painting(engine):
    plain = list(paint(engine, PROMPT, SETTINGS))[-1].result
    grown = list(paint_growing(engine, PROMPT, GrowingSettings(SETTINGS)))[-1].result
    for one, other in zip(plain.images, grown.painted.images, strict=True):
        assert np.abs(np.asarray(one, int) - np.asarray(other, int)).max() <= 1
    assert plain.scores.n_outside == grown.painted.scores.n_outside
    margins = [[v.margin_nats for v in scores.verdicts] for scores in (plain.scores, grown.painted.scores)]
    assert margins[0] == pytest.approx(margins[1], abs=0.05)
    assert [grown.painted.seed_of(k) for k in range(5)] == [11, 12, 13, 14, 15]


def test_a_number_fixed_before_gets_a_plain_interval_and_a_look_one_that_holds(engine):
    looks = {
        step.result.n: step.result
        for step in paint_growing(engine, PROMPT, GrowingSettings(SETTINGS))
        if step.result
    }
    assert list(looks) == [1, 2, 4, 5]
    n_outside = looks[4].painted.scores.n_outside
    assert looks[4].interval == anytime_interval(n_outside, 4)
    assert looks[5].interval == wilson_interval(looks[5].painted.scores.n_outside, 5)
    stopping = list(paint_growing(engine, PROMPT, GrowingSettings(SETTINGS, stop_when_decided=True)))[
        -1
    ].result
    assert stopping.interval == anytime_interval(stopping.painted.scores.n_outside, stopping.n)


def test_the_rate_is_decided_as_early_as_the_interval_allows(engine):
    """Against a line of 0.01 one image outside is enough, (1/2) / 0.01 = 50 > 20; against 0.05 it takes two:
    (1/2) / 0.05 = 10 < 20 and (1/3) / 0.05² = 133 > 20."""
    for line, n in ((0.01, 1), (0.05, 2)):
        settings = GrowingSettings(SETTINGS, stop_when_decided=True, line=line)
        result = list(paint_growing(engine, PROMPT, settings, hdr_mass=0.01))[-1].result
        assert result.painted.scores.n_outside == result.n == n
        assert result.decided == "above"


@pytest.mark.parametrize("changes", [{"line": 0}, {"line": 1}, {"confidence": 1.0}])
def test_shares_outside_zero_and_one_are_refused(changes):
    with pytest.raises(RefusedInputError, match="between 0 and 1, got"):
        GrowingSettings(SETTINGS, **changes)


class Clock:
    """Seconds that pass only when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_previews_take_no_more_than_their_share(monkeypatch):
    clock, n_decoded = Clock(), 0

    def decode(*_):
        nonlocal n_decoded
        n_decoded += 1
        clock.now += 0.3
        return [Image.new("RGB", (8, 8))]

    monkeypatch.setattr(picture_previews, "decode_latents", decode)
    previews = Previews(None, max_share=0.2, clock=clock)
    for _ in range(1000):
        clock.now += 0.1
        previews.of(torch.zeros(1, 4, 2, 2))
    assert 0.17 < 0.3 * n_decoded / clock.now <= 0.2 + 0.3 / clock.now


def test_a_preview_shows_every_image_of_the_batch_and_closing_closes_the_job(engine):
    job = with_previews(
        engine, None, paint_growing(engine, PROMPT, GrowingSettings(SETTINGS, begins_small=False))
    )
    preview = next(preview for _, preview in job if preview)
    assert [picture.size for picture in preview] == [(32, 32)] * 5
    job.close()
    assert engine.queue.holder is None
