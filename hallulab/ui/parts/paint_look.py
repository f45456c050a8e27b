"""Style sheet of the Paint tab: galleries, images that are forming, one image looked at closely, the first look."""

from hallulab.reports.figures import OUTSIDE

PAINT_CSS = (
    """
.hl-gallery .grid-wrap { max-height: none; }
.hl-gallery .grid-container { grid-template-columns: repeat(var(--grid-cols), minmax(0, 1fr)); }
.hl-gallery .caption-label { max-width: 100%; padding: 1px 5px; font-size: 0.72rem; }
@media (max-width: 640px) {
  .hl-gallery .grid-container { grid-template-columns: repeat(3, minmax(0, 1fr)); }
}
.hl-forming { display: flex; flex-wrap: wrap; gap: 6px; margin-top: 10px; }
.hl-forming img { width: 72px; height: 72px; border-radius: 6px; margin: 0; }
.hl-under { padding: 0 4px; }
.hl-details { border-top: 1px solid var(--border-color-primary); margin-top: 8px; padding-top: 8px; }
.hl-details p { margin: 6px 0; }
.hl-looked { display: flex; gap: 14px; align-items: flex-start; margin-bottom: 8px; }
.hl-looked > img { width: 128px; height: 128px; border-radius: 8px; margin: 0; flex: none; }
.hl-looked > .hl-card { flex: 1; min-width: 0; }
@media (max-width: 640px) {
  .hl-looked { flex-wrap: wrap; }
  .hl-looked > .hl-card { flex-basis: 14rem; }
}
.hl-nearest { display: flex; flex-wrap: wrap; gap: 12px; }
.hl-nearest figure { margin: 0; font-size: 0.82rem; color: var(--body-text-color-subdued); text-align: center; }
.hl-nearest img { width: 84px; height: 84px; border-radius: 6px; margin: 0 0 2px; }
.hl-first { margin: 14px 0 0; }
.hl-first figcaption { line-height: 1.5; margin-bottom: 8px; }
.hl-first-row { display: grid; grid-template-columns: 6.6rem 1fr; gap: 10px; align-items: center; margin: 8px 0; }
.hl-first-row > span { font-weight: 600; font-size: 0.9rem; line-height: 1.3; }
.hl-first-row small { display: block; font-weight: 400; font-size: 0.78rem; color: var(--body-text-color-subdued); }
.hl-first-row > div { display: grid; grid-template-columns: repeat(8, minmax(0, 1fr)); gap: 7px; }
.hl-first-row img { width: 100%; aspect-ratio: 1; border-radius: 4px; margin: 0; }
@media (max-width: 640px) {
  .hl-first-row { grid-template-columns: 1fr; gap: 4px; }
  .hl-first-row > span { display: flex; gap: 8px; align-items: baseline; }
}
"""
    f".hl-first .hl-outside {{ outline: 3px solid {OUTSIDE}; }}"
)
