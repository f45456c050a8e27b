import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hallulab.densities.feature_frame import FrameSettings
from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings, embed_images, stream_images
from hallulab.scoring.image_details import png_data_uri
from hallulab.scoring.picture_frames import PictureFrame
from hallulab.scoring.pictures_rate import GrowingResult
from hallulab.ui.parts.paint_details import look_at, score_image_endpoint
from hallulab.ui.parts.paint_gallery import caption, enlarged, painted_png, with_recipe
from hallulab.ui.parts.paint_given import judge_given
from hallulab.ui.parts.paint_painting import WAYS, Painting
from hallulab.ui.parts.paint_time import (
    decide_times_again,
    painted_at,
    show_moment,
    stopped_travel,
    time_machine_endpoint,
    travel,
)
from hallulab.ui.session import Session
from hallulab.ui.tabs.paint import decide_again, paint_endpoint, paint_images, stopped
from tests.plain_painting import pixel_difference

PROMPT = "a cute pet animal"
PLAIN, KEEP, BEST = WAYS
VALUES = {
    "prompt": PROMPT, "checkpoint": "base", "n_images": 3, "seed": 5, "steps": 2, "guidance": 3.0, "hdr_mass": 0.9
}  # fmt: skip


def painted(
    session: Session, way: str = PLAIN, stop_when_decided: bool = False, per_image: int = 4, **changes
):
    return paint_images(session, way, per_image, stop_when_decided, *(VALUES | changes).values())


@pytest.fixture(scope="module")
def painting(session) -> Painting:
    return list(painted(session))[-1][-1]


@pytest.fixture(scope="module")
def own_session(session, tmp_path_factory) -> Session:
    """A page whose genuine images are what its base paints, so that most of what it paints is inside."""
    engine, folder = session.engine, tmp_path_factory.mktemp("frame")
    settings = PaintSettings(n_images=60, seed=1000, steps=2, size=32)
    *_, last = stream_images(engine.painter("base"), PROMPT, settings)
    embeddings = embed_images(engine.clip(), list(last.images))
    labels = ["cat", "dog"] * 30
    frame = FrameSettings(held_out_share=0.4)
    PictureFrame.fit(embeddings, labels, frame, embedder=engine.clip().name).save(folder)
    preset = replace(engine.preset, pictures=replace(engine.preset.pictures, frame=str(folder)))
    return Session(Engine(preset, device="cpu"))


@pytest.fixture(scope="module")
def machine(session):
    return list(travel(session, *VALUES.values()))[-1][-1]


def test_every_image_has_its_verdict_and_the_rate_its_interval(painting):
    gallery, rate, frames, hint, histogram, mean, table, record, again = decide_again(painting, 0.9)
    assert len(gallery.value) == 3
    assert f"{record['n_outside']} of 3 images" in rate or "none of 3 images" in rate
    assert "95% interval" in rate
    assert frames.count(":nth-child(") == 3
    assert "Click one" in hint
    assert histogram.visible
    assert "the paper’s test" in mean
    assert "means of 3 genuine images" in mean
    assert table.count("<tr>") == 1 + 2
    assert len(record["images"]) == 3
    assert again == painting


def test_images_arrive_in_growing_batches_and_each_look_has_its_interval(session):
    steps = [step for step in painted(session, n_images=16) if isinstance(step[-1], GrowingResult)]
    assert [len(step[-1].shown.images) for step in steps] == [4, 16, 16]
    assert 'class="hl-range"' in steps[0][1]  # the interval that holds at every look, as a bar
    assert "progress" in steps[0][1]
    assert 'class="hl-range"' not in steps[-1][1]  # all sixteen by plan: the plain interval of the card
    assert "progress" not in steps[-1][1]
    first, last = steps[0][-1].anytime, steps[-1][-1].anytime
    assert last.high - last.low < first.high - first.low
    assert steps[-1][0] == gr.skip()  # the images are on the page already


def test_images_are_shown_while_they_form(session):
    cards = [step[1] for step in painted(session, n_images=2, steps=6)]
    assert any('<div class="hl-forming"' in card and "data:image/jpeg" in card for card in cards)
    assert "hl-forming" not in cards[-1]


def test_painting_ends_when_it_is_decided(session):
    """At a tiny mass all are outside, and eight that agree say enough: 2⁸ / 9 > 20, while 2⁴ / 5 < 20."""
    last = list(painted(session, stop_when_decided=True, n_images=16, hdr_mass=0.01))[-1]
    assert (last[-1].shown.scores.n_outside, last[-1].n) == (8, 8)
    assert "All of that is above 50%, so no more images are needed." in last[1]


def test_painting_that_is_not_decided_goes_on_to_the_end_and_says_so(session):
    """Four images never say enough, whatever they are."""
    last = list(painted(session, stop_when_decided=True, n_images=4))[-1]
    assert last[-1].n == 4
    assert "It is not decided whether that is more than 50%." in last[1]


