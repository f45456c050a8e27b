"""Downloads of the Coins tab: made when they are asked for, in gradio's cache, which deletes them after a while."""

from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache

from hallulab.experiments.coin_result import CoinResult
from hallulab.reports.coin_exports import points_csv, points_jsonl
from hallulab.reports.coin_stills import pmf_png, pmf_svg, training_png, training_svg
from hallulab.ui.parts.coin_flips import CoinTally
from hallulab.ui.parts.coin_line import line_rule
from hallulab.ui.parts.coin_network import Results
from hallulab.ui.parts.coin_play import pmf_file

EXPORTS: dict[str, tuple[str, Callable[[list[CoinResult]], bytes | str]]] = {
    "CSV": ("hallulab-coins.csv", points_csv),
    "JSON lines": ("hallulab-coins.jsonl", points_jsonl),
    "PNG": ("hallulab-coins.png", training_png),
    "SVG": ("hallulab-coins.svg", training_svg),
}
"""what its button says → file name, and how it is made"""
SAVE_SCRIPT = """(file) => {
  if (!file) return;
  const link = document.createElement("a");
  link.href = file.url;
  link.download = file.orig_name;
  link.click();
}"""
"""gradio's own button would save what was made for the click before"""


PMF_EXPORTS: dict[str, tuple[str, Callable[..., bytes]]] = {
    "PNG": ("hallulab-pmf.png", pmf_png),
    "SVG": ("hallulab-pmf.svg", pmf_svg),
}
"""the same for the figure of the chosen coins"""


def made_file(kind: str, folder: str, results: Results, *line: Any) -> str | None:
    """The path of a new file with these results, judged by the page's line, below `folder`; None without any."""
    if not results:
        return None
    name, make = EXPORTS[kind]
    rule = line_rule(*line)
    made = make([result.judged_by(rule) for result in results])
    return save_bytes_to_cache(made if isinstance(made, bytes) else made.encode(), name, folder)


def made_pmf_file(kind: str, folder: str, tally: CoinTally | None, results: Results, *chosen: Any) -> str:
    """The path of a new file with the figure of the chosen coins, below `folder`."""
    name, draw_file = PMF_EXPORTS[kind]
    return save_bytes_to_cache(pmf_file(draw_file, tally, results, *chosen), name, folder)


def exports_enabled(enabled: bool) -> tuple[Any, ...]:
    """The export buttons, pressable once there is something to save."""
    return tuple(gr.Button(interactive=enabled) for _ in EXPORTS)
