"""Draws the README's pictures from the shipped checkpoints: `python docs/make_images.py`."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from hallulab.engine.core import Engine  # noqa: E402
from hallulab.engine.pictures import PaintSettings, embed_images  # noqa: E402
from hallulab.engine.presets import load_preset  # noqa: E402
from hallulab.engine.quiet import quiet_libraries  # noqa: E402
from hallulab.experiments.pictures_bars import blend_drawings, genuine_drawings  # noqa: E402
from hallulab.reports.contact_sheet import ContactRow, contact_sheet  # noqa: E402
from hallulab.scoring.pictures import frame_of, paint, score_embeddings  # noqa: E402

PROMPTS = ("a realistic photo of a friendly dog", "a fluffy cat sitting on a sofa")
N_PER_PROMPT = 5
N_DRAWINGS = 12
HDR_MASS = 0.9
SEED = 4


def checkpoint_rows(engine: Engine) -> list[ContactRow]:
    """The same seeds painted by every checkpoint."""
    rows = []
    for checkpoint in engine.checkpoint_names("pictures"):
        images, outside = [], []
        for prompt in PROMPTS:
            settings = PaintSettings(n_images=N_PER_PROMPT)
            *_, last = paint(engine, prompt, settings, checkpoint=checkpoint, hdr_mass=HDR_MASS)
            assert last.result is not None  # the last progress holds the result
            assert last.result.scores is not None  # the small world has a frame
            images += last.result.images
            outside += [verdict.is_hallucination for verdict in last.result.scores.verdicts]
        rows.append(titled_row(checkpoint, images, outside))
    return rows


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


def main() -> None:
    """Write both pictures."""
    quiet_libraries()
    engine = Engine(load_preset())
    for name, rows in (("checkpoints", checkpoint_rows(engine)), ("blends", drawing_rows(engine))):
        contact_sheet(rows, tile=72).save(DOCS / "images" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
