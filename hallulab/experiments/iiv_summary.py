"""Is-It-Valid runs as one JSON object."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hallulab.experiments.iiv import IivResult
from hallulab.experiments.iiv_calibration import calibration_table
from hallulab.experiments.iiv_reduction import iiv_table, rescaling_curves


def summary_json(results: Sequence[IivResult]) -> dict[str, Any]:
    """Everything as plain values."""
    return {
        "runs": [
            {
                "settings": asdict(result.settings),
                "n_questions": len(result.questions),
                "models": [asdict(model) for model in result.models],
            }
            for result in results
        ],
        "table": [asdict(row) | {"is_broken": row.is_broken} for row in iiv_table(results)],
        "calibration": [asdict(row) for row in calibration_table(results)],
        "rescaling": [asdict(curve) for curve in rescaling_curves(results)],
    }
