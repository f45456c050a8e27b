import base64
import io
import json
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hallulab.ui.parts.paint_details import look_at, score_image_endpoint
from hallulab.ui.parts.paint_gallery import caption, enlarged, painted_png, with_recipe
from hallulab.ui.parts.paint_given import judge_given
from hallulab.ui.parts.paint_painting import WAYS, Painting
from hallulab.ui.parts.paint_time import (
    decide_times_again,
    show_moment,
    stopped_travel,
    time_machine_endpoint,
    travel,
)
from hallulab.ui.session import Session
from hallulab.ui.tabs.paint import decide_again, paint_endpoint, paint_images, stopped

PROMPT = "a cute pet animal"
PLAIN, KEEP, BEST = WAYS
VALUES = {
    "prompt": PROMPT, "checkpoint": "base", "n_images": 3, "seed": 5, "steps": 2, "guidance": 3.0, "hdr_mass": 0.9
}  # fmt: skip


def painted(session: Session, way: str = PLAIN, stop_when_decided: bool = False, **changes):
    return paint_images(session, way, stop_when_decided, *(VALUES | changes).values())


@pytest.fixture(scope="module")
def painting(session) -> Painting:
    return list(painted(session))[-1][-1]


@pytest.fixture(scope="module")
def machine(session):
    return list(travel(session, *VALUES.values()))[-1][-1]


def test_every_image_has_its_verdict_and_the_rate_its_interval(painting):
    gallery, rate, frames, hint, histogram, mean, table, record, again = decide_again(painting, 0.9)
    assert len(gallery.value) == 3
    assert f"{record['n_outside']} of 3 images" in rate or "none of 3 images" in rate
    assert "95% interval" in rate
    assert frames.count(":nth-child(") == 3
    assert "Click an image" in hint
    assert histogram.visible
    assert "the paper’s test" in mean
    assert "means of 3 genuine images" in mean
    assert table.count("<tr>") == 1 + 2
    assert len(record["images"]) == 3
    assert again == painting


def test_images_arrive_one_by_one_then_two_and_each_look_has_its_interval(session):
    steps = [step for step in painted(session, n_images=4) if isinstance(step[-1], Painting)]
    assert [len(step[-1].images.images) for step in steps] == [1, 2, 4, 4]
    for step in steps[:2]:
        assert 'class="hl-range"' in step[1]  # the interval that holds at every look, as a bar
        assert "progress" in step[1]
    assert 'class="hl-range"' not in steps[-1][1]  # all four by plan: the plain interval of the card
    widths = [interval.high - interval.low for interval in (step[-1].growing.anytime for step in steps)]
    assert widths == sorted(widths, reverse=True)


def test_images_are_shown_while_they_form(session):
    cards = [step[1] for step in painted(session, n_images=2, steps=6)]
    assert any('<div class="hl-forming"' in card and "data:image/jpeg" in card for card in cards)
    assert "hl-forming" not in cards[-1]


def test_painting_ends_when_it_is_decided(session):
    """Eight images that agree say enough: 2⁸ / 9 > 20, while 2⁷ / 8 < 20."""
    last = list(painted(session, stop_when_decided=True, n_images=16, hdr_mass=0.9999))[-1]
    growing = last[-1].growing
    outside = growing.painted.scores.n_outside
    if outside in (0, growing.n):
        assert growing.n == 8
        assert "so no more images are needed" in last[1]
    else:
        assert growing.n > 8


def test_progress_comes_after_every_step_and_stop_frees_the_device(session):
    steps = painted(session)
    shown = [next(steps)[1] for _ in range(3)]
    assert all("progress" in card or "…" in card for card in shown)
    steps.close()
    assert session.engine.queue.holder is None


def test_stop_keeps_the_images_judged_before(session):
    steps = painted(session, n_images=8)
    kept = next(step[-1] for step in steps if isinstance(step[-1], Painting) and step[-1].growing.n == 2)
    steps.close()
    gallery, card, *_, result, button = stopped(kept, 0.9)
    assert len(gallery.value) == 2
    assert "Stopped after 2 of 8." in card
    assert result.growing.n == 2
    assert not button.interactive
    assert "before the first image" in stopped(None, 0.9)[1]


