"""TruthfulQA's rows, read from beside the repository; a test that needs them is skipped where they are absent."""

import csv
from functools import cache
from pathlib import Path

import pytest

TRUTHFULQA_CSV = Path(__file__).parents[3] / "shared" / "data" / "TruthfulQA.csv"


@cache
def truthfulqa_rows() -> tuple[dict[str, str], ...]:
    """All 817 rows, keyed by column."""
    if not TRUTHFULQA_CSV.exists():
        pytest.skip(f"no {TRUTHFULQA_CSV}")
    with TRUTHFULQA_CSV.open(encoding="utf-8-sig", newline="") as file:
        return tuple(csv.DictReader(file))
