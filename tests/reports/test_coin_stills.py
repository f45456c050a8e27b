import xml.etree.ElementTree as ElementTree
from io import BytesIO

import pytest
from PIL import Image

from hallulab.experiments.coin_summary import summary_table
from hallulab.reports.coin_stills import (
    MAX_COLUMNS,
    comparison_svg,
    pmf_png,
    pmf_svg,
    training_png,
    training_svg,
)
from hallulab.scoring.coin_rule import CoinRule
from hallulab.scoring.coins import coin_pmf, judge_estimators
from tests.hand_made_coins import finished, point, run

PMF = coin_pmf([0, 3], 2)
ESTIMATORS = judge_estimators([0, 3], 2, CoinRule(delta=0.3))


def words(svg):
    """Every text of an SVG file."""
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter()
            if element.tag.endswith("}text")]  # fmt: skip


def test_text_in_an_svg_stays_text():
    found = words(training_svg([finished(2), finished(2, coins_per_draw=3)]))
    assert {"N = 2", "N = 3", "epoch", "training", "expected, exactly", "hallucination rate"} <= set(found)
    assert "least possible 0.312" in found
    assert "best possible 0.604 · exact rounded average 0.604" in found


def test_a_png_is_white_and_large_enough_for_a_slide():
    image = Image.open(BytesIO(training_png([finished(2)] * 2))).convert("RGB")
    assert image.width >= 1600
    assert image.getpixel((1, 1)) == (255, 255, 255)
    assert len(set(image.resize((200, 150)).get_flattened_data())) > 50


def test_the_same_run_gives_the_same_bytes():
    for make in (training_png, training_svg):
        assert make([finished(2)]) == make([finished(2)])
    assert b"<dc:date>" not in training_svg([finished(2)])


def test_more_runs_than_a_row_holds_go_on_below():
    one_row = Image.open(BytesIO(training_png([finished(1)] * MAX_COLUMNS)))
    two_rows = Image.open(BytesIO(training_png([finished(1)] * (MAX_COLUMNS + 1))))
    assert two_rows.width == one_row.width
    assert two_rows.height == 2 * one_row.height


@pytest.mark.parametrize("result", [run(), run([point(0, 0)]), finished(1), finished(2, objective="modal")])
def test_runs_in_every_state_can_be_drawn(result):
    assert "epoch" in words(training_svg([result]))


def test_the_pmf_shows_flips_answers_and_the_network():
    found = words(pmf_svg(PMF, ESTIMATORS, flipped=[0, 3, 1], network_answers=[1.5, 1.6]))
    expected = {
        "δ = 0.300",
        "4 flips",
        "average",
        "rounded average",
        "most likely count",
        "2 networks 1.50 to 1.60",
    }
    assert expected <= set(found)
    without = words(pmf_svg(PMF, ESTIMATORS, network_answers=[float("nan")]))
    assert not [text for text in without if "network" in text]
    assert not [text for text in without if "flips" in text]
    assert pmf_png(PMF, ESTIMATORS).startswith(b"\x89PNG")


def test_the_comparison_names_every_way_to_answer():
    found = words(comparison_svg(summary_table([finished(2), finished(1, objective="cross_entropy")])))
    assert {"squared error", "cross-entropy: mode", "cross-entropy: sample", "network", "exact"} <= set(found)
