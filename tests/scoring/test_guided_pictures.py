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
    guided_settings,
    keep_inside,
    margins_of,
    paint_guided,
)
from hallulab.scoring.picture_frames import frame_of
from hallulab.theory.intervals import wilson_interval
from tests.plain_painting import pixel_difference, plainly_painted

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
    plain = plainly_painted(engine, "a cat", replace(PAINT, n_images=8))
    margins = [one.verdict.margin_nats for one in plain]
    assert margins_of(result.judged) == pytest.approx(margins, abs=0.05)
    assert result.chosen == (int(np.argmax(margins[:4])), 4 + int(np.argmax(margins[4:])))
    assert result.shown.seeds == tuple(5 + place for place in result.chosen)
    assert [image["seed"] for image in result.to_json()["images"]] == list(result.shown.seeds)
    for place, image in zip(result.chosen, result.shown.images, strict=True):
        assert pixel_difference(image, plain[place].image) <= 1
    assert (result.images_per_kept, result.is_enough) == (4, True)


def test_plain_sampling_on_the_same_seeds_is_told_beside_it(engine, median_as_threshold):
    result = guided(engine, GuidedSettings(replace(PAINT, n_images=3), way="best", best_of=3))
    n_outside = 3 - sum(median_as_threshold[:3])
    assert [one.painted.seed for one in result.plain] == [5, 6, 7]
    told = result.to_json()["guided"]
    interval = wilson_interval(n_outside, 3)
    assert told["plain"] == {
        "n": 3, "n_outside": n_outside, "hallucination_rate": n_outside / 3, "interval": [interval.low, interval.high],
    }  # fmt: skip
    assert told["n_kept_outside"] == sum(
        not any(median_as_threshold[group : group + 3]) for group in range(0, 9, 3)
    )


@pytest.mark.parametrize("way", ["keep", "best"])
@pytest.mark.usefixtures("median_as_threshold")
def test_a_chosen_image_is_chosen_again_from_where_its_choice_says(engine, way):
    settings = GuidedSettings(PAINT, way=way, budget=12)
    result = guided(engine, settings)
    for image, seed, choice in zip(
        result.shown.images, result.shown.seeds, result.shown.choices, strict=True
    ):
        assert (choice.way, choice.best_of) == (way, 4 if way == "best" else None)
        again = guided(engine, replace(settings, paint=replace(PAINT, n_images=1, seed=choice.first_seed)))
        assert again.shown.seeds == (seed,)
        assert pixel_difference(again.shown.images[0], image) <= 1


@pytest.fixture
def median_as_threshold(engine, monkeypatch):
    """A frame whose thresholds let about half of the tiny world's images in."""
    frame = frame_of(engine)
    found = guided(engine, GuidedSettings(replace(PAINT, n_images=1), way="best", best_of=12))
    highest = [one.verdict.max_log_density for one in found.judged]
    log_delta = float(np.mean(sorted(highest)[5:7]))
    hcdr = frame.features.hcdr.with_log_delta(log_delta)
    lenient = replace(frame, features=replace(frame.features, hcdr=hcdr))
    monkeypatch.setattr(type(hcdr), "with_mass", lambda self, _: self)
    for room in ("guided_pictures", "painting"):
        monkeypatch.setattr(f"hallulab.scoring.{room}.frame_of", lambda _: lenient)
    return [one > log_delta for one in highest]


def test_keeping_stops_when_enough_are_inside(engine, median_as_threshold):
    inside = [place for place, is_inside in enumerate(median_as_threshold) if is_inside]
    result = guided(engine, GuidedSettings(PAINT, budget=12))
    assert result.chosen == tuple(inside[:2])
    assert len(result.judged) == 3 * -(-(inside[1] + 1) // 3)  # whole batches of 3, no more than needed
    assert result.shown.scores.hallucination_rate == 0
    assert result.is_enough


def test_keeping_stops_at_the_budget(engine, median_as_threshold):
    result = guided(engine, GuidedSettings(replace(PAINT, n_images=12), budget=12))
    assert len(result.judged) == 12
    assert len(result.chosen) == sum(median_as_threshold) == 6
    assert not result.is_enough
    assert result.to_json()["guided"]["images_per_kept"] == 2


def test_nothing_inside_keeps_nothing(engine, monkeypatch):
    monkeypatch.setattr(HcdrFrame, "with_mass", lambda self, _: self.with_log_delta(1e9))
    result = guided(engine, GuidedSettings(PAINT, budget=4), checkpoint="base")
    assert result.shown.images == ()
    told = result.to_json()
    contract = ("mean", "hallucination_rate", "interval")
    assert {key: told[key] for key in contract} == dict.fromkeys(contract)
    assert (told["images"], told["seed"], told["n"]) == ([], 5, 0)
    assert told["thresholds"] == {"cat": 1e9, "dog": 1e9}
    assert "nothing was kept" in told["reason"]
    both = wilson_interval(2, 2)
    assert told["guided"] | {"seconds": 0} == {
        "way": "keep", "best_of": None, "budget": 4, "hdr_mass": 0.9, "n_wanted": 2, "n_painted": 4, "n_inside": 0,
        "n_kept": 0, "n_kept_outside": 0, "is_enough": False, "images_per_kept": None, "seconds": 0,
        "plain": {"n": 2, "n_outside": 2, "hallucination_rate": 1, "interval": [both.low, both.high]},
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
        ({"budget": 0}, "a budget of at least the 2 images wanted, got 0"),
        ({"budget": 5000}, "at most 1024 images to paint, got 5000"),
        ({"paint": replace(PAINT, seed=2**31 - 10)}, "a seed of at most 2147483584 for 64 images"),
    ],
)
def test_settings_out_of_range_are_refused(change, words):
    with pytest.raises(RefusedInputError, match=words):
        GuidedSettings(**{"paint": PAINT, **change})


def test_what_a_person_leaves_open_is_four_for_each_wanted():
    many = replace(PAINT, n_images=40, batch_size=16)
    assert guided_settings(many, "keep").budget == guided_settings(many, "best").n_at_most == 160
    assert guided_settings(PAINT, "keep").paint.batch_size == 2  # not far more than is wanted
    assert guided_settings(many, "best", best_of=7).n_at_most == 280
    with pytest.raises(RefusedInputError, match="got 0"):
        guided_settings(many, "keep", budget=0)
