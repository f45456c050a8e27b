"""Every measured point of coin runs as CSV and as JSON lines, each with the settings that repeat it."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from io import StringIO
from typing import Any

from hallulab.experiments.coin_points import CoinPoint
from hallulab.experiments.coin_result import CoinResult
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.records import as_plain

SETTING_COLUMNS = tuple(field.name for field in fields(CoinSettings) if field.name not in ("seed", "rounds"))
"""a point has the seed of its own round, and does not depend on how many rounds there are"""
INTERVALS = tuple(field.name for field in fields(CoinPoint) if field.name.endswith("_interval"))
POINT_COLUMNS = tuple(field.name for field in fields(CoinPoint) if field.name not in INTERVALS)
COLUMNS = (
    *SETTING_COLUMNS,
    *POINT_COLUMNS,
    *(f"{name}_{end}" for name in INTERVALS for end in ("low", "high")),
)


def points_csv(results: Sequence[CoinResult]) -> str:
    """A header and one line per measured point; what is missing is empty."""
    written = StringIO()
    writer = csv.DictWriter(written, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(results))
    return written.getvalue()


def points_jsonl(results: Sequence[CoinResult]) -> str:
    """One JSON object per measured point and line; what is missing is null."""
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in _rows(results))


def _rows(results: Sequence[CoinResult]) -> Iterator[dict[str, Any]]:
    for result in results:
        settings = asdict(result.settings)
        for point in result.points:
            row = {name: settings[name] for name in SETTING_COLUMNS}
            row |= {name: getattr(point, name) for name in POINT_COLUMNS}
            for name in INTERVALS:
                row[f"{name}_low"], row[f"{name}_high"] = getattr(point, name) or (None, None)
            yield as_plain(row)
