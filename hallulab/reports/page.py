"""One self-contained HTML page about a run: what was found in plain words, figures, tables, a receipt."""

import base64
import html
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from itertools import count

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from hallulab.reports.figures import NEUTRAL
from hallulab.reports.figures import STATE_COLOURS as COLOURS

DRAWN_WITH = ("plotly", "matplotlib")
MAX_OPEN_FINDINGS = 3
NO_NETWORK = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
"""the browser itself refuses whatever this page would load"""


@dataclass(frozen=True)
class PageFigure:
    """A figure that answers to the mouse, and the same as a still for paper and for pages without scripts."""

    title: str
    figure: go.Figure
    still_svg: bytes
    """an SVG file"""
    caption: str = ""
    """what it shows, in one or two sentences"""

    @property
    def height_px(self) -> int:
        """Room that the figure needs before it is drawn."""
        return round(self.figure.to_dict()["layout"].get("height", 450))


@dataclass(frozen=True)
class PageTable:
    """A table of text; the first column names the row."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    """how to read it"""
    is_list: bool = False
    """whether it is a long list of texts, which the reader can sort by a column and search"""


@dataclass(frozen=True)
class PagePictures:
    """Small pictures side by side, each with a few words below it."""

    title: str
    pictures: Sequence[tuple[bytes, str]]
    """PNG file and words"""
    note: str = ""
    """how to read them"""


@dataclass(frozen=True)
class Finding:
    """What one part of the run found: a line that says most of it, and the sentences behind it."""

    title: str
    headline: str
    sentences: Sequence[str]


@dataclass(frozen=True)
class PageSection:
    """A heading with paragraphs, then figures side by side where they fit, then tables, then small pictures."""

    title: str
    paragraphs: Sequence[str] = ()
    figures: Sequence[PageFigure] = ()
    tables: Sequence[PageTable] = ()
    pictures: Sequence[PagePictures] = ()


@dataclass(frozen=True)
class Receipt:
    """Everything that makes the run repeatable."""

    settings: PageTable
    versions: Mapping[str, str]
    """of the libraries that measured, by name"""
    record_hashes: Mapping[str, str]
    """SHA-256 of each record file, by the file's name"""


@dataclass(frozen=True)
class Page:
    """A whole report; every text in it is shown letter by letter."""

    title: str
    opening: str
    """what was done, for somebody who knows no statistics"""
    findings: Sequence[Finding]
    """what came out, for the same reader"""
    sections: Sequence[PageSection]
    receipt: Receipt
    language: str = field(default="en", kw_only=True)


def page_html(page: Page) -> str:
    """The page as one HTML file that loads nothing, in the reader's light or dark colours."""
    figures = [figure for section in page.sections for figure in section.figures]
    numbers = count(1)
    body = "\n".join(
        [
            f"<h1>{_text(page.title)}</h1>",
            _summary(page),
            *(_section(section, numbers) for section in page.sections),
            _section(_receipt_section(page.receipt), numbers),
        ]
    )
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="{_text(page.language)}">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{NO_NETWORK}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{_text(page.title)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            f"<main>\n{body}\n</main>",
            *(_scripts(figures) if figures else []),
            *([f"<script>{SORT}</script>"] if _has_lists(page) else []),
            "</body>",
            "</html>",
            "",
        ]
    )


