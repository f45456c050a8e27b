"""Theme and style sheet: system fonts alone, so that the page needs no network."""

import gradio as gr

from hallulab.reports.figures import GRID, INSIDE, NEUTRAL, OUTSIDE
from hallulab.ui.parts.ask_look import ASK_CSS
from hallulab.ui.parts.coin_look import COIN_CSS
from hallulab.ui.parts.density_look import DENSITY_CSS
from hallulab.ui.parts.facts_look import FACTS_CSS
from hallulab.ui.parts.grading_look import GRADING_CSS
from hallulab.ui.parts.paint_look import PAINT_CSS

CSS = f"""
.gradio-container {{ max-width: 1180px !important; margin: 0 auto !important; }}
.gradio-container .html-container {{ padding: 0; }}
/* six tabs beside each other on a phone */
@media (max-width: 640px) {{ .tab-container button {{ padding-inline: 4px; font-size: 0.84rem; }} }}
.hl-lead {{ font-size: 1.05rem; line-height: 1.5; margin: 0.1rem 0 0.4rem; max-width: 62rem; }}
.hl-lead b {{ font-weight: 650; }}
.hl-card {{ border: 1px solid var(--border-color-primary); border-left: 6px solid var(--hl-tone, {NEUTRAL});
  border-radius: 10px; padding: 12px 16px; background: var(--block-background-fill); }}
.hl-quiet {{ border-left-width: 1px; border-left-color: var(--border-color-primary); }}
.hl-pill {{ display: inline-block; padding: 4px 12px; border-radius: 999px; font-weight: 650; color: #fff;
  background: color-mix(in srgb, var(--hl-tone, {NEUTRAL}) 82%, #000); white-space: nowrap; }}
@media (max-width: 640px) {{ .hl-card > .hl-pill {{ white-space: normal; }} }}
.hl-sentence {{ margin: 8px 0 0; font-size: 1rem; line-height: 1.5; }}
.hl-answer {{ font-size: 1.15rem; line-height: 1.6; margin: 0; white-space: pre-wrap;
  overflow-wrap: anywhere; }}
.hl-answer mark {{ background: color-mix(in srgb, {OUTSIDE} 28%, transparent); color: inherit;
  border-radius: 3px; }}
.hl-card progress {{ appearance: none; width: 100%; height: 8px; margin-top: 8px; border: 0; border-radius: 4px;
  overflow: hidden; background: {GRID}; }}
.hl-card progress::-webkit-progress-bar {{ background: {GRID}; }}
.hl-card progress::-webkit-progress-value {{ background: var(--color-accent); }}
.hl-card progress::-moz-progress-bar {{ background: var(--color-accent); }}
.hl-note {{ color: var(--body-text-color-subdued); font-size: 0.9rem; line-height: 1.45; margin: 6px 0 0; }}
.hl-scroll {{ overflow-x: auto; contain: inline-size; }}
.hl-table {{ width: 100%; border-collapse: collapse; font-size: 0.92rem; }}
.hl-table, .hl-table th, .hl-table td, .hl-table tr {{ border: 0 !important; }}
.hl-table th, .hl-table td {{ text-align: left; padding: 6px 10px;
  border-bottom: 1px solid var(--border-color-primary) !important; }}
@media (max-width: 640px) {{
  .hl-table {{ font-size: 0.84rem; }}
  .hl-table th, .hl-table td {{ padding: 6px 4px; }}
  .hl-table th:first-child, .hl-table td:first-child {{ padding-left: 0; }}
}}
.hl-table th {{ font-weight: 600; color: var(--body-text-color-subdued); }}
.hl-table small {{ display: block; font-size: 0.82em; color: var(--body-text-color-subdued); white-space: nowrap; }}
.hl-in, .hl-out {{ font-weight: 600; white-space: nowrap; }}
.hl-in {{ color: color-mix(in srgb, {INSIDE} 80%, var(--body-text-color)); }}
.hl-out {{ color: color-mix(in srgb, {OUTSIDE} 80%, var(--body-text-color)); }}
{ASK_CSS}{COIN_CSS}{DENSITY_CSS}{PAINT_CSS}{FACTS_CSS}{GRADING_CSS}"""


def theme() -> gr.themes.Base:
    """Calm neutrals, one blue for what can be pressed."""
    sans = ("ui-sans-serif", "system-ui", "sans-serif")
    mono = ("ui-monospace", "Consolas", "monospace")
    return gr.themes.Base(
        primary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        font=sans,
        font_mono=mono,
    )
