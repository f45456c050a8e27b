"""What the Paint tab shows before anything is painted: the same seeds at every shipped checkpoint, painted before.

`python docs/make_images.py first-look` paints and judges them, and writes `paint_first_look.json`.
"""

import base64
import io
import json
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from hallulab.engine.presets import Preset, load_preset
from hallulab.scoring.pictures import PaintResult

FILE = Path(__file__).with_name("paint_first_look.json")
WEBP_QUALITY = 85
COMMAND = "python docs/make_images.py first-look"


@dataclass(frozen=True)
class LookedAt:
    """One image of the first look."""

    prompt: str
    seed: int
    webp: str
    """Base64."""
    inside: bool
    margin_nats: float


@dataclass(frozen=True)
class LookRow:
    """One checkpoint's images."""

    checkpoint: str
    n_steps: int
    """Of fine-tuning; 0 for the base."""
    images: tuple[LookedAt, ...]

    @property
    def n_outside(self) -> int:
        """Images outside every region."""
        return sum(not image.inside for image in self.images)


def looked_at(result: PaintResult) -> tuple[LookedAt, ...]:
    """Painted and judged images, as they are kept."""
    assert result.scores is not None  # the small world has a frame
    found = []
    for index, verdict in enumerate(result.scores.verdicts):
        picture, margin_nats = _webp(result.images[index]), round(verdict.margin_nats, 1)
        seed = result.seed_of(index)
        found.append(LookedAt(result.prompt, seed, picture, not verdict.is_hallucination, margin_nats))
    return tuple(found)


def rows_json(rows: tuple[LookRow, ...]) -> dict[str, Any]:
    """What the file holds."""
    return {
        "made_by": COMMAND,
        "rows": [
            {
                "checkpoint": row.checkpoint,
                "n_steps": row.n_steps,
                "images": [vars(image) for image in row.images],
            }
            for row in rows
        ],
    }


@lru_cache(maxsize=1)
def kept_rows() -> tuple[LookRow, ...]:
    """The rows in the file."""
    kept = json.loads(FILE.read_text(encoding="utf-8"))["rows"]
    return tuple(
        LookRow(row["checkpoint"], row["n_steps"], tuple(LookedAt(**image) for image in row["images"]))
        for row in kept
    )


def first_look(preset: Preset) -> str:
    """The sheet, for a page of the checkpoints that it shows; empty for any other."""
    if preset.pictures != load_preset().pictures:
        return ""
    rows = kept_rows()
    prompts = list(dict.fromkeys(image.prompt for image in rows[0].images))
    n_each = len(rows[0].images) // len(prompts)
    said = " and ".join(f"{n_each} of “{escape(prompt)}”" for prompt in prompts)
    return (
        '<figure class="hl-first"><figcaption><b>What fine-tuning does.</b> Each column is one seed, each row a '
        "checkpoint. <b>Framed:</b> the image resembles neither genuine cats nor genuine dogs, so it is a "
        f"hallucination.</figcaption>{''.join(map(_row, rows))}"
        f'<p class="hl-note">Painted beforehand by the checkpoints below “Checkpoint”, {said}, at the usual settings '
        f"(<code>{COMMAND}</code>). Press Paint for images of your own.</p></figure>"
    )


def _row(row: LookRow) -> str:
    name = "Base model" if row.n_steps == 0 else f"{row.n_steps:,} steps"
    return (
        f'<div class="hl-first-row"><span>{name}<small>{row.n_outside} of {len(row.images)} hallucinate</small></span>'
        f"<div>{''.join(map(_tile, row.images))}</div></div>"
    )


def _tile(image: LookedAt) -> str:
    said = "like genuine images" if image.inside else "a hallucination"
    return (
        f'<img class="{"hl-inside" if image.inside else "hl-outside"}" alt="seed {image.seed}, {said}" '
        f'title="{escape(image.prompt)}, seed {image.seed}: {image.margin_nats:+.1f} nats, {said}" '
        f'src="data:image/webp;base64,{image.webp}">'
    )


def _webp(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=WEBP_QUALITY, method=6)
    return base64.b64encode(buffer.getvalue()).decode()
