"""The one painting loop: what the pipeline paints call by call, judged alone, whatever the batches."""

from dataclasses import replace

import pytest

from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.scoring.painting import Batch, paint_batches, painted_result
from hallulab.scoring.picture_frames import frame_of
from hallulab.scoring.picture_verdicts import score_embeddings
from tests.plain_painting import pixel_difference, plainly_painted

PROMPT = "a cute pet animal"
SETTINGS = PaintSettings(n_images=3, seed=11, steps=3, size=32, batch_size=2)


@pytest.fixture(scope="module")
def engine(tiny_preset) -> Engine:
    return Engine(load_preset(str(tiny_preset)), device="cpu")


def finished(engine, batches, **options):
    steps = list(paint_batches(engine, PROMPT, batches, **{"hdr_mass": 0.9, **options}))
    return [step.finished for step in steps if step.finished is not None]


def test_every_batch_holds_what_the_pipeline_paints_one_by_one(engine):
    batches = [Batch("base", SETTINGS), Batch("step-10", replace(SETTINGS, n_images=1, seed=40))]
    found = finished(engine, batches, hdr_mass=0.8)
    assert [len(images) for images in found] == [3, 1]
    for batch, images in zip(batches, found, strict=True):
        plain = plainly_painted(engine, PROMPT, batch.settings, checkpoint=batch.checkpoint, hdr_mass=0.8)
        for one, expected in zip(images, plain, strict=True):
            assert one.painted.seed == expected.seed
            assert pixel_difference(one.painted.image, expected.image) <= 1
            assert one.verdict.margin_nats == pytest.approx(expected.verdict.margin_nats, abs=0.05)
            assert one.verdict.frame_hash == expected.verdict.frame_hash


def test_steps_are_counted_over_all_batches(engine):
    batches = [Batch("base", SETTINGS), Batch("base", replace(SETTINGS, n_images=1))]
    steps = list(paint_batches(engine, PROMPT, batches, hdr_mass=0.9))
    # two parts of two and one image, then one: three times three denoising steps, and the end of each batch
    assert [step.n_done for step in steps if step.message == "painting"] == [0, *range(1, 7), *range(7, 10)]
    assert [step.n_done for step in steps if step.finished] == [6, 9]
    assert {step.n_total for step in steps} == {9}
    assert all(
        (step.predicted_x0 is None) == (step.n_done == 0 or step.finished is not None) for step in steps
    )


def test_the_result_is_that_of_all_embeddings_at_once(engine):
    batch, frame = Batch("base", SETTINGS), frame_of(engine)
    steps = paint_batches(engine, PROMPT, [batch], hdr_mass=0.9)
    judged = next(step.finished for step in steps if step.finished)
    result = painted_result(engine, f" {PROMPT} ", batch, judged, hdr_mass=0.9)
    rows = [one.embedding for one in judged]
    expected = score_embeddings(frame, engine.clip(), rows, 0.9, seed=SETTINGS.seed)
    assert result.scores.to_json() == expected.to_json()
    assert [verdict.margin_nats for verdict in result.scores.verdicts] == pytest.approx(
        [one.verdict.margin_nats for one in judged], abs=1e-3
    )
    assert (result.prompt, result.checkpoint, result.seeds) == (PROMPT, "base", (11, 12, 13))
    assert (
        painted_result(engine, PROMPT, batch, [], hdr_mass=0.9, reason="none").to_json()["reason"] == "none"
    )


@pytest.mark.parametrize(
    ("prompt", "batch", "mass", "words"),
    [
        (" ", Batch("base", SETTINGS), 0.9, "expected a prompt, got an empty one"),
        ("x" * 10_000, Batch("base", SETTINGS), 0.9, "at most 1000 characters, got 10000"),
        ("half \ud83d", Batch("base", SETTINGS), 0.9, "whole characters, got half of one at place 6"),
        (
            PROMPT,
            Batch("step-99", SETTINGS),
            0.9,
            "unknown checkpoint 'step-99' for pictures: use one of base",
        ),
        (PROMPT, Batch("base", SETTINGS), 1.5, r"1\.5"),
    ],
)
def test_bad_input_is_refused_before_any_work(engine, prompt, batch, mass, words):
    with pytest.raises(RefusedInputError, match=words):
        next(paint_batches(engine, prompt, [batch], hdr_mass=mass))
    assert engine.queue.holder is None
