"""Style sheet of the Coins tab: check boxes as coins, tiles, and the grip on the δ line."""

from hallulab.reports.figures import NEUTRAL
from hallulab.ui.parts.coin_chips import CHIPS_ID, COIN
from hallulab.ui.parts.coin_drag import PMF_ID

COIN_PX = 68
FLIP_BUTTONS_ID, VERDICT_ID, CURVES_ID = "coin-flip-buttons", "coin-verdict", "coin-curves"

COIN_CSS = f"""
#{CHIPS_ID} {{ --hl-heads: #f3c54b; --hl-tails: #c9d1da; --hl-dull: color-mix(in srgb, {NEUTRAL} 22%, transparent); }}
#{CHIPS_ID} .wrap {{ display: grid; grid-template-columns: repeat(auto-fill, {COIN_PX}px); gap: 22px 8px;
  justify-content: start; padding: 4px 0 18px; perspective: 600px; }}
{COIN} {{ position: relative; width: {COIN_PX}px; height: {COIN_PX}px; border-radius: 50%; padding: 0; border: 0;
  display: grid; place-items: center; cursor: pointer; box-shadow: none; --face: var(--hl-dull); color: inherit;
  background:
    radial-gradient(closest-side, var(--face) 84%, transparent 85%),
    radial-gradient(closest-side, var(--block-background-fill) 85%, transparent 86%),
    conic-gradient({NEUTRAL} calc(var(--p) * 1turn), var(--hl-dull) 0);
  animation: 0.5s ease-out; transition: transform 0.15s; }}
{COIN}.selected {{ --face: var(--hl-heads); color: #241a00; box-shadow: 0 3px 8px rgba(0, 0, 0, 0.25); }}
{COIN}:hover {{ transform: translateY(-2px); }}
{COIN} input {{ position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: pointer; }}
{COIN}:focus-within {{ outline: 3px solid var(--color-accent); outline-offset: 2px; }}
{COIN} > span {{ display: block; margin: 0; white-space: pre-line; text-align: center; font-size: 0.76rem;
  line-height: 1.25; pointer-events: none; color: inherit; }}
{COIN} > span::first-line {{ font-size: 0.84rem; font-weight: 700; }}
{COIN}::after {{ position: absolute; bottom: -16px; left: 0; right: 0; text-align: center; font-size: 0.75rem;
  font-weight: 650; color: var(--body-text-color); }}
@keyframes hl-flip-0 {{ from {{ transform: rotateY(720deg); }} }}
@keyframes hl-flip-1 {{ from {{ transform: rotateY(720deg); }} }}
@media (prefers-reduced-motion: reduce) {{ {COIN} {{ animation: none; transition: none; }} }}
#{FLIP_BUTTONS_ID} {{ gap: 8px; }}
#{FLIP_BUTTONS_ID} button {{ padding-inline: 6px; white-space: nowrap; }}
.hl-stats {{ display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; margin: 0; }}
.hl-stats > div {{ border: 1px solid var(--border-color-primary); border-radius: 8px; padding: 6px 10px; }}
.hl-stats dt {{ font-size: 0.8rem; color: var(--body-text-color-subdued); margin: 0; }}
.hl-stats dd {{ font-size: 1.15rem; font-weight: 650; font-variant-numeric: tabular-nums; margin: 0; }}
/* room for the longest verdict, or the figure would move while its line is dragged */
#{VERDICT_ID} .hl-card {{ min-height: 8.5rem; }}
@media (max-width: 640px) {{ #{VERDICT_ID} .hl-card {{ min-height: 14rem; }} }}
#{PMF_ID} {{ position: relative; }}
#{PMF_ID} .modebar, #{CURVES_ID} .modebar {{ display: none; }}
.hl-grip {{ position: absolute; z-index: 5; height: 26px; margin-top: -13px; cursor: ns-resize; touch-action: none;
  user-select: none; }}
@media (pointer: coarse) {{ .hl-grip {{ height: 44px; margin-top: -22px; }} }}
.hl-grip::before {{ content: ""; position: absolute; left: 0; right: 0; top: 50%; margin-top: -1px;
  border-top: 2px dashed transparent; }}
.hl-grip > span {{ position: absolute; right: 2px; top: 50%; transform: translateY(-50%); padding: 2px 9px;
  border-radius: 999px; font-size: 0.78rem; font-weight: 650; color: #fff; background: #4b5563;
  box-shadow: 0 1px 4px rgba(0, 0, 0, 0.3); }}
.hl-grip:hover > span, .hl-dragging > span {{ background: var(--color-accent); }}
.hl-dragging::before {{ border-color: var(--color-accent); }}
#{PMF_ID}:has(.hl-dragging) .shapelayer {{ opacity: 0; }}
"""
