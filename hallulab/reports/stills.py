"""How figures look as files for slides and papers: PNG and SVG on white, the same bytes every time."""

from io import BytesIO
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

STYLE: dict[RcKeyType, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": "#5b6370",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e6ea",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "hallulab",
}
"""text stays text in an SVG, and its ids are the same in every run"""
PNG_DPI = 200


def still_file(figure: Figure, kind: Literal["png", "svg"]) -> bytes:
    """The figure's file, without the date that would make it differ from run to run."""
    metadata: dict[str, Any] = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    written = BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(written, format=kind, dpi=PNG_DPI, metadata=metadata)
    return written.getvalue()
