"""What one run gives to the page of a grading report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hallulab.reports.charts import Chart
from hallulab.reports.page import Finding, PageSection


@dataclass(frozen=True)
class ReportPart:
    """A finding, its sections and charts, and what makes it repeatable."""

    finding: Finding
    sections: Sequence[PageSection]
    charts: Sequence[Chart]
    settings: Mapping[str, object]
    versions: Mapping[str, str]
    points: Sequence[Mapping[str, object]]
    """measurements for points.csv, one a row"""