def test_progress_comes_after_every_step_and_stop_frees_the_device(session):
    steps = painted(session)
    shown = [next(steps)[1] for _ in range(3)]
    assert all("progress" in card or "…" in card for card in shown)
    steps.close()
    assert session.engine.queue.holder is None


def test_stop_keeps_the_images_judged_before(session):
    steps = painted(session, n_images=8)
    kept = next(step[-1] for step in steps if isinstance(step[-1], GrowingResult) and step[-1].n == 4)
    steps.close()
    gallery, card, *_, result, button = stopped(kept, 0.9)
    assert len(gallery.value) == 4
    assert "Stopped after 4 of 8." in card
    assert result.n == 4
    assert not button.interactive
    assert "before the first image" in stopped(None, 0.9)[1]


def test_another_mass_moves_the_verdicts_without_a_model(painting, session, monkeypatch):
    monkeypatch.setattr(session.engine, "enter", None)
    monkeypatch.setattr(session.engine, "job", None)
    thresholds = [decide_again(painting, mass)[-2]["thresholds"]["cat"] for mass in (0.5, 0.9, 0.99)]
    assert thresholds[0] > thresholds[1] > thresholds[2]


def test_captions_say_what_the_frames_say(painting):
    result = painting.shown
    for index, verdict in enumerate(result.scores.verdicts):
        assert caption(result, index).startswith("✕" if verdict.is_hallucination else "✓")


def test_each_png_carries_its_recipe(painting, session):
    recipe = json.loads(with_recipe(painting.shown, 1).info["hallulab"])
    assert (recipe["prompt"], recipe["seed"], recipe["checkpoint"]) == (PROMPT, 6, "base")
    record = paint_endpoint(session)(PROMPT, "base", n_images=3, seed=5)
    png = base64.b64decode(record["images"][1]["png"].removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(png)) as image:
        assert image.size == (32, 32)
        assert json.loads(image.text["hallulab"])["seed"] == 6
    assert record["growing"]["n_painted"] == 3


@pytest.mark.parametrize("way", [KEEP, BEST])
def test_guided_sampling_tells_its_price_and_what_plain_sampling_gives(own_session, way):
    last = list(painted(own_session, way, per_image=3, n_images=2, hdr_mass=0.5))[-1]
    guided = last[-1]
    n_painted, n_kept = len(guided.judged), len(guided.chosen)
    assert (n_painted, n_kept) == (6, 2) if way == BEST else n_painted <= 6
    assert f"{n_kept} kept of {n_painted} painted" in last[1]
    n_plain = sum(one.verdict.is_hallucination for one in guided.judged[:2])
    assert f"</b> on the same seeds: {n_plain} of the first 2 hallucinate" in last[1]
    assert f"{n_painted / n_kept:.1f} images painted for each one kept" in last[1]
    record = last[-1].to_json()
    assert record["guided"]["n_painted"] == n_painted
    assert record["guided"]["budget"] == 6
    assert [image["seed"] for image in record["images"]] == [
        guided.judged[k].painted.seed for k in guided.chosen
    ]
    if way == KEEP:
        assert all(image["inside"] for image in record["images"])


def test_what_was_kept_stays_at_another_mass_which_is_said(session):
    guided = list(painted(session, BEST, n_images=1))[-1][-1]
    _, card, *_, again = decide_again(guided, 0.5)
    assert again.chosen == guided.chosen
    assert again.to_json()["hdr_mass"] == 0.5
    assert "Chosen at a mass of 90%; the frames show 50%." in card


def test_guided_sampling_that_keeps_nothing_says_so(session):
    """At a tiny mass nothing an untrained model paints is inside."""
    gallery, card, *_, shown = list(painted(session, KEEP, n_images=1, hdr_mass=0.01))[-1]
    assert gallery == gr.skip()  # empty since the start
    assert "0 kept of 4 painted" in card
    assert "Nothing was kept: no image is inside a region. The budget of 4 images is spent." in card
    assert "4 images painted in" in card
    assert shown.to_json()["images"] == []


def test_the_endpoint_takes_the_way_by_name(session):
    record = paint_endpoint(session)(PROMPT, "base", n_images=1, guided="best", best_of=3)
    assert (record["guided"]["n_painted"], record["guided"]["best_of"]) == (3, 3)
    kept = paint_endpoint(session)(PROMPT, n_images=1, guided="keep", budget=2, hdr_mass=0.01)
    assert (kept["guided"]["n_painted"], kept["images"], kept["hallucination_rate"]) == (2, [], None)
    with pytest.raises(gr.Error, match="expected guided to be keep or best, got 'none'"):
        paint_endpoint(session)(PROMPT, guided="none")


def test_a_clicked_image_shows_densities_and_genuine_neighbours(session, painting):
    card = list(look_at(session, painting.shown, 2, 0.9))[-1]
    assert "Image 3, seed 7" in card
    assert card.count("<tr>") == 1 + 2
    assert "Wavering" in card
    assert "Similarity to the nearest genuine images" in card
    assert list(look_at(session, painting.shown, 99, 0.9)) == [""]
    assert list(look_at(session, painting.shown, -1, 0.9)) == [""]
    assert list(look_at(session, None, 0, 0.9)) == [""]


