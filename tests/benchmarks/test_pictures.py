"""The benchmark of pictures in the tiny world: both ways give the same pictures."""

import pytest
import torch

from benchmarks import pictures
from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset


@pytest.fixture(scope="module")
def engine(tiny_preset) -> Engine:
    return Engine(load_preset(str(tiny_preset)), device="cpu")


def test_both_ways_give_the_same_pictures(engine):
    found = pictures.compare(engine, n_images=5, repeats=1)
    assert (found.n_images, found.batch_size) == (5, 5)
    assert found.mean_difference <= pictures.BAR_PIXEL
    assert len(found.batched_s) == len(found.one_by_one_s) == 1


def test_other_pictures_differ(engine):
    settings = pictures.paint_settings(engine, 2)
    ours = pictures.in_batches(engine.painter("base"), settings)
    theirs = pictures.one_by_one(engine.painter("step-10"), settings)
    assert pictures.pixel_differences(ours, theirs).mean() > pictures.BAR_PIXEL


def test_without_a_compiler_it_is_said(engine, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("no C++ compiler here")

    monkeypatch.setattr(torch, "compile", refuse)
    found = pictures.compile_and_compare(engine, n_images=2, repeats=1)
    assert found.first_s is None
    rows = pictures.compiled_rows(found, pictures.compare(engine, 2, 1))
    assert rows[0][1:3] == ("not measured", "RuntimeError: no C++ compiler here")
    assert "forward" not in vars(engine.painter().unet) or engine.painter().unet.forward is not refuse


def test_the_table_is_printed(tiny_preset, capsys):
    pictures.main(["--preset", str(tiny_preset), "--images", "2", "--repeats", "1", "--no-compile"])
    printed = capsys.readouterr().out
    assert "one pipeline call per image" in printed
    assert "≥ 2.5 ×" in printed
