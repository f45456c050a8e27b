"""The comparison of detectors in the tiny world: records, resume, refusals."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings, stream_images
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.experiments.picture_detectors import (
    DetectorSettings,
    drawn_face,
    read_detector_run,
    records_path,
    run_detectors,
)
from hallulab.records import RecordFile

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "pet-parts-probe"
SETTINGS = DetectorSettings(
    prompts=("a cat", "a pet"), n_images=3, n_drawn=2, n_decoded=2, variance_windows=(2, 5), batch_size=2
)


@pytest.fixture(scope="module")
def preset_file(tiny_preset: Path) -> Path:
    preset = json.loads(tiny_preset.read_text())
    preset["pictures"] |= {"attribute_probe": str(SHIPPED), "steps": 3}
    path = tiny_preset.with_name("tiny-probed.json")
    path.write_text(json.dumps(preset))
    return path


@pytest.fixture(scope="module")
def engine(preset_file: Path) -> Engine:
    return Engine(load_preset(str(preset_file)), device="cpu")


@pytest.fixture(scope="module")
def whole(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unbroken run."""
    folder = tmp_path_factory.mktemp("whole")
    list(run_detectors(engine, SETTINGS, RecordFile(records_path(folder, "tiny"))))
    return folder


def test_one_record_per_image(whole, engine):
    run = read_detector_run(whole)
    settings, records = run.settings, run.images
    assert settings.checkpoints == engine.checkpoint_names("pictures") == ("base", "step-2", "step-10")
    assert settings.variance_windows == (2, 3)  # 3 steps in all
    assert Counter(record["kind"] for record in records) == {
        "painted": 3 * 2 * 3,
        "drawn": 4,
        "decoded": 4,
    }
    for record in records:
        assert record["inside"] == (record["margin_nats"] > 0)
        assert record["parts"].keys() == {"ears", "eyes", "muzzle"}
        assert all(value > 0 for value in record["x0_variance"].values())
    assert [record["drawn_as"] for record in records[-8:]] == ["genuine", "blend"] * 4
    assert {record["decoded_as"] for record in records[-4:]} <= {"genuine", "blend"}


def test_the_variance_of_a_window_is_the_one_painting_reports(whole, engine):
    records = read_detector_run(whole).images
    record = next(
        r for r in records if (r["kind"], r["checkpoint"], r["seed"]) == ("painted", "step-10", 40_001)
    )
    pictures = engine.preset.pictures
    settings = PaintSettings(
        n_images=1,
        seed=40_001,
        steps=pictures.steps,
        size=pictures.size,
        guidance=pictures.guidance,
        variance_steps=2,
    )
    *_, last = stream_images(engine.painter("step-10"), record["prompt"], settings)
    assert record["x0_variance"]["2"] == pytest.approx(last.painted[0].x0_variance, rel=1e-3)


@pytest.mark.parametrize("n_batches", [0, 1, 4, 13])
def test_a_stopped_run_goes_on_where_it_stopped(whole, engine, tmp_path, n_batches):
    records = RecordFile(records_path(tmp_path, "tiny"))
    job = run_detectors(engine, SETTINGS, records)
    for _ in range(1 + n_batches):
        next(job)
    job.close()
    if records.path.exists():  # a kill may tear the last line
        records.path.write_bytes(records.path.read_bytes()[:-7])
    n_kept = max(len(records.read()) - 1, 0)
    steps = list(run_detectors(engine, SETTINGS, records))
    assert steps[0].n_done == n_kept
    assert steps[-1].n_done == steps[-1].n_total == 26
    resumed, unbroken = (read_detector_run(folder).images for folder in (tmp_path, whole))
    assert [_identity(record) for record in resumed] == [_identity(record) for record in unbroken]
    for ours, theirs in zip(resumed, unbroken, strict=True):
        assert ours["margin_nats"] == pytest.approx(theirs["margin_nats"], abs=0.5)


def _identity(record: dict) -> tuple:
    return tuple(record.get(key) for key in ("kind", "checkpoint", "prompt", "seed", "index", "drawn_as"))


def test_a_finished_run_makes_nothing_again(whole, engine):
    before = records_path(whole, "tiny").read_bytes()
    assert [
        step.n_done for step in run_detectors(engine, SETTINGS, RecordFile(records_path(whole, "tiny")))
    ] == [26]
    assert records_path(whole, "tiny").read_bytes() == before


def test_another_runs_records_are_refused(whole, engine):
    other = replace(SETTINGS, seed=1)
    with pytest.raises(RefusedInputError, match="with seed 40000; got seed 1"):
        next(run_detectors(engine, other, RecordFile(records_path(whole, "tiny"))))


def test_a_world_without_truth_is_refused(tiny_preset, tmp_path):
    engine = Engine(load_preset(str(tiny_preset)), device="cpu")
    with pytest.raises(RefusedInputError, match="names no attribute_probe"):
        next(run_detectors(engine, SETTINGS, RecordFile(tmp_path / "detectors-x.jsonl")))


def test_an_unknown_checkpoint_is_refused(engine, tmp_path):
    with pytest.raises(RefusedInputError, match="unknown checkpoint 'step-7'"):
        next(
            run_detectors(
                engine, replace(SETTINGS, checkpoints=("step-7",)), RecordFile(tmp_path / "detectors-x.jsonl")
            )
        )


def test_nothing_is_asked_twice_and_nothing_empty(engine, tmp_path):
    records = RecordFile(records_path(tmp_path, "tiny"))
    asked = replace(
        SETTINGS,
        checkpoints=("base", "base"),
        prompts=("a cat", " a cat "),
        n_images=1,
        n_drawn=0,
        n_decoded=0,
    )
    assert [step.n_total for step in run_detectors(engine, asked, records)] == [1, 1]
    with pytest.raises(RefusedInputError, match="expected a prompt"):
        next(
            run_detectors(
                engine, replace(SETTINGS, prompts=("",)), RecordFile(tmp_path / "b" / "detectors-x.jsonl")
            )
        )


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="expected one run of detectors"):
        read_detector_run(tmp_path)
    RecordFile(tmp_path / "detectors-x.jsonl").append({"kind": "settings", "settings": {"colour": 1}})
    with pytest.raises(RefusedInputError, match="of this version"):
        read_detector_run(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_images": 0}, "expected from 1 to 64 images per prompt, got 0"),
        ({"n_drawn": -1}, "expected 0 or more drawn pictures, got -1"),
        ({"n_decoded": -1}, "expected 0 or more decoded pictures, got -1"),
        ({"seed": 2**31}, "expected a seed from 0 to"),
        ({"hdr_mass": 0.0}, "HDR mass"),
        ({"drawn_prompt": " "}, "expected a prompt"),
        ({"batch_size": 0}, "expected batches of 1 to 64 images, got 0"),
        ({"variance_windows": (1, 3)}, "windows of at least 2 denoising steps"),
    ],
)
def test_settings_out_of_range_are_refused(change, words):
    with pytest.raises(RefusedInputError, match=words):
        replace(SETTINGS, **change)


def test_drawings_alternate_and_repeat():
    kinds = [drawn_face(index)[0] for index in range(6)]
    assert kinds == ["genuine", "blend"] * 3
    again = [drawn_face(5)[1] for _ in range(2)]
    assert again[0] == again[1]