def dropped(session: Session, png: str, path: Path) -> tuple[str, dict[str, Any]]:
    """The card of a PNG that comes back, and the value of every control."""
    path.write_bytes(base64.b64decode(png.partition("base64,")[2]))
    card, *values = list(judge_given(session, str(path), 0.9))[-1]
    return card, dict(zip([*VALUES, "way", "per_image", "stop_when_decided"], values, strict=True))


def test_a_dropped_png_sets_every_control_again(session, tmp_path):
    painting = list(painted(session, hdr_mass=0.75))[-1][-1]
    card, values = dropped(session, painted_png(painting.shown, 1), tmp_path / "kept.png")
    assert values == VALUES | {
        "n_images": 1, "seed": 6, "hdr_mass": 0.75, "way": PLAIN, "per_image": gr.skip(), "stop_when_decided": False,
    }  # fmt: skip
    assert "Painted here: “a cute pet animal”, base, seed 6." in card
    assert "differ" not in card
    assert (
        f"{painting.shown.scores.verdicts[1].margin_nats:.1f}".lstrip("-") in card
    )  # judged at its own mass
    again = list(painted(session, **values | {"per_image": 4}))[-1][-1]
    assert pixel_difference(again.shown.images[0], painting.shown.images[1]) <= 1


@pytest.mark.parametrize("way", [KEEP, BEST])
def test_a_chosen_png_is_chosen_again_in_its_own_way(own_session, tmp_path, way):
    guided = list(painted(own_session, way, per_image=3, n_images=2, hdr_mass=0.9))[-1][-1]
    shown = guided.with_mass(0.6).shown  # what the page shows later decides nothing
    index = len(shown.images) - 1
    card, values = dropped(own_session, painted_png(shown, index), tmp_path / "kept.png")
    assert (values["way"], values["n_images"], values["hdr_mass"]) == (way, 1, 0.9)
    assert ("the best of 3 by margin" if way == BEST else "kept because it is inside a region") in card
    assert "differ" not in card
    again = list(painted(own_session, **values | ({} if way == BEST else {"per_image": 4})))[-1][-1]
    assert again.shown.seeds == (shown.seeds[index],)
    assert pixel_difference(again.shown.images[0], shown.images[index]) <= 1


def test_a_png_of_another_world_says_what_differs(session, painting, tmp_path):
    told = painting.shown.recipe(0) | {
        "checkpoint_sha256": "0" * 64, "frame_hash": "0" * 16, "hdr_mass": 0.9999, "versions": {"torch": "1.0"},
    }  # fmt: skip
    chunk = PngInfo()
    chunk.add_itxt("hallulab", json.dumps(told))
    card, values = dropped(session, png_data_uri(painting.shown.images[0], pnginfo=chunk), tmp_path / "a.png")
    for words in (
        "“base” here has other weights than the one that painted it",
        "The regions here are others than those that judged it",
        "Other versions of torch painted it",
        "Its HDR mass, 0.9999, is beyond the slider",
    ):
        assert words in card
    assert (values["seed"], values["hdr_mass"]) == (5, gr.skip())


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
    found = score_image_endpoint(session)(painted_png(painting.shown, 0))
    verdict = painting.shown.scores.verdicts[0]
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
        assert "Click one" in frames
        assert painted_at(machine, place) is machine.moments[place].painted
        assert curves.visible
    *_, record, again = decide_times_again(machine, 1, 0.5)
    assert record["checkpoints"][0]["hdr_mass"] == 0.5
    assert again.moments[0].painted.scores.hcdr.hdr_mass == 0.5


def test_there_is_nothing_to_look_at_before_the_first_journey():
    assert painted_at(None, 0) is None
    assert decide_again(None, 0.5) == (gr.skip(),) * 9  # what the page shows first stays


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
        ({"seed": None}, "expected a number for seed, got nothing"),
        ({"seed": 1.5}, "expected a whole number for seed, got 1.5"),
        ({"seed": float("inf")}, "expected a number for seed, got inf"),
        ({"seed": 2**31 - 1}, "expected a seed of at most 2147483645 for 3 images"),
        ({"n_images": "three"}, "expected a number for images, got 'three'"),
        ({"guidance": float("nan")}, "expected a number for guidance, got nan"),
        ({"checkpoint": ["base"]}, "unknown checkpoint"),
        ({"way": BEST, "per_image": None}, "expected a number for n, got nothing"),
    ],
)
def test_bad_input_is_one_friendly_sentence(session, changes, words):
    with pytest.raises(gr.Error, match=words):
        list(painted(session, **changes))


def test_an_empty_prompt_leaves_the_page_as_it_is(session):
    with pytest.raises(gr.Error, match="got an empty"):  # before anything is shown
        next(iter(painted(session, prompt="  ")))
