"""A report page as a record: a run's findings, figures and tables without the run, to be shown again at once."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import plotly.graph_objects as go

from hallulab.records import as_plain
from hallulab.reports.page import Finding, Page, PageFigure, PageSection, PageTable, Receipt


def page_record(page: Page) -> dict[str, Any]:
    """Everything of a page but its stills and small pictures, as JSON can hold it."""
    return as_plain(
        {
            "title": page.title,
            "opening": page.opening,
            "findings": [asdict(finding) for finding in page.findings],
            "sections": [
                {
                    "title": section.title,
                    "paragraphs": section.paragraphs,
                    "figures": [
                        {"title": one.title, "caption": one.caption, "figure": one.figure.to_plotly_json()}
                        for one in section.figures
                    ],
                    "tables": [asdict(table) for table in section.tables],
                }
                for section in page.sections
            ],
            "receipt": asdict(page.receipt),
        }
    )


def page_of_record(record: Mapping[str, Any]) -> Page:
    """The page of such a record; its figures are live and have no stills."""
    return Page(
        record["title"],
        record["opening"],
        [Finding(**finding) for finding in record["findings"]],
        [
            PageSection(
                section["title"],
                section["paragraphs"],
                [
                    PageFigure(one["title"], go.Figure(one["figure"]), b"", one["caption"])
                    for one in section["figures"]
                ],
                [PageTable(**table) for table in section["tables"]],
            )
            for section in record["sections"]
        ],
        Receipt(**record["receipt"] | {"settings": PageTable(**record["receipt"]["settings"])}),
    )


def without_lists(page: Page) -> Page:
    """The page without its lists of single texts, which may be another's data, and without what then says nothing."""
    sections = [
        replace(section, tables=[table for table in section.tables if not table.is_list])
        for section in page.sections
    ]
    return replace(page, sections=[section for section in sections if section.figures])
