"""Style sheet of the Ask tab: words to click, choices, the interval bar, answers side by side."""

from hallulab.reports.figures import NEUTRAL, OUTSIDE

ASK_CSS = f"""
.hl-said {{ font-size: 1.05rem; line-height: 1.55; margin: 2px 0 8px; white-space: pre-wrap; overflow-wrap: anywhere; }}
.hl-said mark {{ background: color-mix(in srgb, {OUTSIDE} 28%, transparent); color: inherit; border-radius: 3px; }}
.gradio-container .label-wrap > span:first-child {{ text-align: left; }}
.hl-answer [data-place] {{ cursor: pointer; border-radius: 3px; }}
.hl-answer [data-place]:hover {{ box-shadow: inset 0 -2px 0 var(--color-accent); }}
.hl-answer [data-place]:focus-visible, .hl-choice:focus-visible {{
  outline: 2px solid var(--color-accent); outline-offset: 1px; }}
.hl-answer .hl-chosen {{ background: color-mix(in srgb, var(--color-accent) 25%, transparent); }}
.hl-answer .hl-end {{ color: {NEUTRAL}; margin-left: 4px; }}
.hl-forced {{ outline: 2px solid var(--color-accent); outline-offset: -1px; border-radius: 3px; }}
.hl-choice {{ display: grid; grid-template-columns: minmax(6rem, 12rem) minmax(2rem, 1fr) 4rem 4rem; gap: 10px;
  align-items: center; padding: 5px 8px; border-radius: 6px; font-size: 0.95rem; font-variant-numeric: tabular-nums; }}
@media (max-width: 640px) {{
  .hl-choice {{ grid-template-columns: minmax(0, 1fr) 0 3.2rem 3.2rem; gap: 6px; }}
  .hl-choice > .hl-bar {{ visibility: hidden; }}
}}
.hl-choice > span:nth-child(n + 3) {{ text-align: right; }}
.hl-choice[role] {{ cursor: pointer; }}
.hl-choice[role]:hover {{ background: color-mix(in srgb, var(--color-accent) 14%, transparent); }}
.hl-choice-head {{ font-size: 0.8rem; color: var(--body-text-color-subdued); padding-block: 6px 0; }}
.hl-word {{ white-space: pre-wrap; overflow-wrap: anywhere; font-weight: 600; }}
.hl-bar {{ height: 8px; border-radius: 4px;
  background: linear-gradient(90deg, var(--color-accent) calc(var(--p) * 100%),
    color-mix(in srgb, {NEUTRAL} 22%, transparent) 0); }}
.hl-marks {{ display: flex; flex-wrap: wrap; gap: 4px; margin: 10px 0 4px; font-size: 1.05rem; }}
.hl-marks > span {{ width: 1.35rem; text-align: center; }}
.hl-range {{ position: relative; height: 14px; border-radius: 7px; margin-top: 12px;
  background: color-mix(in srgb, {NEUTRAL} 22%, transparent); }}
.hl-range > * {{ position: absolute; top: 0; bottom: 0; }}
.hl-range > b {{ border-radius: 7px; background: color-mix(in srgb, var(--hl-tone, {NEUTRAL}) 60%, transparent); }}
.hl-range > i {{ top: -4px; bottom: -4px; width: 0; border-left: 2px dashed var(--body-text-color); }}
.hl-range > .hl-genuine {{ border-left-style: dotted; }}
.hl-range > .hl-rate {{ border-left: 4px solid var(--hl-tone, {NEUTRAL}); margin-left: -2px; }}
.hl-range-ends {{ display: flex; justify-content: space-between; font-size: 0.8rem; margin-top: 4px;
  color: var(--body-text-color-subdued); }}
.hl-two {{ display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 12px; }}
@media (max-width: 640px) {{ .hl-two {{ grid-template-columns: minmax(0, 1fr); }} }}
.hl-wide {{ min-width: 9rem; }}
.hl-lists ul {{ margin: 2px 0 0; padding-left: 1.1rem; list-style: disc; font-size: 0.92rem; line-height: 1.45; }}
.hl-lists p {{ margin: 0; }}
"""
