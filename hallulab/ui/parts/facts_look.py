"""Style sheet of the Facts tab: sliders by factors, four numbers side by side, people by how often they were read."""

from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE

VERDICT_ID, CURVE_ID, DATES_ID = "facts-verdict", "facts-curve", "facts-dates"

FACTS_CSS = f"""
/* room for the longest verdict, or the figures would move with every slider */
#{VERDICT_ID} .hl-card {{ min-height: 9rem; }}
@media (max-width: 640px) {{
  #{VERDICT_ID} .hl-card {{ min-height: 15rem; }}
}}
#{CURVE_ID} .modebar, #{DATES_ID} .modebar {{ display: none; }}
.hl-slider {{ border: 1px solid var(--border-color-primary); border-radius: var(--block-radius);
  background: var(--block-background-fill); padding: 10px 14px; }}
.hl-slider > div {{ display: flex; justify-content: space-between; align-items: center; gap: 8px;
  font-size: var(--block-label-text-size); color: var(--block-title-text-color); }}
.hl-slider small {{ display: block; color: var(--body-text-color-subdued); line-height: 1.35; margin-top: 2px; }}
.hl-slider input[type=number] {{ width: 7rem; padding: 3px 8px; text-align: right; font-size: 0.9rem;
  border: 1px solid var(--border-color-primary); border-radius: 6px; background: var(--input-background-fill);
  color: var(--body-text-color); appearance: textfield; }}
.hl-slider input[type=number]::-webkit-inner-spin-button {{ display: none; }}
.hl-slider input[type=range] {{ appearance: none; width: 100%; height: 5px; margin: 14px 0 8px; border-radius: 3px;
  cursor: pointer; background: linear-gradient(90deg, var(--slider-color, var(--color-accent))
    calc(var(--filled, 0) * 100%), color-mix(in srgb, {NEUTRAL} 30%, transparent) 0); }}
.hl-slider input[type=range]::-webkit-slider-thumb {{ appearance: none; width: 18px; height: 18px; border-radius: 50%;
  background: #fff; border: 1px solid {NEUTRAL}; box-shadow: 0 1px 3px rgba(0, 0, 0, 0.35); }}
.hl-slider input[type=range]::-moz-range-thumb {{ width: 18px; height: 18px; border-radius: 50%; background: #fff;
  border: 1px solid {NEUTRAL}; }}
.hl-slider input:focus-visible {{ outline: 2px solid var(--color-accent); outline-offset: 3px; }}
.hl-four + .hl-four {{ margin-top: 10px; }}
.hl-four {{ display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 10px; margin: 0; }}
@media (max-width: 640px) {{ .hl-four {{ grid-template-columns: repeat(2, minmax(0, 1fr)); }} }}
.hl-four > div {{ border: 1px solid var(--border-color-primary); border-top: 5px solid var(--hl-tone, {NEUTRAL});
  border-radius: 10px; padding: 8px 12px; background: var(--block-background-fill); }}
.hl-four dt {{ font-size: 0.83rem; color: var(--body-text-color-subdued); }}
.hl-four dd {{ margin: 2px 0 0; font-size: 1.4rem; font-weight: 700; font-variant-numeric: tabular-nums; }}
.hl-four dd small {{ display: block; font-size: 0.78rem; font-weight: 400; line-height: 1.4;
  color: var(--body-text-color-subdued); }}
.hl-people {{ display: grid; grid-template-columns: repeat(7, minmax(0, 1fr)); gap: 8px; margin-top: 8px; }}
.hl-people > div {{ display: flex; flex-direction: column; gap: 5px; align-items: center; text-align: center;
  font-size: 0.85rem; }}
.hl-people > div > small {{ color: var(--body-text-color-subdued); line-height: 1.2; min-height: 2.4em; }}
@media (max-width: 640px) {{
  .hl-people {{ gap: 3px; }}
  .hl-people > div {{ font-size: 0.74rem; }}
}}
.hl-shares {{ display: flex; overflow: hidden; border-radius: 5px; background: color-mix(in srgb, {NEUTRAL} 18%,
  transparent); }}
.hl-people .hl-shares {{ flex-direction: column-reverse; width: 100%; max-width: 64px; height: 110px; }}
.hl-shares > i {{ flex: 0 0 calc(var(--p) * 100%); background: var(--hl-tone); }}
.hl-fact .hl-shares {{ height: 14px; margin: 10px 0 4px; }}
.hl-dots {{ display: flex; flex-wrap: wrap; gap: 5px; justify-content: center; align-content: flex-start;
  min-height: 68px; }}
.hl-dots [data-place] {{ width: 18px; height: 18px; border-radius: 50%; cursor: pointer; display: grid;
  place-items: center; font-size: 0.66rem; line-height: 1; font-weight: 700; color: #fff;
  background: color-mix(in srgb, var(--hl-tone) 86%, #000); }}
.hl-dots [data-place]:hover, .hl-dots .hl-chosen {{ outline: 3px solid var(--color-accent); outline-offset: 1px; }}
.hl-dots [data-place]:focus-visible {{ outline: 3px solid var(--color-accent); outline-offset: 2px; }}
.hl-lines {{ margin: 6px 0 0; padding-left: 2rem; font-size: 0.92rem; }}
.hl-legend {{ display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: 0.85rem; margin: 6px 0 0;
  color: var(--body-text-color-subdued); }}
.hl-wrong {{ --hl-tone: {OUTSIDE}; }}
.hl-idk {{ --hl-tone: {NEUTRAL}; }}
.hl-right {{ --hl-tone: {INSIDE}; }}
"""
