"""Stop means stop: whichever step a job is closed after, the device is free at once."""

import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings
from hallulab.engine.presets import load_preset
from hallulab.scoring.pictures_rate import GrowingSettings, paint_growing
from hallulab.scoring.time_machine import paint_at_all
from hallulab.scoring.words import AskSettings, ask
from hallulab.scoring.words_comparison import compare
from hallulab.scoring.words_proposals import propose
from hallulab.scoring.words_rate import RateSettings, hallucination_rate
from tests.tiny_world import write_world


def growing(engine: Engine) -> Iterator[Any]:
    settings = PaintSettings(n_images=2, steps=2, size=32, batch_size=1)
    return paint_growing(engine, "a cute pet animal", GrowingSettings(settings))


def travelling(engine: Engine) -> Iterator[Any]:
    return paint_at_all(engine, "a cute pet animal", PaintSettings(n_images=1, steps=2, size=32))


def asking(engine: Engine) -> Iterator[Any]:
    return ask(engine, AskSettings("What should I have for breakfast?", n_samples=20))


def rating(engine: Engine) -> Iterator[Any]:
    settings = AskSettings("What should I have for breakfast?", n_samples=20)
    return hallucination_rate(engine, RateSettings(settings, n_answers=3))


def comparing(engine: Engine) -> Iterator[Any]:
    settings = AskSettings("What should I have for breakfast?", n_samples=20)
    return compare(engine, settings, ("base", "epoch-2"))


def proposing(engine: Engine) -> Iterator[Any]:
    return propose(engine, AskSettings("What should I have for breakfast?"))


JOBS = pytest.mark.parametrize("job", [asking, growing, travelling, rating, comparing, proposing])


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory):
    world: Path = write_world(tmp_path_factory.mktemp("world"))
    # without a frame painting gives images and the reason for having no verdict
    world.write_text(world.read_text().replace('"./frame"', '""'))
    return load_preset(str(world))


@JOBS
def test_a_job_yields_before_it_loads_anything(job: Callable, preset):
    """A server can only stop a generator that has yielded once."""
    engine = Engine(preset, device="cpu")
    steps = job(engine)
    next(steps)
    assert engine.resident_bytes() == {}
    steps.close()
    assert engine.queue.holder is None


@JOBS
def test_closing_after_any_step_frees_the_device(job: Callable, preset):
    engine = Engine(preset, device="cpu")
    n_steps = sum(1 for _ in job(engine))
    assert n_steps > 1
    for n_done in range(1, n_steps + 1):
        steps = job(engine)
        for _ in islice(steps, n_done):
            pass
        steps.close()
        assert engine.queue.holder is None
    assert list(job(engine))[-1].result is not None


@JOBS
def test_a_waiting_job_says_so_and_can_be_given_up(job: Callable, preset):
    engine = Engine(preset, device="cpu")
    with engine.job("other"):
        steps = job(engine)
        assert next(steps).message == "waiting for 1 other job"
        assert engine.n_waiting == 1
        steps.close()
        assert engine.n_waiting == 0


@JOBS
def test_a_job_may_be_resumed_and_closed_on_other_threads(job: Callable, preset):
    engine = Engine(preset, device="cpu")
    steps = job(engine)
    for action in (lambda: next(steps), lambda: next(steps), steps.close):
        thread = threading.Thread(target=action)
        thread.start()
        thread.join(60)
    assert engine.queue.holder is None


@JOBS
def test_a_raising_model_frees_the_device(job: Callable, preset, monkeypatch: pytest.MonkeyPatch):
    engine = Engine(preset, device="cpu")

    def fail(*_: Any):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(engine, "qwen", fail)
    monkeypatch.setattr(engine, "scorer", fail)
    monkeypatch.setattr(engine, "painter", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        list(job(engine))
    assert engine.queue.holder is None
