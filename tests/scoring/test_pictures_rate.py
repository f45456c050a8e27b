"""Growing batches: the same images, an interval for every look, an end when decided; previews at a bounded cost."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.scoring import picture_previews
from hallulab.scoring.picture_previews import Previews, with_previews
from hallulab.scoring.pictures_rate import GrowingSettings, batch_plan, paint_growing
from hallulab.theory.confidence_sequences import anytime_interval
from hallulab.theory.intervals import wilson_interval
from tests.plain_painting import pixel_difference, plainly_painted

PROMPT = "a cute pet animal"
SETTINGS = PaintSettings(n_images=9, seed=11, steps=2, size=32)


@pytest.fixture(scope="module")
def engine(tiny_preset) -> Engine:
    return Engine(load_preset(str(tiny_preset)), device="cpu")


@pytest.mark.parametrize(
    ("n", "largest", "changes", "plan"),
    [
        (16, 16, {}, (4, 12)),
        (64, 16, {}, (4, 12, 16, 16, 16)),
        (64, 64, {}, (4, 12, 48)),
        (5, 16, {}, (5,)),  # a rest of one is painted with the four
        (8, 16, {}, (4, 4)),
        (5, 2, {}, (2, 2, 1)),
        (1, 16, {}, (1,)),
        (20, 16, {"begins_small": False}, (16, 4)),
        (30, 16, {"begins_small": False}, (16, 14)),
        (32, 16, {"stop_when_decided": True}, (4, 4, 8, 16)),
        (20, 16, {"stop_when_decided": True, "begins_small": False}, (4, 4, 12)),
    ],
)
def test_the_batches_grow(n, largest, changes, plan):
    paint = PaintSettings(n_images=n, batch_size=largest)
    assert batch_plan(GrowingSettings(paint, **changes)) == plan


def test_the_images_are_those_of_plain_painting(engine):
    plain = plainly_painted(engine, PROMPT, SETTINGS)
    *_, last = paint_growing(engine, PROMPT, GrowingSettings(SETTINGS))
    shown = last.result.shown
    for one, image, verdict in zip(plain, shown.images, shown.scores.verdicts, strict=True):
        assert pixel_difference(one.image, image) <= 1
        assert verdict.margin_nats == pytest.approx(one.verdict.margin_nats, abs=0.05)
    assert [shown.seed_of(k) for k in range(9)] == list(range(11, 20))


def test_a_number_fixed_before_gets_a_plain_interval_and_a_look_one_that_holds(engine):
    looks = {
        step.result.n: step.result
        for step in paint_growing(engine, PROMPT, GrowingSettings(SETTINGS))
        if step.result
    }
    assert list(looks) == [4, 9]
    n_outside = looks[4].shown.scores.n_outside
    assert looks[4].interval == anytime_interval(n_outside, 4)
    assert looks[9].interval == wilson_interval(looks[9].shown.scores.n_outside, 9)
    stopping = list(paint_growing(engine, PROMPT, GrowingSettings(SETTINGS, stop_when_decided=True)))[
        -1
    ].result
    assert stopping.interval == anytime_interval(stopping.shown.scores.n_outside, stopping.n)


def test_the_rate_is_decided_at_the_first_look_that_allows_it(engine):
    """At a tiny mass all are outside. n of n against a line l is decided once (1 / (n + 1)) / l^n > 20:
    l = 0.3 at n = 4 (1/5 / 0.0081 = 24.7), l = 0.5 at n = 8 (2⁸ / 9 = 28.4, and 2⁴ / 5 = 3.2 is too little)."""
    for line, n in ((0.3, 4), (0.5, 8)):
        settings = GrowingSettings(replace(SETTINGS, n_images=16), stop_when_decided=True, line=line)
        *_, last = paint_growing(engine, PROMPT, settings, hdr_mass=0.01)
        assert last.result.shown.scores.n_outside == last.result.n == n
        assert last.result.decided == "above"
        assert not last.result.is_complete


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
    assert [picture.size for picture in preview] == [(32, 32)] * 9
    job.close()
    assert engine.queue.holder is None
