import base64
import io
import json

import gradio as gr
import pytest
from PIL import Image

from hallulab.ui.session import Session
from hallulab.ui.tabs.paint import caption, decide_again, paint_endpoint, paint_images, with_recipe


def painted(session: Session, prompt: str | None = "a cute pet animal", **changes):
    settings = {
        "checkpoint": "base", "n_images": 3, "seed": 5, "steps": 2, "guidance": 3.0, "hdr_mass": 0.9
    } | changes  # fmt: skip
    return paint_images(session, prompt, **settings)


@pytest.fixture(scope="module")
def result(session):
    return list(painted(session))[-1][-1]


def test_every_image_has_its_verdict_and_the_rate_its_interval(result):
    gallery, rate, frames, histogram, mean, table, record = decide_again(result, 0.9)
    assert len(gallery.value) == 3
    assert f"{record['n_outside']} of 3 images" in rate or "none of 3 images" in rate
    assert "95% interval" in rate
    assert frames.count(":nth-child(") == 3
    assert histogram.visible
    assert "the paper’s test" in mean
    assert "means of 3 genuine images" in mean
    assert table.count("<tr>") == 1 + 2
    assert len(record["images"]) == 3


def test_progress_comes_after_every_step_and_stop_frees_the_device(session):
    steps = painted(session)
    shown = [next(steps)[1] for _ in range(3)]
    assert all("progress" in card or "…" in card for card in shown)
    steps.close()
    assert session.engine.queue.holder is None


def test_another_mass_moves_the_verdicts_without_a_model(result, session, monkeypatch):
    monkeypatch.setattr(session.engine, "enter", None)
    monkeypatch.setattr(session.engine, "job", None)
    thresholds = [decide_again(result, mass)[-1]["thresholds"]["cat"] for mass in (0.5, 0.9, 0.99)]
    assert thresholds[0] > thresholds[1] > thresholds[2]


def test_captions_say_what_the_frames_say(result):
    for index, verdict in enumerate(result.scores.verdicts):
        assert caption(result, index).startswith("✕" if verdict.is_hallucination else "✓")


def test_each_png_carries_its_recipe(result, session):
    recipe = json.loads(with_recipe(result, 1).info["hallulab"])
    assert (recipe["prompt"], recipe["seed"], recipe["checkpoint"]) == ("a cute pet animal", 6, "base")
    record = paint_endpoint(session)("a cute pet animal", "base", n_images=3, seed=5)
    png = base64.b64decode(record["images"][1]["png"].removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(png)) as image:
        assert image.size == (32, 32)
        assert json.loads(image.text["hallulab"])["seed"] == 6


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
