"""The sweep of pictures in the tiny world: records, a real kill, several processes, refusals, the summary."""

import base64
import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings, embed_images
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.experiments.pictures_sweep import (
    PictureSweep,
    Unit,
    Workers,
    embedding_of,
    read_picture_sweep,
    records_path,
    run_picture_sweep,
)
from hallulab.experiments.pictures_sweep_summary import (
    guided_rows,
    pair_rows,
    paper_csv,
    summarise,
)
from hallulab.records import RecordFile
from hallulab.scoring.given_pictures import open_given
from hallulab.scoring.picture_frames import frame_of
from hallulab.scoring.pictures_rate import GrowingSettings, paint_growing
from hallulab.theory.diversity import cosine_diversity
from hallulab.theory.intervals import wilson_interval

PROBE = Path(__file__).parents[2] / "checkpoints" / "pet-parts-probe"
SETTINGS = PictureSweep(prompts=("a cat", "a pet"), n_images=6, best_of=2)


@pytest.fixture(scope="module")
def preset_file(tiny_preset: Path) -> Path:
    """The tiny world with the shipped probe and a training loss beside one UNet."""
    preset = json.loads(tiny_preset.read_text())
    preset["pictures"] |= {"attribute_probe": str(PROBE), "steps": 3}
    path = tiny_preset.with_name("tiny-swept.json")
    path.write_text(json.dumps(preset))
    return path


