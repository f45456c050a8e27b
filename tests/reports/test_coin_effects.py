import numpy as np
import pytest

from hallulab.experiments.coin_effects import way_effects
from hallulab.experiments.coin_result import coin_result
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.experiments.coin_summary import summary_table
from hallulab.reports.coin_effect_words import effect_sentences
from hallulab.reports.coin_effects import effect_charts, effects_section, effects_table
from hallulab.scoring.coin_exact import estimates
from hallulab.scoring.coin_table import exact_table
from tests.hand_made_coins import moment, near_means


def result(n, outputs, objective="squared_error", n_rounds=6):
    """Rounds that all give these outputs."""
    settings = CoinSettings(coins_per_draw=n, epochs=1, rounds=n_rounds, objective=objective)
    return coin_result(settings, [moment(seed, 1, outputs) for seed in range(n_rounds)])


def against(n, outputs, off=1e-4, **options):
    """The effects of a modal run with these outputs against rounded averages that are `off`."""
    runs = (result(n, near_means(n, off), **options), result(n, outputs, "modal", **options))
    return runs, way_effects(runs)


MEDIAN_3 = estimates(exact_table(3))["median"].values[:, 0]
MODE_4 = estimates(exact_table(4))["mode"].values[:, 0]


def test_what_ties_alone_bring_is_said_to_be_no_merit_of_the_objective():
    _, effects = against(3, MEDIAN_3)
    first, excluded, ties, how_many = effect_sentences(effects)
    assert first.startswith("Not that these rounds could show: apart from ties, nothing")
    assert excluded == "A gain off ties of more than 0.0 points at any δ is excluded for all of them."
    assert ties.startswith(
        "On ties alone, and at no measurable cost: modal. The rounded average does the same"
    )
    assert how_many == "The statement holds for all δ together, with 95 % confidence."


def test_a_gain_off_ties_that_is_paid_for_is_no_yes():
    _, effects = against(4, MODE_4)
    told = effect_sentences(effects)
    assert told[0].startswith("Not that these rounds could show")
    assert "pays with a larger squared error: modal." in told[2]
    assert told[1] == "A gain off ties of more than 2.9 points at any δ is excluded for all of them."


def test_a_gain_off_ties_for_nothing_would_be_a_yes():
    """A reference that was badly trained: half a head off every average."""
    _, effects = against(3, MEDIAN_3, off=0.6)
    assert effect_sentences(effects)[0].startswith(
        "Yes: modal hallucinates less at some δ without a measurable loss in squared error, and not on ties alone."
    )


def test_no_gain_is_said_with_what_is_excluded():
    _, effects = against(3, near_means(3, 1e-4))
    told = effect_sentences(effects)
    assert told[-2] == "Measurably less at no δ: modal."


def test_few_rounds_are_told_how_many_it_takes():
    _, effects = against(3, MEDIAN_3, n_rounds=2)
    (told,) = effect_sentences(effects)
    assert told.endswith("train at least 5 rounds of each.")


def test_the_section_has_both_curves_with_bands_and_exact_lines():
    runs, effects = against(3, MEDIAN_3)
    (section,) = effects_section(runs, summary_table(runs))
    assert section.title == "Does another objective hallucinate less? N = 3"
    assert [figure.title for figure in section.figures][:2] == [
        "N = 3: all draws",
        "N = 3: what is left off ties",
    ]
    everything, off_ties = effect_charts(effects)
    measured, exact = everything.series
    assert (measured.is_band, exact.mark, exact.is_listed) == (True, "dotted", False)
    assert min(measured.y) < 0
    assert set(np.round(off_ties.series[0].y, 9)) == {0}


def test_the_table_says_where_and_at_what_price():
    _, effects = against(4, MODE_4)
    (row,) = effects_table(effects).rows
    assert row[0] == "modal"
    assert row[1].startswith("−")
    assert " at δ = " in row[1]
    assert " to " in row[2]
    assert row[3].startswith("−2.9")
    assert row[4] == "+0.0071 [all 6 rounds alike]"
    assert "all 1 comparisons" not in effects_table(effects).note or "95.0 %" in effects_table(effects).note


def test_runs_without_a_reference_have_no_section():
    runs = [result(3, MEDIAN_3, "modal")]
    assert list(effects_section(runs, summary_table(runs))) == []


@pytest.mark.parametrize("n", [2, 5])
def test_each_n_has_its_own_section(n):
    runs = [run for size in (n, 3) for run in against(size, near_means(size, 0.1))[0]]
    titles = [section.title for section in effects_section(runs, summary_table(runs))]
    assert titles == [f"Does another objective hallucinate less? N = {size}" for size in (n, 3)]
