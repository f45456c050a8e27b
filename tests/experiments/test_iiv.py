"""Is-It-Valid on a tiny world: scores against one-by-one sums, resuming, and the numbers against slow twins."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from hallulab.data.candidate_answers import candidate_questions
from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.engine.word_likelihoods import log_likelihoods
from hallulab.errors import RefusedInputError
from hallulab.experiments.asked_model import AskedModel
from hallulab.experiments.iiv import (
    CandidateScores,
    IivResult,
    IivSettings,
    ListedQuestion,
    read_runs,
    records_path,
    run_iiv,
)
from hallulab.experiments.iiv_calibration import calibration_table
from hallulab.experiments.iiv_reduction import asked, iiv_table, rescaling_curves
from hallulab.experiments.iiv_summary import summary_json
from hallulab.experiments.poor_models import (
    FILE_NAME,
    PoorModelsSettings,
    compute_poor_models,
    read_poor_models,
)
from hallulab.records import RecordFile, as_plain
from hallulab.theory.circle_separator import CircleSettings
from hallulab.theory.is_it_valid import loss, reduction

SETTINGS = IivSettings("misconceptions", 5, checkpoints=("base", "epoch-2"))


@pytest.fixture(scope="module")
def engine(tiny_preset):
    return Engine(load_preset(str(tiny_preset)), device="cpu")


@pytest.fixture(scope="module")
def finished(engine, tmp_path_factory):
    records = RecordFile(records_path(tmp_path_factory.mktemp("iiv"), SETTINGS))
    steps = list(run_iiv(engine, SETTINGS, records=records))
    assert [step.n_done for step in steps] == sorted(step.n_done for step in steps)
    return records, steps[-1].result


def hand_made(log_p: list[list[float]], is_valid, data) -> IivResult:
    """One checkpoint `a` with given log-likelihoods, and `b` with the same ones."""
    questions = tuple(
        ListedQuestion(f"q{n}", f"Q{n}?", "", tuple("xyz"[: len(row)]), tuple(is_valid[n]), tuple(data[n]))
        for n, row in enumerate(log_p)
    )
    scores = {
        (name, f"q{n}"): CandidateScores(name, f"q{n}", tuple(row), (2.0,) * len(row))
        for name in "ab"
        for n, row in enumerate(log_p)
    }
    models = tuple(AskedModel(name, name, "") for name in "ab")
    return IivResult(IivSettings("misconceptions", checkpoints=("a", "b")), questions, models, scores)


def test_scores_are_the_log_likelihoods_of_all_wordings(engine):
    settings = IivSettings("birthdays", 1, checkpoints=("base",))
    result = list(run_iiv(engine, settings))[-1].result
    [question] = candidate_questions("birthdays", 1)
    found = result.scores["base", question.id].log_likelihoods
    assert len(found) == 366
    for place in (0, 100, 365):
        wordings = question.candidates[place].wordings
        one_by_one = [
            log_likelihoods(engine.qwen("base"), [question.question], [text])[0] for text in wordings
        ]
        assert found[place] == pytest.approx(np.log(np.exp(one_by_one).sum()), abs=1e-3)


def test_a_finished_run_is_read_and_a_killed_one_goes_on(engine, finished, tmp_path):
    records, result = finished
    again = list(run_iiv(engine, SETTINGS, records=records))
    assert [step.n_done for step in again] == [0, 10]  # nothing was left to score
    assert again[-1].result.scores == result.scores
    assert read_runs(records.path.parent)[0].scores == result.scores
    lines = records.path.read_text().splitlines()
    torn = RecordFile(tmp_path / records.path.name)
    torn.path.write_text("\n".join(lines[:-3]) + "\n" + lines[-3][:40])
    rest = list(run_iiv(engine, SETTINGS, records=torn))[-1].result
    assert rest.scores.keys() == result.scores.keys()
    for key, one in rest.scores.items():
        assert one.log_likelihoods == pytest.approx(result.scores[key].log_likelihoods, abs=1e-4)


def test_checkpoints_may_be_added_but_nothing_else_changed(engine, finished, tmp_path):
    records, result = finished
    copy = RecordFile(tmp_path / records.path.name)
    copy.path.write_bytes(records.path.read_bytes())
    more = replace(SETTINGS, checkpoints=("base", "epoch-2", "epoch-10"))
    assert len(list(run_iiv(engine, more, records=copy))[-1].result.models) == 3
    with pytest.raises(RefusedInputError, match="another n_questions, questions"):
        next(run_iiv(engine, replace(SETTINGS, n_questions=4), records=copy))
    assert engine.queue.holder is None
    assert [model.checkpoint for model in result.models] == ["base", "epoch-2"]


def test_hand_computed_reduction():
    # two questions, one valid answer and two errors each: p̂ = (.4, .3, .3) and (.2, .6, .2); threshold 1/2
    result = hand_made(
        np.log([[0.04, 0.03, 0.03], [0.02, 0.06, 0.02]]).tolist(),
        [[True, False, False]] * 2, [[1.0, 0.0, 0.0]] * 2,
    )  # fmt: skip
    row = iiv_table([result], ["renormalised"])[0]
    assert row.err.value == pytest.approx((0.6 + 0.8) / 2)
    assert row.err_iiv.value == pytest.approx(
        (0.5 + 0.5 + 0.25) / 2
    )  # both valid ones missed, one error of two above
    assert row.ratio.value == pytest.approx(0.7 / 0.625)
    assert row.delta.value == pytest.approx(0.3)
    assert row.loss_slope == pytest.approx(0.3)
    assert row.size_term == 0.5
    assert row.bound.value == pytest.approx(2 * 0.625 - 0.5 - 0.3)
    assert not row.is_broken
    as_is = iiv_table([result], ["as_is"])[0]
    assert as_is.lost_mass.value == pytest.approx(0.9)
    assert as_is.err.value == pytest.approx(0.07)
    per_token = asked(result, "a", "per_token")
    assert per_token.model[0] == pytest.approx(np.sqrt([0.4, 0.3, 0.3]) / np.sqrt([0.4, 0.3, 0.3]).sum())


def test_no_bound_is_ever_broken(finished):
    for row in iiv_table([finished[1]]):
        assert not row.is_broken
        assert row.n_missing == 0
        assert row.err.low <= row.err.value <= row.err.high


def test_the_bootstrap_is_that_of_whole_questions(finished):
    result = finished[1]
    row = iiv_table([result], ["renormalised"])[0]
    one = asked(result, "base")
    counts = np.random.default_rng(0).multinomial(5, np.full(5, 0.2), size=2_000)
    slow = []
    for times in counts:
        found = reduction(replace(one.world, prompt_weights=times / 5), one.model)
        slow.append((found.err, found.bound))
    errs, bounds = np.array(slow).T
    assert np.quantile(errs, [0.025, 0.975]) == pytest.approx([row.err.low, row.err.high])
    assert np.quantile(bounds, [0.025, 0.975]) == pytest.approx([row.bound.low, row.bound.high])


def test_delta_is_the_slope_of_the_rescaled_loss(finished):
    result = finished[1]
    curve = rescaling_curves([result])[0]
    one = asked(result, "base")
    above = one.model > one.world.paper_threshold

    def rescaled(s: float) -> float:
        model = np.where(above, s * one.model, one.model) * (one.world.n_members > 0)
        return loss(one.world, model / model.sum(axis=1, keepdims=True))

    assert curve.loss_change == pytest.approx([rescaled(s) - rescaled(1) for s in curve.factors])
    slope = (rescaled(1 + 1e-5) - rescaled(1 - 1e-5)) / 2e-5
    assert curve.slope == pytest.approx(slope, abs=1e-8)
    row = iiv_table([result], ["renormalised"])[0]
    assert abs(curve.slope) == pytest.approx(row.delta.value, abs=1e-12)


def test_calibration_against_scikit_learn(finished):
    result = finished[1]
    one = asked(result, "base")
    likeliest = next(row for row in calibration_table([result]) if row.view == "likeliest")
    best = one.model.argmax(axis=1)
    confidence = one.model[np.arange(5), best]
    valid = one.world.is_valid[np.arange(5), best].astype(float)
    assert likeliest.brier.value == pytest.approx(((confidence - valid) ** 2).mean())
    assert likeliest.brier.value == pytest.approx(brier_score_loss(valid, confidence, pos_label=1.0))
    assert likeliest.log_loss.value == pytest.approx(log_loss(valid, confidence, labels=[0.0, 1.0]))
    assert likeliest.accuracy.value == valid.mean()
    assert sum(one.share for one in likeliest.bins) == pytest.approx(1)


def test_judging_is_calibrated_where_the_model_is_the_data():
    # p̂ = p: half of the mix is p, half uniform errors; of three answers, two valid with 3/4 and 1/4
    result = hand_made(
        [np.log([0.75, 0.25, 1e-300]).tolist()] * 4, [[True, True, False]] * 4, [[0.75, 0.25, 0.0]] * 4
    )
    row = next(row for row in calibration_table([result]) if row.view == "is_it_valid")
    # beliefs p̂/(p̂ + 1/|E|) = 3/7 and 1/5 although the error never reaches that mass: weights 3/8, 1/8, 1/2
    assert row.confidence.value == pytest.approx(3 / 8 * 3 / 7 + 1 / 8 * 1 / 5)
    assert row.accuracy.value == pytest.approx(0.5)
    assert row.ece.value == pytest.approx(3 / 8 * 4 / 7 + 1 / 8 * 4 / 5)


def test_changes_are_against_the_base_wherever_it_stands_and_else_against_the_first():
    result = hand_made(
        np.log([[0.6, 0.3, 0.1]] * 3).tolist(), [[True, False, False]] * 3, [[1.0, 0.0, 0.0]] * 3
    )
    rows = [row for row in calibration_table([result]) if row.view == "likeliest"]
    assert [row.compared_with for row in rows] == [None, "a"]
    first, second = result.models
    based = replace(result, models=(first, replace(second, is_base=True)))
    rows = [row for row in calibration_table([based]) if row.view == "likeliest"]
    assert [row.compared_with for row in rows] == ["b", None]


def test_p_values_of_changes_know_how_many_there_are():
    # b is surer than a of answers that are all valid: its ECE is smaller in every resample
    questions = [[True, False, False]] * 12
    result = hand_made(np.log([[0.6, 0.3, 0.1]] * 12).tolist(), questions, [[1.0, 0.0, 0.0]] * 12)
    sure = {
        key: replace(one, log_likelihoods=tuple(np.log([0.8, 0.1, 0.1]))) if key[0] == "b" else one
        for key, one in result.scores.items()
    }
    one = replace(result, scores=sure)
    row = next(row for row in calibration_table([one]) if row.compared_with and row.view == "likeliest")
    assert row.ece_change.value == pytest.approx(-0.2)
    assert row.ece_change_p == pytest.approx(2 / 2_001)
    twice = [row for row in calibration_table([one, one]) if row.compared_with and row.view == "likeliest"]
    assert [row.ece_change_p for row in twice] == [
        pytest.approx(4 / 2_001)
    ] * 2  # Holm: the least of two, doubled


def test_changes_are_paired():
    rows = calibration_table([hand_made(np.log([[0.6, 0.3, 0.1]] * 3).tolist(), [[True, False, False]] * 3,
                                        [[1.0, 0.0, 0.0]] * 3)])  # fmt: skip
    assert rows[0].ece_change.value is None
    assert (rows[1].ece_change.value, rows[1].ece_change.low, rows[1].ece_change.high) == (0, 0, 0)


def test_nothing_misjudged_is_no_ratio():
    result = hand_made(
        np.log([[0.98, 0.01, 0.01]] * 3).tolist(), [[True, False, False]] * 3, [[1.0, 0.0, 0.0]] * 3
    )
    row = iiv_table([result], ["renormalised"])[0]
    assert (row.err_iiv.value, row.ratio.value, row.ratio.low) == (0, None, None)
    assert "NaN" not in str(as_plain(summary_json([result])))


def test_refusals(engine, tmp_path):
    with pytest.raises(RefusedInputError, match="unknown question set"):
        IivSettings("trivia")
    with pytest.raises(RefusedInputError, match="every checkpoint once"):
        IivSettings(checkpoints=("a", "a"))
    with pytest.raises(RefusedInputError, match="epoch-3"):
        next(run_iiv(engine, replace(SETTINGS, checkpoints=("epoch-3",))))
    (tmp_path / "iiv-x.jsonl").write_text('{"kind": "scores"}\n')
    with pytest.raises(RefusedInputError, match="Is-It-Valid run of this version"):
        read_runs(tmp_path)


def test_poor_models_are_kept_and_read_back(tmp_path):
    settings = PoorModelsSettings(
        longest=5, corollary_steps=10, windows_steps=2, circle=CircleSettings(20, n_directions=4, n_sharpnesses=3)
    )  # fmt: skip
    records = RecordFile(tmp_path / FILE_NAME)
    assert read_poor_models(records) is None
    found = compute_poor_models(settings, records=records)
    assert read_poor_models(records) == found
    assert read_runs(tmp_path) == ()
    records.path.write_text('{"settings": {}}\n')
    with pytest.raises(RefusedInputError, match="poor models of this version"):
        read_poor_models(records)
