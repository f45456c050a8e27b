"""Guided sampling in the tiny world: what is chosen, what is spent, the same images as plain sampling."""

from dataclasses import replace

import numpy as np
import pytest

from hallulab.densities.hcdr import HcdrFrame
from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.scoring.guided_pictures import (
    GuidedSettings,
    best_of_each,
    keep_inside,
    margins_of,
    paint_guided,
)
from hallulab.scoring.picture_frames import frame_of
from hallulab.scoring.pictures import paint

PAINT = PaintSettings(n_images=2, seed=5, steps=2, size=32, batch_size=3)


@pytest.fixture(scope="module")
def engine(tiny_preset) -> Engine:
    return Engine(load_preset(str(tiny_preset)), device="cpu")


def guided(engine, settings, **judging):
    *_, last = paint_guided(engine, "a cat", settings, **judging)
    return last.result


def test_what_is_inside_is_kept_in_order():
    assert keep_inside([-1.0, 0.5, 0.0, 2.0]) == (1, 3)


def test_the_greatest_margin_of_each_group_is_chosen():
    # groups (−1, 0.5), (−3, −2); the last image has no partner
    assert best_of_each([-1.0, 0.5, -3.0, -2.0, 9.0], 2) == (1, 3)
    assert best_of_each([1.0], 2) == ()


def test_the_best_of_four_are_chosen_among_plain_images(engine):
    result = guided(engine, GuidedSettings(PAINT, way="best", best_of=4))
    *_, plain = paint(engine, "a cat", replace(PAINT, n_images=8))
    margins = [verdict.margin_nats for verdict in plain.result.scores.verdicts]
    assert margins_of(result.judged) == pytest.approx(margins, abs=1e-3)
    assert result.chosen == (int(np.argmax(margins[:4])), 4 + int(np.argmax(margins[4:])))
    assert result.kept.seeds == tuple(5 + place for place in result.chosen)
    assert [image["seed"] for image in result.to_json()["kept"]["images"]] == list(result.kept.seeds)
    for place, image in zip(result.chosen, result.kept.images, strict=True):
        assert np.array_equal(np.asarray(image), np.asarray(plain.result.images[place]))
    assert (result.images_per_kept, result.is_enough) == (4, True)


@pytest.fixture
def median_as_threshold(engine, monkeypatch):
    """A frame whose thresholds let about half of the tiny world's images in."""
    frame = frame_of(engine)
    found = guided(engine, GuidedSettings(replace(PAINT, n_images=1), way="best", best_of=12))
    best = sorted(one.log_densities.max() for one in found.judged)
    log_delta = float(np.mean(best[5:7]))
    hcdr = frame.features.hcdr.with_log_delta(log_delta)
    lenient = replace(frame, features=replace(frame.features, hcdr=hcdr))
    monkeypatch.setattr(type(hcdr), "with_mass", lambda self, _: self)
    monkeypatch.setattr("hallulab.scoring.guided_pictures.frame_of", lambda _: lenient)
    return [one.log_densities.max() > log_delta for one in found.judged]


def test_keeping_stops_when_enough_are_inside(engine, median_as_threshold):
    inside = [place for place, is_inside in enumerate(median_as_threshold) if is_inside]
    result = guided(engine, GuidedSettings(PAINT, budget=12))
    assert result.chosen == tuple(inside[:2])
    assert len(result.judged) == 3 * -(-(inside[1] + 1) // 3)  # whole batches of 3, no more than needed
    assert result.kept.scores.hallucination_rate == 0
    assert result.is_enough


def test_keeping_stops_at_the_budget(engine, median_as_threshold):
    result = guided(engine, GuidedSettings(replace(PAINT, n_images=12), budget=12))
    assert len(result.judged) == 12
    assert len(result.chosen) == sum(median_as_threshold) == 6
    assert not result.is_enough
    assert result.to_json()["images_per_kept"] == 2


def test_nothing_inside_keeps_nothing(engine, monkeypatch):
    monkeypatch.setattr(HcdrFrame, "with_mass", lambda self, _: self.with_log_delta(1e9))
    result = guided(engine, GuidedSettings(PAINT, budget=4), checkpoint="base")
    assert result.kept is None
    assert result.to_json() | {"seconds": 0} == {
        "way": "keep", "prompt": "a cat", "checkpoint": "base", "n_wanted": 2, "n_painted": 4, "n_inside": 0,
        "n_kept": 0, "is_enough": False, "images_per_kept": None, "seconds": 0, "kept": None,
    }  # fmt: skip


def test_closing_gives_the_device_back(engine):
    job = paint_guided(engine, "a cat", GuidedSettings(PAINT))
    while next(job).n_done == 0:
        pass
    job.close()
    assert engine.n_waiting == 0
    assert engine.queue.holder is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"way": "worst"}, "expected a way of keep or best, got 'worst'"),
        ({"best_of": 1}, "expected the best of 2 to 64 images, got 1"),
        ({"budget": 1}, "a budget of at least the 2 images wanted, got 1"),
        ({"budget": 5000}, "at most 1024 images to paint, got 5000"),
    ],
)
def test_settings_out_of_range_are_refused(change, words):
    with pytest.raises(RefusedInputError, match=words):
        GuidedSettings(PAINT, **change)