def test_another_mass_moves_the_verdicts_without_a_model(painting, session, monkeypatch):
    monkeypatch.setattr(session.engine, "enter", None)
    monkeypatch.setattr(session.engine, "job", None)
    thresholds = [decide_again(painting, mass)[-2]["thresholds"]["cat"] for mass in (0.5, 0.9, 0.99)]
    assert thresholds[0] > thresholds[1] > thresholds[2]


def test_captions_say_what_the_frames_say(painting):
    result = painting.images
    for index, verdict in enumerate(result.scores.verdicts):
        assert caption(result, index).startswith("✕" if verdict.is_hallucination else "✓")


def test_each_png_carries_its_recipe(painting, session):
    recipe = json.loads(with_recipe(painting.images, 1).info["hallulab"])
    assert (recipe["prompt"], recipe["seed"], recipe["checkpoint"]) == (PROMPT, 6, "base")
    record = paint_endpoint(session)(PROMPT, "base", n_images=3, seed=5)
    png = base64.b64decode(record["images"][1]["png"].removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(png)) as image:
        assert image.size == (32, 32)
        assert json.loads(image.text["hallulab"])["seed"] == 6
    assert record["growing"]["n_painted"] == 3


@pytest.mark.parametrize("way", [KEEP, BEST])
def test_guided_sampling_tells_what_it_cost(session, way):
    last = list(painted(session, way, n_images=2, hdr_mass=0.9999))[-1]
    guided = last[-1].guided
    assert f"{len(guided.chosen)} kept of {len(guided.judged)} painted" in last[1]
    assert f"of {len(guided.judged)} hallucinate" in last[1]
    record = last[-1].to_json()
    assert record["guided"]["n_painted"] == len(guided.judged)
    assert [image["seed"] for image in record["images"]] == [
        guided.judged[k].painted.seed for k in guided.chosen
    ]
    if way == KEEP:
        assert all(image["inside"] for image in record["images"])


def test_guided_sampling_that_keeps_nothing_says_so(session):
    """At a tiny mass nothing an untrained model paints is inside."""
    gallery, card, *_, shown = list(painted(session, KEEP, n_images=1, hdr_mass=0.01))[-1]
    assert not gallery.visible
    assert "0 kept of 4 painted" in card
    assert "Nothing was kept. The budget of 4 images is spent." in card
    assert shown.to_json()["images"] == []


def test_the_endpoint_takes_the_way_by_name(session):
    record = paint_endpoint(session)(PROMPT, "base", n_images=1, guided="best")
    assert record["guided"]["n_painted"] == 4
    with pytest.raises(gr.Error, match="expected guided to be keep or best, got 'none'"):
        paint_endpoint(session)(PROMPT, guided="none")


def test_a_clicked_image_shows_densities_and_genuine_neighbours(session, painting):
    card = list(look_at(session, painting.images, 2, 0.9))[-1]
    assert "Image 3, seed 7" in card
    assert card.count("<tr>") == 1 + 2
    assert "Wavering" in card
    assert "Similarity to the nearest genuine images" in card
    assert list(look_at(session, painting.images, 99, 0.9)) == [""]
    assert list(look_at(session, None, 0, 0.9)) == [""]


def test_a_dropped_png_sets_the_panel_again(session, painting, tmp_path):
    path = tmp_path / "kept.png"
    path.write_bytes(base64.b64decode(painted_png(painting.images, 1).partition("base64,")[2]))
    card, *values = list(judge_given(session, str(path), 0.9))[-1]
    assert values == [PROMPT, "base", 1, 6, 2, 3.0, PLAIN]
    assert "Painted here" in card
    again = list(painted(session, **dict(zip(list(VALUES)[:-1], values[:-1], strict=True))))[-1][-1]
    assert (
        abs(np.asarray(again.images.images[0], int) - np.asarray(painting.images.images[1], int)).max() <= 1
    )


