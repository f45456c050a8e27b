import csv
import json
from io import StringIO

from hallulab.reports.coin_exports import COLUMNS, points_csv, points_jsonl
from tests.hand_made_coins import point, run

RESULTS = [
    run([point(0, 0), point(0, 1.5)]),
    run([point(7, 1, held_out_hallucination_interval=None, hallucination_rate=None, squared_error=float("nan"))],
        coins_per_draw=3, objective="modal", delta=None),
]  # fmt: skip


def rows():
    return list(csv.DictReader(StringIO(points_csv(RESULTS))))


def test_every_point_is_one_line_with_the_settings_that_repeat_it():
    found = [(row["coins_per_draw"], row["objective"], row["seed"], row["epoch"]) for row in rows()]
    assert found == [
        ("2", "squared_error", "0", "0"), ("2", "squared_error", "0", "1.5"), ("3", "modal", "7", "1"),
    ]  # fmt: skip
    assert set(rows()[0]) == set(COLUMNS)
    assert {"flips", "batch_size", "learning_rate", "variant", "answer", "n_missing"} <= set(COLUMNS)


def test_what_is_missing_is_empty_and_never_zero():
    assert rows()[0]["train_loss"] == ""
    assert rows()[1]["train_loss"] == "0.4"
    missing = ("delta", "hallucination_rate", "squared_error", "held_out_hallucination_interval_low")
    assert [rows()[2][name] for name in missing] == [""] * 4


def test_intervals_are_two_columns():
    first = rows()[0]
    assert [first[f"held_out_hallucination_interval_{end}"] for end in ("low", "high")] == ["0.05", "0.2"]
    assert first["hallucination_interval_low"] == ""  # all draws were scored


def test_json_lines_hold_the_same_with_null():
    lines = [json.loads(line) for line in points_jsonl(RESULTS).splitlines()]
    as_text = [{name: "" if value is None else str(value) for name, value in line.items()} for line in lines]
    assert as_text == rows()
    assert lines[2]["squared_error"] is None


def test_no_points_are_a_header_alone():
    assert points_csv([run()]) == ",".join(COLUMNS) + "\n"
    assert points_jsonl([run()]) == ""