def setting_text(value: object) -> str:
    """A setting as a receipt shows it: a list with commas."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _summary(page: Page) -> str:
    """The opening, then the findings side by side; where there are many they open on a click."""
    is_open = " open" if len(page.findings) <= MAX_OPEN_FINDINGS else ""
    findings = [
        _element(
            "details",
            [
                f"<summary><strong>{_text(finding.title)}</strong> {_text(finding.headline)}</summary>",
                _element("ul", [f"<li>{_text(sentence)}</li>" for sentence in finding.sentences]),
            ],
            is_open,
        )
        for finding in page.findings
    ]
    layout = ' class="side-by-side"' if is_open else ""
    parts = ["<h2>In plain words</h2>", *_paragraphs([page.opening]), _element("div", findings, layout)]
    return _element("section", parts, ' class="summary"')


def _section(section: PageSection, numbers: Iterator[int]) -> str:
    figures = [_figure(figure, next(numbers)) for figure in section.figures]
    parts = [
        f"<h2>{_text(section.title)}</h2>",
        *_paragraphs(section.paragraphs),
        *([_element("div", figures, ' class="side-by-side"')] if figures else []),
        *(_table(table) for table in section.tables),
        *(_pictures(pictures) for pictures in section.pictures),
    ]
    return _element("section", parts)


def _pictures(pictures: PagePictures) -> str:
    shown = "\n".join(
        f'<figure><img alt="{_text(words)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        f"<figcaption>{_text(words)}</figcaption></figure>"
        for png, words in pictures.pictures
    )
    note = f'\n<p class="note">{_text(pictures.note)}</p>' if pictures.note else ""
    return f'<h3>{_text(pictures.title)}</h3>\n<div class="pictures">\n{shown}\n</div>{note}'


def _figure(figure: PageFigure, number: int) -> str:
    still = base64.b64encode(figure.still_svg).decode()
    caption = f" {_text(figure.caption)}" if figure.caption else ""
    return (
        f"<figure>\n<h3>{_text(figure.title)}</h3>\n"
        f'<div class="live" id="figure-{number}" style="min-height:{figure.height_px}px"></div>\n'
        f'<img class="still" alt="{_text(figure.title)}" src="data:image/svg+xml;base64,{still}">\n'
        f"<figcaption>Figure {number}.{caption}</figcaption>\n</figure>"
    )


def _table(table: PageTable) -> str:
    header = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in table.header)
    rows = "\n".join(
        f'<tr><th scope="row">{_text(first)}</th>'
        + "".join(f"<td>{_text(cell)}</td>" for cell in others)
        + "</tr>"
        for first, *others in table.rows
    )
    if table.is_list:
        header = "".join(
            f'<th scope="col"><button type="button">{_text(cell)}</button></th>' for cell in table.header
        )
    pairs = ' class="pairs"' if len(table.header) == 2 else ' class="list"' if table.is_list else ""
    search = (
        f'<p class="search"><label>Search <input type="search" aria-label="Search {_text(table.title)}"></label> '
        '<span role="status"></span></p>\n'
        if table.is_list
        else ""
    )
    note = f'\n<p class="note">{_text(table.note)}</p>' if table.note else ""
    return (
        f"<h3>{_text(table.title)}</h3>\n{search}"
        f'<div class="scroll" role="region" aria-label="{_text(table.title)}" tabindex="0">\n'
        f"<table{pairs}>\n<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>{note}"
    )


def _receipt_section(receipt: Receipt) -> PageSection:
    """Settings, versions and hashes as tables."""
    drawn_with = ", ".join(f"{name} {metadata.version(name)}" for name in DRAWN_WITH)
    return PageSection(
        "Receipt: everything that repeats this",
        (f"This page was drawn from the record files alone, with {drawn_with}, Python {platform.python_version()}.",),
        tables=(
            receipt.settings,
            PageTable("Versions that measured", ("library", "version"), list(receipt.versions.items())),
            PageTable("Record files", ("file", "SHA-256"), list(receipt.record_hashes.items())),
        ),
    )  # fmt: skip


def _scripts(figures: Sequence[PageFigure]) -> list[str]:
    """plotly.js, once, then every figure's data, then the few lines that draw them."""
    data = [
        f'<script type="application/json" id="figure-{number}-data">{_json(figure.figure)}</script>'
        for number, figure in enumerate(figures, start=1)
    ]
    return [f"<script>{get_plotlyjs()}</script>", *data, f"<script>{DRAW}</script>"]


def _has_lists(page: Page) -> bool:
    return any(table.is_list for section in page.sections for table in section.tables)


def _json(figure: go.Figure) -> str:
    """A figure as JSON that cannot end the script element it stands in."""
    written = figure.to_json()
    assert written is not None
    return written.replace("<", "\\u003c")


def _element(name: str, parts: Sequence[str], attributes: str = "") -> str:
    return "\n".join([f"<{name}{attributes}>", *parts, f"</{name}>"])


def _paragraphs(texts: Sequence[str]) -> list[str]:
    return [f"<p>{_text(text)}</p>" for text in texts]


def _text(text: str) -> str:
    """Text as HTML shows it letter by letter; a number and its percent sign stay on one line."""
    return html.escape(text.replace(" %", "\N{NO-BREAK SPACE}%"), quote=True)


DRAW = """
document.documentElement.classList.add("drawn");
for (const holder of document.querySelectorAll(".live")) {
  const figure = JSON.parse(document.getElementById(holder.id + "-data").textContent);
  Plotly.newPlot(holder, figure.data, figure.layout, {displayModeBar: false, responsive: true});
}
"""

SORT = """
const valueOf = (row, place) => {
  const text = row.cells[place].textContent.trim();
  const number = parseFloat(text.replace("−", "-"));
  return Number.isNaN(number) ? text.toLowerCase() : number;
};
for (const table of document.querySelectorAll("table.list")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const search = table.parentElement.previousElementSibling;
  search.classList.add("works");
  heads.forEach((head, place) => head.firstChild.addEventListener("click", () => {
    const falls = head.getAttribute("aria-sort") !== "descending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", falls ? "descending" : "ascending");
    const rows = [...body.rows].sort((one, other) => {
      const [a, b] = [valueOf(one, place), valueOf(other, place)];
      const order = typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1;
      return falls ? -order : order;
    });
    body.append(...rows);
  }));
  const input = search.querySelector("input");
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    let found = 0;
    for (const row of body.rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      found += !row.hidden;
    }
    search.querySelector("span").textContent = wanted ? `${found} of ${body.rows.length}` : "";
  });
}
"""