@pytest.fixture(scope="module")
def engine(preset_file: Path) -> Engine:
    return Engine(load_preset(str(preset_file)), device="cpu")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Two images at once, so that a cell takes three batches."""
    monkeypatch.setattr("hallulab.experiments.pictures_sweep.picture_batch_size", lambda *_: 2)


@pytest.fixture(scope="module")
def whole(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unbroken run."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hallulab.experiments.pictures_sweep.picture_batch_size", lambda *_: 2)
        list(run_picture_sweep(engine, SETTINGS, folder))
    return folder


def table(folder: Path) -> list[dict]:
    """Images and cells of a run without what no run repeats: seconds."""
    run = read_picture_sweep(folder)
    return [
        {key: value for key, value in record.items() if key != "seconds"}
        for record in (*run.images, *run.cells)
    ]


def test_one_record_and_one_png_per_image(whole):
    run = read_picture_sweep(whole)
    assert run.settings.checkpoints == ("base", "step-2", "step-10")
    assert [(r["checkpoint"], r["prompt"], r["seed"]) for r in run.images] == [
        (checkpoint, prompt, 50_000 + k)
        for checkpoint in run.settings.checkpoints
        for prompt in SETTINGS.prompts
        for k in range(6)
    ]
    for record in run.images:
        assert record["inside"] == (record["margin_nats"] > 0)
        recipe = json.loads(open_given(whole / record["path"]).text)
        for key in ("prompt", "checkpoint", "seed", "margin_nats"):
            assert recipe[key] == record[key]
    assert len(list(whole.rglob("*.png"))) == len(run.images) == 36


def test_an_image_is_the_one_that_paint_gives(whole, engine):
    record = next(
        r for r in read_picture_sweep(whole).images if (r["checkpoint"], r["seed"]) == ("step-10", 50_003)
    )
    settings = PaintSettings(
        n_images=1, seed=50_003, steps=3, size=32, guidance=engine.preset.pictures.guidance
    )
    *_, last = paint_growing(engine, record["prompt"], GrowingSettings(settings), checkpoint="step-10")
    shown = last.result.shown
    ours = np.asarray(Image.open(whole / record["path"]), dtype=int)
    assert np.abs(ours - np.asarray(shown.images[0], dtype=int)).mean() <= 1
    assert record["x0_variance"]["5"] == pytest.approx(shown.x0_variances[0], rel=1e-3)


def test_a_cell_measures_what_its_images_show(whole, engine):
    run = read_picture_sweep(whole)
    assert [(c["checkpoint"], c["prompt"]) for c in run.cells] == [
        (checkpoint, prompt) for checkpoint in run.settings.checkpoints for prompt in SETTINGS.prompts
    ]
    cell = run.cells[-1]
    images = [r for r in run.images if (r["checkpoint"], r["prompt"]) == (cell["checkpoint"], cell["prompt"])]
    embeddings = np.stack([embedding_of(record) for record in images])
    again = embed_images(engine.clip(), [Image.open(whole / r["path"]) for r in images])
    assert np.allclose(embeddings, again, atol=1e-4)
    n_outside = sum(not record["inside"] for record in images)
    assert (cell["n"], cell["n_outside"], cell["hallucination_rate"]) == (6, n_outside, n_outside / 6)
    assert cell["interval"]["high"] == pytest.approx(wilson_interval(n_outside, 6).high)
    assert cell["margin_nats"]["mean"] == pytest.approx(np.mean([r["margin_nats"] for r in images]))
    assert cell["diversity"]["value"] == pytest.approx(cosine_diversity(embeddings).value)
    assert cell["global_step"] == 10
    assert sum(cell["states"].values()) == 6
    mean = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).mean(axis=0)
    expected = frame_of(engine).features.log_densities(mean[None])[0]
    assert list(cell["mean"]["log_density"].values()) == pytest.approx(expected)


def test_a_k_mean_of_genuine_images_is_detected_only_when_displaced(whole):
    for cell in read_picture_sweep(whole).cells:
        displacement = cell["mean"]["displacement"]
        found = displacement["detectable"]["k_matched"]
        assert displacement["observed"] > 0
        assert found is None or 0 < found <= 5
        # thresholds from 400 means, tried on 400 others: about 10 % of them outside
        assert displacement["false_alarms"]["k_matched"] < 0.25
        if displacement["false_alarms"]["paper"] >= 0.8:
            assert displacement["detectable"]["paper"] is None


def test_a_finished_run_paints_nothing_again(whole, engine):
    before = records_path(whole, "tiny-swept").read_bytes()
    assert [step.n_done for step in run_picture_sweep(engine, SETTINGS, whole)] == [36, 36]
    assert records_path(whole, "tiny-swept").read_bytes() == before


def test_a_killed_run_goes_on_without_repeating_or_losing_an_image(whole, preset_file, engine, tmp_path):
    code = (
        "import sys; from pathlib import Path; from dataclasses import replace\n"
        "from hallulab.engine.core import Engine; from hallulab.engine.presets import load_preset\n"
        "from hallulab.experiments import pictures_sweep as sweep\n"
        "sweep.picture_batch_size = lambda *_: 2\n"
        "settings = sweep.PictureSweep(prompts=('a cat', 'a pet'), n_images=6, best_of=2)\n"
        "engine = Engine(load_preset(sys.argv[1]), device='cpu')\n"
        "for step in sweep.run_picture_sweep(engine, settings, Path(sys.argv[2])): print(step.n_done, flush=True)\n"
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", code, str(preset_file), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert killed.stdout is not None
    for line in killed.stdout:
        if int(line) >= 10:  # in the middle of a cell
            killed.send_signal(signal.SIGKILL)
            break
    assert killed.wait(30) == -signal.SIGKILL
    killed.stdout.close()
    kept = records_path(tmp_path, "tiny-swept").read_bytes()
    n_kept = len(read_picture_sweep(tmp_path).images)
    assert 10 <= n_kept < 36
    steps = list(run_picture_sweep(engine, SETTINGS, tmp_path))
    assert (steps[0].n_done, steps[-1].n_done) == (n_kept, 36)
    assert records_path(tmp_path, "tiny-swept").read_bytes().startswith(kept)  # nothing touched, only added
    recorded = RecordFile(records_path(tmp_path, "tiny-swept")).read()
    seeds = [(r["checkpoint"], r["prompt"], r["seed"]) for r in recorded if r["kind"] == "painted"]
    assert len(seeds) == len(set(seeds)) == 36
    assert table(tmp_path) == table(whole)


def test_a_torn_batch_is_completed_alone(whole, engine, tmp_path):
    job = run_picture_sweep(engine, SETTINGS, tmp_path)
    for _ in range(4):
        next(job)
    job.close()
    path = records_path(tmp_path, "tiny-swept")
    lines = path.read_bytes().splitlines(keepends=True)
    torn = [line for line in lines if b'"painted"' in line]
    path.write_bytes(b"".join([lines[0], *torn[:4], torn[4], torn[5][:40]]))  # the second of a pair
    *_, last = run_picture_sweep(engine, SETTINGS, tmp_path)
    assert last.n_done == 36
    ours, theirs = (read_picture_sweep(folder).images for folder in (tmp_path, whole))
    for one, other in zip(ours, theirs, strict=True):
        assert one["seed"] == other["seed"]
        assert one["margin_nats"] == pytest.approx(
            other["margin_nats"], abs=0.5
        )  # one image may differ by 1/255


def test_shares_are_disjoint_and_whole():
    units = [Unit("base", "a cat", (seed,)) for seed in range(7)]
    for n in (1, 2, 3, 9):
        shares = [Workers(index, n).share(units) for index in range(n)]
        assert [unit for share in shares for unit in share] == units


@pytest.mark.slow
def test_two_processes_make_the_same_table(whole, preset_file, tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from hallulab.experiments import pictures_sweep as sweep\n"
        "sweep.picture_batch_size = lambda *_: 2\n"
        "from hallulab.cli.main import main\n"
        "sys.exit(main(['sweep', 'pictures', '--preset', sys.argv[1], '--out', sys.argv[2], '--json',\n"
        "  '--images', '6', '--best-of', '2', '--prompt', 'a cat', '--prompt', 'a pet']))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    launched = subprocess.run(
        [
            sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
            "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
            str(script), str(preset_file), str(tmp_path / "run"),
        ],
        capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert launched.returncode == 0, launched.stderr[-2000:]
    report = json.loads(launched.stdout)  # one process speaks
    assert (report["n_done"], report["n_total"], len(report["table"])) == (36, 36, 6)
    names = sorted(path.name for path in (tmp_path / "run").glob("*.jsonl"))
    assert names == ["pictures-tiny-swept-process-1.jsonl", "pictures-tiny-swept.jsonl"]
    assert all(
        sum(b'"painted"' in line for line in (tmp_path / "run" / name).open("rb")) == 18 for name in names
    )
    ours, theirs = table(tmp_path / "run"), table(whole)
    for one, other in zip(ours, theirs, strict=True):
        assert _near(one, other)


def _near(ours: object, theirs: object) -> bool:
    """Whether two records agree: numbers to what another number of threads may round, embeddings as arrays."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(
            key == "embedding" or _near(ours[key], theirs[key]) for key in ours
        )
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_near, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float):
        return ours == pytest.approx(theirs, rel=1e-2, abs=0.5)
    return ours == theirs


