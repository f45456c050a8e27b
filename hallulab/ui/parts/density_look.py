"""Style sheet of the Density tab: handles on the means, the verdict, three numbers side by side."""

from hallulab.reports.figures import NEUTRAL
from hallulab.ui.parts.density_drag import FIGURE_ID

VERDICT_ID = "density-verdict"

DENSITY_CSS = f"""
/* room for the longest verdict, or the figure would move while a mean is dragged */
#{VERDICT_ID} .hl-card {{ min-height: 8.6rem; }}
@media (max-width: 640px) {{ #{VERDICT_ID} .hl-card {{ min-height: 14.5rem; }} }}
#{FIGURE_ID} {{ position: relative; touch-action: pan-y; }}
#{FIGURE_ID} .modebar {{ display: none; }}
#{FIGURE_ID} .nsewdrag {{ cursor: crosshair; }}
.hl-mean {{ position: absolute; left: 0; top: 0; z-index: 5; width: 28px; height: 28px; padding: 0; border-radius: 50%;
  display: grid; place-items: center; font-size: 0.8rem; font-weight: 700; color: #fff; cursor: grab;
  touch-action: none; user-select: none; border: 2px solid #fff; box-shadow: 0 1px 5px rgba(0, 0, 0, 0.45);
  background: color-mix(in srgb, var(--hl-tone, {NEUTRAL}) 82%, #000); }}
.hl-mean::after {{ content: ""; position: absolute; inset: -10px; border-radius: 50%; }}
.hl-mean.hl-selected {{ outline: 3px solid color-mix(in srgb, var(--hl-tone) 55%, transparent); outline-offset: 1px; }}
.hl-mean:focus-visible {{ outline: 3px solid var(--color-accent); outline-offset: 2px; }}
.hl-mean.hl-held {{ cursor: grabbing; }}
.hl-key {{ display: inline-block; width: 10px; height: 10px; border-radius: 50%; background: var(--hl-tone);
  margin-right: 6px; }}
.hl-three {{ display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 10px; margin: 0; }}
@media (max-width: 640px) {{ .hl-three {{ grid-template-columns: minmax(0, 1fr); }} }}
.hl-three > div {{ border: 1px solid var(--border-color-primary); border-top: 5px solid var(--hl-tone, {NEUTRAL});
  border-radius: 10px; padding: 10px 14px; background: var(--block-background-fill); }}
.hl-three dt {{ font-size: 0.85rem; color: var(--body-text-color-subdued); }}
.hl-three dd {{ margin: 2px 0 0; font-size: 1.6rem; font-weight: 700; font-variant-numeric: tabular-nums; }}
.hl-three dd small {{ display: block; font-size: 0.8rem; font-weight: 400; line-height: 1.4;
  color: var(--body-text-color-subdued); }}
"""
