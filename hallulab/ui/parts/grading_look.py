"""Style sheet of the Grading tab: one mark for every answer, the table that scrolls, grades as words and colours."""

from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE

VERDICT_ID, CURVE_ID, RISK_ID, PROMPT_ID = (
    "grading-verdict",
    "grading-curve",
    "grading-risk",
    "grading-prompt",
)

GRADING_CSS = f"""
/* room for the longest verdict, or what is below would move with t */
#{VERDICT_ID} .hl-card {{ min-height: 10.4rem; }}
@media (max-width: 640px) {{
  #{VERDICT_ID} .hl-card {{ min-height: 18rem; }}
}}
#{CURVE_ID} .modebar, #{RISK_ID} .modebar {{ display: none; }}
.hl-answers {{ display: flex; flex-wrap: wrap; gap: 2px; margin: 8px 0 2px; }}
.hl-answers > i {{ width: 12px; height: 18px; border-radius: 2px; background: var(--hl-tone, {NEUTRAL}); color: #fff;
  font: 700 9px/18px sans-serif; text-align: center; }}
.hl-answers > .hl-withheld {{ background: color-mix(in srgb, var(--hl-tone) 22%, transparent);
  color: var(--body-text-color); }}
.hl-answers > b {{ width: 0; border-left: 2px dashed var(--body-text-color); margin: 0 3px; }}
.hl-correct {{ --hl-tone: {INSIDE}; }}
.hl-mistake {{ --hl-tone: {OUTSIDE}; }}
.hl-graded {{ max-height: 26rem; overflow: auto; contain: inline-size; border: 1px solid
  var(--border-color-primary); border-radius: 8px; padding: 0 8px; }}
.hl-graded th {{ position: sticky; top: 0; background: var(--background-fill-primary); z-index: 1; }}
.hl-graded td {{ vertical-align: top; overflow-wrap: anywhere; }}
.hl-graded td:first-child {{ min-width: 8rem; }}
.hl-graded td:nth-child(n + 3) {{ font-variant-numeric: tabular-nums; white-space: nowrap; }}
.hl-graded tr.hl-out-of-play td {{ opacity: 0.62; }}
"""