def test_the_papers_columns(whole):
    run = read_picture_sweep(whole)
    rows = list(csv.DictReader(StringIO(paper_csv(run))))
    assert list(rows[0])[:10] == [
        "global_step", "prompt", "K", "hdr_percentile", "log_thr_cat", "log_thr_dog", "logp_mean_cat", "logp_mean_dog",
        "inside_hcdr", "decision",
    ]  # fmt: skip
    assert [row["global_step"] for row in rows] == ["0", "0", "2", "2", "10", "10"]
    for row, cell in zip(rows, run.cells, strict=True):
        is_inside = any(
            float(row[f"logp_mean_{state}"]) > float(row[f"log_thr_{state}"]) for state in ("cat", "dog")
        )
        assert row["inside_hcdr"] == str(is_inside) == str(cell["mean"]["paper"]["inside"])
        assert row["decision"] == ("non-hallucination" if is_inside else "hallucination")
        assert (row["K"], row["hdr_percentile"]) == ("6", "10.0")


def test_the_summary_adds_up(whole):
    run = read_picture_sweep(whole)
    summary = summarise(run)
    assert [row.checkpoint for row in summary.checkpoints] == ["base", "step-2", "step-10"]
    for row in summary.checkpoints:
        of_it = [record for record in run.images if record["checkpoint"] == row.checkpoint]
        assert (row.n, row.n_outside) == (12, sum(not record["inside"] for record in of_it))
    assert sum(row.n for row in summary.confusion if row.group == "all painted") == 36
    assert {row.way for row in summary.guided} == {"plain", "kept", "best of 2"}