STYLE = f"""
:root {{ color-scheme: light dark; --ground: #ffffff; --ink: #1c2026; --quiet: #5b6370; --line: #d9dde3;
  --raised: #f5f7f9; --accent: {COLOURS[0]}; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ground: #12151a; --ink: #e6e9ee; --quiet: #a2abb8; --line: #323944; --raised: #1a1f27;
    --accent: {COLOURS[2]}; }}
}}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--ground); color: var(--ink); line-height: 1.55;
  font-family: ui-sans-serif, system-ui, sans-serif; }}
main {{ max-width: 1240px; margin: 0 auto; padding: 20px 16px 56px; overflow-wrap: anywhere; }}
h1 {{ font-size: 1.7rem; line-height: 1.25; margin: 0.4rem 0 1.1rem; }}
h2 {{ font-size: 1.25rem; margin: 2.2rem 0 0.5rem; }}
h3 {{ font-size: 1rem; margin: 1.3rem 0 0.4rem; }}
p, ul {{ max-width: 46rem; margin: 0.5rem 0; }}
ul {{ padding-left: 1.2rem; }}
li {{ margin: 0.25rem 0; }}
.summary {{ border: 1px solid var(--line); border-left: 6px solid var(--accent); border-radius: 10px;
  background: var(--raised); padding: 14px 18px; }}
.summary h2 {{ margin: 0 0 0.4rem; }}
summary {{ cursor: pointer; padding: 0.3rem 0; }}
summary strong {{ margin-right: 0.4em; }}
.side-by-side {{ display: grid; gap: 8px 22px;
  grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); }}
figure {{ margin: 0; min-width: 0; max-width: 720px; }}
figcaption, .note {{ color: var(--quiet); font-size: 0.88rem; line-height: 1.45; max-width: 46rem; }}
.still {{ width: 100%; background: #ffffff; }}
.live .annotation-text {{ paint-order: stroke; stroke: var(--ground); stroke-width: 3px; stroke-linejoin: round; }}
.drawn .still, html:not(.drawn) .live {{ display: none; }}
.pictures {{ display: grid; gap: 10px; grid-template-columns: repeat(auto-fill, minmax(84px, 1fr)); max-width: 60rem; }}
.pictures img {{ width: 100%; image-rendering: pixelated; border-radius: 6px; display: block; }}
.pictures figcaption {{ font-size: 0.75rem; line-height: 1.3; margin-top: 3px; }}
.scroll {{ overflow-x: auto; }}
.scroll:focus-visible {{ outline: 2px solid var(--accent); outline-offset: 2px; }}
table {{ border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; min-width: 18rem;
  overflow-wrap: normal; }}
th, td {{ text-align: right; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }}
td, tbody th {{ white-space: nowrap; }}
.pairs th, .pairs td {{ text-align: left; }}
.pairs td {{ white-space: normal; overflow-wrap: anywhere; }}
.list th, .list td {{ text-align: left; padding-right: 14px; }}
.list td, .list tbody th {{ white-space: normal; min-width: 4.2rem; max-width: 20rem; }}
.list thead button {{ all: unset; cursor: pointer; }}
.list thead button:focus-visible {{ outline: 2px solid var(--accent); outline-offset: 2px; }}
.list thead button::after {{ content: " ↕"; opacity: 0.5; }}
.list [aria-sort="descending"] button::after {{ content: " ↓"; opacity: 1; }}
.list [aria-sort="ascending"] button::after {{ content: " ↑"; opacity: 1; }}
.search {{ display: none; }}
.search.works {{ display: block; }}
.search input {{ font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--line);
  border-radius: 6px; padding: 4px 8px; max-width: 60vw; }}
.search span {{ color: var(--quiet); font-size: 0.88rem; }}
@media (max-width: 640px) {{
  tbody th {{ white-space: normal; min-width: 8rem; max-width: 11rem; }}
}}
th:first-child {{ text-align: left; padding-right: 18px; }}
thead th {{ color: var(--quiet); font-weight: 600; vertical-align: bottom; }}
tbody th {{ font-weight: 500; }}
@media print {{
  :root {{ color-scheme: light; --ground: #ffffff; --ink: #000000; --quiet: {NEUTRAL}; --line: #bbbbbb;
    --raised: #ffffff; --accent: {COLOURS[0]}; }}
  .drawn .live {{ display: none; }}
  .drawn .still {{ display: block; }}
  .scroll {{ overflow: visible; }}
  .search.works {{ display: none; }}
  details::details-content {{ content-visibility: visible; }}
  table {{ font-size: 0.6rem; }}
  th, td {{ padding: 3px 6px 3px 0; }}
  td, tbody th {{ white-space: normal; }}
  figure, tr, li {{ break-inside: avoid; }}
  h2, h3 {{ break-after: avoid; }}
}}
"""