def test_any_picture_is_judged_and_a_bad_recipe_said(session, tmp_path):
    plain = tmp_path / "plain.jpg"
    Image.new("RGB", (50, 40), "teal").save(plain)
    card, *values = list(judge_given(session, str(plain), 0.9))[-1]
    assert "Your picture" in card
    assert all(value == gr.skip() for value in values)
    for text, words in (
        ("{}", "damaged recipe"),
        ('{"prompt": "<b>x", "checkpoint": "gone", "seed": 1, "steps": 2, "guidance": 3}', "“gone”"),
        (
            '{"prompt": "x", "checkpoint": "base", "seed": 1, "steps": 9999, "guidance": 3}',
            "between 1 and 200",
        ),
    ):
        chunk = PngInfo()
        chunk.add_itxt("hallulab", text)
        Image.new("RGB", (40, 40)).save(tmp_path / "odd.png", pnginfo=chunk)
        card, *values = list(judge_given(session, str(tmp_path / "odd.png"), 0.9))[-1]
        assert words in card
        assert "<b>x" not in card
        assert all(value == gr.skip() for value in values)
    (tmp_path / "no.png").write_text("not a picture")
    with pytest.raises(gr.Error, match="cannot read the file as an image"):
        list(judge_given(session, str(tmp_path / "no.png"), 0.9))


def test_a_picture_is_scored_over_the_endpoint_as_it_was_painted(session, painting):
    found = score_image_endpoint(session)(painted_png(painting.images, 0))
    verdict = painting.images.scores.verdicts[0]
    assert found["margin_nats"] == pytest.approx(verdict.margin_nats, abs=1e-3)
    assert {one["state"] for one in found["nearest_genuine"]} == {"cat", "dog"}
    with pytest.raises(gr.Error, match="base64"):
        score_image_endpoint(session)("§§§")


def test_the_time_machine_keeps_seeds_and_moves_without_a_model(session, machine, monkeypatch):
    names = ["base", "step-2", "step-10"]
    assert [moment.checkpoint for moment in machine.moments] == names
    assert [moment.step for moment in machine.moments] == [0, 2, 10]
    pictures = [np.asarray(moment.painted.images[0], int) for moment in machine.moments]
    assert abs(pictures[0] - pictures[1]).max() > 0
    monkeypatch.setattr(session.engine, "enter", None)
    for place, name in enumerate(names):
        card, gallery, frames, curves = show_moment(machine, place)
        assert f"{name}: " in card
        assert len(gallery.value) == 3
        assert frames.count("time-gallery") == 3
        assert curves.visible
    *_, record, again = decide_times_again(machine, 1, 0.5)
    assert record["checkpoints"][0]["hdr_mass"] == 0.5
    assert again.moments[0].painted.scores.hcdr.hdr_mass == 0.5


def test_a_stopped_journey_keeps_its_checkpoints(machine):
    some = replace(machine, moments=machine.moments[:2])
    assert "step-2: " in stopped_travel(some, 5)[0]
    assert "before the first checkpoint" in stopped_travel(None, 0)[0]


def test_the_time_machine_endpoint_takes_some_checkpoints(session):
    found = time_machine_endpoint(session)(PROMPT, ["step-10", "base"], n_images=1, with_images=True)
    assert [entry["checkpoint"] for entry in found["checkpoints"]] == ["step-10", "base"]
    assert found["checkpoints"][1]["images"][0]["png"].startswith("data:image/png")


def test_small_images_are_enlarged():
    assert enlarged(Image.new("RGB", (32, 32))).size == (256, 256)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prompt": None}, "got an empty"),
        ({"prompt": "cat " * 2500}, "at most 1000 characters, got 9999"),
        ({"checkpoint": "nowhere"}, "unknown checkpoint 'nowhere'"),
        ({"n_images": 0}, "expected images between 1 and 64, got 0"),
        ({"steps": 0}, "expected steps between 1 and 200, got 0"),
        ({"hdr_mass": 0.0}, "mass between 0 and 1"),
        ({"seed": -1}, "expected seed between 0"),
    ],
)
def test_bad_input_is_one_friendly_sentence(session, changes, words):
    with pytest.raises(gr.Error, match=words):
        list(painted(session, **changes))


def test_an_empty_prompt_leaves_the_page_as_it_is(session):
    with pytest.raises(gr.Error, match="got an empty"):  # before anything is shown
        next(iter(painted(session, prompt="  ")))