def record(
    checkpoint: str, prompt: str, seed: int, margin: float, truth: str, embedding: list[float]
) -> dict:
    return {
        "checkpoint": checkpoint, "prompt": prompt, "seed": seed, "margin_nats": margin, "inside": margin > 0,
        "truth": truth, "seconds": 0.5, "log_density": {"cat": margin, "dog": 0.0},
        "embedding": base64.b64encode(np.array(embedding, dtype="<f4").tobytes()).decode(),
    }  # fmt: skip


def test_guided_rows_by_hand():
    images = [
        record("a", "p", 0, 1.0, "genuine", [1, 0]),
        record("a", "p", 1, -1.0, "blend", [0, 1]),
        record("a", "p", 2, -3.0, "blend", [0, 1]),
        record("a", "p", 3, -2.0, "genuine", [-1, 0]),
    ]
    plain, kept, best = guided_rows(images, best_of=2)
    assert (plain.n, plain.n_outside, plain.truths["genuine"], plain.images_per_kept) == (4, 3, 2, 1)
    # pairs: (right, up) 1, (right, up) 1, (right, left) 2, (up, up) 0, (up, left) 1, 1
    assert plain.diversity == pytest.approx(1)
    assert plain.states == {"cat": 1, "dog": 3}
    assert (kept.n, kept.n_outside, kept.images_per_kept, kept.seconds_per_kept) == (1, 0, 4, 2.0)
    assert kept.diversity is None
    # of seeds 0 and 1 the first, of 2 and 3 the second, which is outside all the same
    assert (best.n, best.n_outside, best.truths["genuine"], best.images_per_kept) == (2, 1, 2, 2)
    assert best.diversity == pytest.approx(2)


def test_pairs_share_their_seeds():
    images = [
        record(name, prompt, seed, margin, "genuine", [1, 0])
        for name, margin in (("a", -1.0), ("b", 2.0))
        for prompt in ("p", "q")
        for seed in range(8)
    ]
    share, margin = pair_rows(images, ("a", "b"), seed=0)
    assert (share.quantity, share.difference.mean, share.difference.n) == ("share outside", -1.0, 8)
    assert share.difference.p_value == pytest.approx(2 / 2**8)  # all signs alike, both ways
    assert (margin.first, margin.second, margin.difference.mean) == ("a", "b", 3.0)


def test_another_runs_folder_is_refused(whole, engine):
    with pytest.raises(RefusedInputError, match="same settings in .*, got another settings"):
        next(run_picture_sweep(engine, replace(SETTINGS, seed=1), whole))
    assert engine.queue.holder is None


def test_a_folder_without_a_sweep_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="expected one sweep of pictures"):
        read_picture_sweep(tmp_path)
    RecordFile(tmp_path / "pictures-x.jsonl").append({"kind": "settings", "settings": {"colour": 1}})
    with pytest.raises(RefusedInputError, match="of this version"):
        read_picture_sweep(tmp_path)


def test_a_world_without_a_frame_is_refused(preset_file, tmp_path):
    preset = json.loads(preset_file.read_text())
    del preset["pictures"]["frame"]
    path = preset_file.with_name("tiny-frameless-sweep.json")
    path.write_text(json.dumps(preset))
    with pytest.raises(RefusedInputError, match="no frame to judge with"):
        next(run_picture_sweep(Engine(load_preset(str(path)), device="cpu"), SETTINGS, tmp_path))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_images": 1}, "expected 2 to 4096 images per prompt, got 1"),
        ({"seed": -1}, "expected a seed from 0"),
        ({"best_of": 1}, "the best of 2 images or more, got 1"),
        ({"hdr_mass": 1.5}, "mass"),
    ],
)
def test_settings_out_of_range_are_refused(change, words):
    with pytest.raises(RefusedInputError, match=words):
        replace(SETTINGS, **change)
