"""Draws the pictures of README, docs and page from the shipped checkpoints: `python docs/make_images.py [NAME…]`.

`checkpoints`, `blends` and `resemblance` go to docs/images, `first-look` to the Paint tab, `first-answer` and
`experiment` to the Ask tab.
`resemblance` needs TruthfulQA (HALLULAB_TRUTHFULQA, or the Hub) and continues the answers in runs/words-sweep;
`experiment` keeps what is in that folder, so run the commands of docs/words.md first.
"""

import json
import os
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from hallulab.data.question_sets import load_question_set  # noqa: E402
from hallulab.engine.core import Engine  # noqa: E402
from hallulab.engine.pictures import PaintSettings, embed_images  # noqa: E402
from hallulab.engine.presets import load_preset  # noqa: E402
from hallulab.engine.quiet import quiet_libraries  # noqa: E402
from hallulab.experiments.pictures_bars import blend_drawings, genuine_drawings  # noqa: E402
from hallulab.experiments.words_resemblance import records_path, run_words_resemblance  # noqa: E402
from hallulab.experiments.words_resemblance_run import WordsResemblanceSettings  # noqa: E402
from hallulab.experiments.words_sweep import read_words_sweep  # noqa: E402
from hallulab.records import RecordFile  # noqa: E402
from hallulab.reports.charts import chart_png  # noqa: E402
from hallulab.reports.contact_sheet import ContactRow, contact_sheet  # noqa: E402
from hallulab.reports.kept_words import SHIPPED_RUN, kept_text, words_of_run  # noqa: E402
from hallulab.reports.words_figures import figure_4, length_chart, paper_chart  # noqa: E402
from hallulab.scoring.kept_answer import answer_record  # noqa: E402
from hallulab.scoring.picture_frames import frame_of  # noqa: E402
from hallulab.scoring.picture_verdicts import score_embeddings  # noqa: E402
from hallulab.scoring.pictures import PaintResult  # noqa: E402
from hallulab.scoring.pictures_rate import GrowingSettings, paint_growing  # noqa: E402
from hallulab.scoring.training_history import steps_in_name  # noqa: E402
from hallulab.scoring.words import ask  # noqa: E402
from hallulab.ui.parts.ask_first_look import EXAMPLE  # noqa: E402
from hallulab.ui.parts.ask_first_look import FILE as EXAMPLE_FILE  # noqa: E402
from hallulab.ui.parts.paint_first_look import FILE, LookRow, looked_at, rows_json  # noqa: E402

PROMPTS = ("a realistic photo of a friendly dog", "a fluffy cat sitting on a sofa")
N_PER_PROMPT = 5
N_FIRST_LOOK = 4
N_DRAWINGS = 12
HDR_MASS = 0.9
SEED = 4
ANSWER_SEEDS = {"answer_only": 1, "paper_code": 4}
SWEEP = DOCS.parent / "runs" / "words-sweep"


def checkpoint_rows(engine: Engine) -> list[ContactRow]:
    """The same seeds painted by every checkpoint."""
    rows = []
    for checkpoint in engine.checkpoint_names("pictures"):
        images, outside = [], []
        for prompt in PROMPTS:
            painted = painted_by(engine, checkpoint, prompt, N_PER_PROMPT)
            assert painted.scores is not None  # the small world has a frame
            images += painted.images
            outside += [verdict.is_hallucination for verdict in painted.scores.verdicts]
        rows.append(titled_row(checkpoint, images, outside))
    return rows


def painted_by(engine: Engine, checkpoint: str, prompt: str, n_images: int) -> PaintResult:
    """The first seeds, painted and judged at the usual settings."""
    pictures = engine.preset.pictures
    paint = PaintSettings(n_images, steps=pictures.steps, guidance=pictures.guidance, size=pictures.size)
    settings = GrowingSettings(paint, begins_small=False)
    *_, last = paint_growing(engine, prompt, settings, checkpoint=checkpoint, hdr_mass=HDR_MASS)
    assert last.result is not None  # the last progress holds the result
    return last.result.shown


def first_look_json(engine: Engine) -> str:
    """What the Paint tab shows before anything is painted."""
    rows = []
    for checkpoint in engine.checkpoint_names("pictures"):
        images = [painted_by(engine, checkpoint, prompt, N_FIRST_LOOK) for prompt in PROMPTS]
        rows.append(
            LookRow(
                checkpoint, steps_in_name(checkpoint) or 0, tuple(one for i in images for one in looked_at(i))
            )
        )
    return json.dumps(rows_json(tuple(rows)), indent=1, ensure_ascii=False) + "\n"


def drawing_rows(engine: Engine) -> list[ContactRow]:
    """Genuine drawings of each pet, and blends that no training saw."""
    frame = frame_of(engine)
    assert frame is not None  # the small world has a frame
    genuine = genuine_drawings(N_DRAWINGS, seed=SEED)
    groups = {f"genuine {state}s": images for state, images in genuine.items()}
    groups["cat-dog blends, never seen in training"] = blend_drawings(N_DRAWINGS, seed=SEED)
    rows = []
    for title, images in groups.items():
        with engine.job("docs"):
            clip = engine.clip()
            scores = score_embeddings(frame, clip, embed_images(clip, images), HDR_MASS, seed=SEED)
        rows.append(titled_row(title, images, [verdict.is_hallucination for verdict in scores.verdicts]))
    return rows


def titled_row(title: str, images: list, outside: list[bool]) -> ContactRow:
    """A row that counts what it frames."""
    return ContactRow(f"{title}: {sum(outside)} of {len(outside)} outside", images, outside)


def resemblance_png(engine: Engine) -> bytes:
    """The paper's score by epoch in both variants, the paper's own numbers, and the score by length."""
    questions = load_question_set("truthfulqa", os.environ.get("HALLULAB_TRUTHFULQA"))
    for variant, n_seeds in ANSWER_SEEDS.items():
        settings = WordsResemblanceSettings(variant=variant, n_seeds=n_seeds)
        records = RecordFile(records_path(SWEEP, settings, "truthfulqa"))
        for _ in run_words_resemblance(engine, settings, questions, records=records):
            pass
    runs = {run.result.settings.variant: run for run in read_words_sweep(SWEEP).resemblance[:2]}
    alone, as_published = runs["answer_only"], runs["paper_code"]
    return chart_png([figure_4(as_published), paper_chart(), figure_4(alone), length_chart(as_published)])


def main(names: list[str]) -> None:
    """Write the pictures of these names, or all."""
    quiet_libraries()
    engine = Engine(load_preset())
    for name, rows in {"checkpoints": checkpoint_rows, "blends": drawing_rows}.items():
        if not names or name in names:
            contact_sheet(rows(engine), tile=72).save(DOCS / "images" / f"{name}.png", optimize=True)
    if not names or "first-look" in names:
        FILE.write_text(first_look_json(engine), encoding="utf-8")
    if not names or "first-answer" in names:
        *_, last = ask(engine, EXAMPLE)
        assert last.result is not None  # the last progress holds the result
        EXAMPLE_FILE.write_text(
            json.dumps(answer_record(last.result), ensure_ascii=False) + "\n", encoding="utf-8"
        )
    if not names or "resemblance" in names:
        (DOCS / "images" / "resemblance.png").write_bytes(resemblance_png(engine))
    if not names or "experiment" in names:
        SHIPPED_RUN.write_text(kept_text(words_of_run(SWEEP)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
