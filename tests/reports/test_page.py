"""The page: valid markup, everything escaped, nothing loaded."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import plotly.graph_objects as go
import pytest

from hallulab.reports.page import Finding, Page, PageFigure, PageSection, PageTable, Receipt, page_html

HOSTILE = '<script>alert("1")</script> & <b>'
VOID = {"meta", "img", "br", "link", "input", "hr"}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


class Outline(HTMLParser):
    """Elements, attributes and text of a page; fails on markup that is not balanced."""

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        (self.scripts if self.open and self.open[-1] == "script" else self.texts).append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def figure(text="curve"):
    return PageFigure(text, go.Figure(go.Scatter(x=[1], y=[2], name=text)), SVG, caption=text)


def page(text="plain", n_figures=2):
    table = PageTable(text, (text, "b"), [(text, text)], note=text)
    return Page(
        title=text,
        opening=text,
        findings=[Finding(text, text, [text])],
        sections=[PageSection(text, [text], [figure(text)] * n_figures, [table])],
        receipt=Receipt(table, {text: text}, {text: text}),
    )


@pytest.fixture(scope="module")
def hostile():
    return Outline(page_html(page(HOSTILE)))


def test_markup_in_any_text_is_shown_letter_by_letter(hostile):
    # title, summary and its finding, headings, captions, cells, notes, versions, hashes
    assert len([text for text in hostile.texts if HOSTILE in text]) >= 15
    assert not hostile.all("b")
    assert not [script for script in hostile.scripts if script.startswith("alert")]


def test_a_figures_data_cannot_end_its_script(hostile):
    data = [s for s in hostile.scripts if s.lstrip().startswith('{"data"')]
    assert len(data) == 2
    assert not [script for script in data if "<" in script]


def test_plotly_is_there_once_and_nothing_is_loaded(hostile):
    assert len([script for script in hostile.scripts if len(script) > 1_000_000]) == 1
    assert not [attributes for _, attributes in hostile.elements if attributes.get("href")]
    assert all((a.get("src") or "data:").startswith("data:") for _, a in hostile.elements)
    policy = next(a["content"] for a in hostile.all("meta") if a.get("http-equiv"))
    assert "default-src 'none'" in (policy or "")


def test_a_page_without_figures_carries_no_scripts():
    assert Outline(page_html(page(n_figures=0))).scripts == []


def test_the_document_is_well_formed(hostile):
    text = page_html(page())
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    assert text.index("<meta charset") < 200
    ids = [attributes["id"] for _, attributes in hostile.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert [len(hostile.all(tag)) for tag in ("h1", "main", "title")] == [1, 1, 1]
    assert all(attributes.get("alt") for attributes in hostile.all("img"))
    assert all(attributes.get("scope") in ("col", "row") for attributes in hostile.all("th"))


def test_many_findings_open_on_a_click():
    few = page()
    many = replace(few, findings=[Finding("run", "headline", ["sentence"])] * 4)
    assert [a for a in Outline(page_html(few)).all("details") if "open" in a]
    closed = Outline(page_html(many)).all("details")
    assert len(closed) == 4
    assert not [a for a in closed if "open" in a]


def test_figures_are_numbered_in_reading_order():
    captions = re.findall(r"<figcaption>(Figure \d)\.", page_html(page(n_figures=3)))
    assert captions == ["Figure 1", "Figure 2", "Figure 3"]


def test_both_colour_schemes_paper_and_phones_are_thought_of():
    style = page_html(page(n_figures=0)).split("<style>")[1].split("</style>")[0]
    for rule in ("prefers-color-scheme: dark", "@media print", "overflow-x: auto"):
        assert rule in style
    assert "width=device-width" in page_html(page(n_figures=0))
