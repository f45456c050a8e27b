"""What the Ask tab shows before anything is asked: halves of two right answers in one sentence, judged before.

`python docs/make_images.py first-answer` judges it and writes `ask_first_look.json`.
"""

import json
from functools import lru_cache
from pathlib import Path

from hallulab.engine.presets import Preset, load_preset
from hallulab.scoring.kept_answer import answer_of_record
from hallulab.scoring.words import AskResult, AskSettings

FILE = Path(__file__).with_name("ask_first_look.json")
COMMAND = "python docs/make_images.py first-answer"
EXAMPLE = AskSettings(
    "What is a good pet for a small flat?",
    answer="A goldfish, because it purrs and naps indoors in winter.",
)
"""the reason given is one for a cat"""
NOTE = (
    f'<p class="hl-note"><b>An example.</b> Asked “{EXAMPLE.question}”, this sentence names a goldfish and gives a '
    "reason for a cat. Each half is right, the whole is right under neither hint. Drag the HDR mass below, or ask a "
    f"question of your own. (Judged beforehand: <code>{COMMAND}</code>.)</p>"
)


@lru_cache(maxsize=1)
def kept_example() -> AskResult:
    """The judged sentence in the file."""
    return answer_of_record(json.loads(FILE.read_text(encoding="utf-8")))


def first_answer(preset: Preset) -> AskResult | None:
    """The example, for a page of the models that judged it; None for any other."""
    return kept_example() if preset.words == load_preset().words else None
