from dataclasses import asdict, replace

import pytest

from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_events import moment_to_json
from hallulab.experiments.coin_records import CoinRecords, read_runs, records_path
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.records import RecordFile
from hallulab.scoring.coin_rule import CoinRule
from tests.hand_made_coins import moment, near_means

SETTINGS = CoinSettings(epochs=2, rounds=1)
HEADER = {"kind": "settings", "settings": asdict(SETTINGS), "versions": {"numpy": "9.8.7"}}


def recorded(folder, *moments, settings=SETTINGS):
    """A run as `run_coins` leaves it."""
    records = CoinRecords(records_path(folder, settings))
    records.begin(settings)
    for each in moments:
        records.append(each)
    return records


def test_what_was_recorded_comes_back_in_order_and_the_later_of_two_counts(tmp_path):
    first, second, again = (
        moment(0, 0, near_means(2)),
        moment(0, 1, near_means(2)),
        moment(0, 1, near_means(2, 0.1)),
    )
    records = recorded(tmp_path, second, first, again)
    assert records.result().moments == (first, again)
    assert records.result().settings == SETTINGS
    assert records.versions()["numpy"]


def test_any_line_judges_a_recorded_run(tmp_path):
    settings = replace(SETTINGS, coins_per_draw=3)
    records = recorded(tmp_path, moment(0, 1, near_means(3, 1e-4)), settings=settings)
    own, other = records.result(), records.result(CoinRule(delta=0.4))
    assert (own.points[0].hallucination_rate, own.points[0].held_out_hallucination_rate) == (0, 0.1)
    assert other.points[0].hallucination_rate == pytest.approx(0.1)
    assert other.points[0].held_out_hallucination_rate is None
    assert other.exact["bayes_mean_rounded"]["hallucination_rate"] == pytest.approx(0.15)
    assert (other.settings.delta, records.measured_by().delta) == (0.4, 0.3)


def test_a_header_that_was_torn_by_a_kill_is_written_again(tmp_path):
    path = tmp_path / "coins-N2-fixed-squared_error.jsonl"
    path.write_text('{"kind": "settings", "sett')
    records = CoinRecords(path)
    assert records.begin(SETTINGS) == (SETTINGS, ())
    records.append(moment(0, 1, near_means(2)))
    # the torn line stands first in the file, and is not read
    assert len(records.result().moments) == 1


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            [moment_to_json(moment(0, 1, near_means(2))) | {"kind": "moment"}],
            "its first line holds no settings",
        ),
        ([HEADER | {"settings": None}], "its settings are no settings of a run"),
        ([HEADER | {"settings": []}], "its settings are no settings of a run"),
        (
            [HEADER | {"settings": {"coins_per_draw": 2, "colour": "red"}}],
            "its settings are no settings of a run",
        ),
        (
            [HEADER | {"settings": asdict(SETTINGS) | {"epochs": "two"}}],
            "its settings are no settings of a run",
        ),
        ([{"kind": "settings"}], "its settings are no settings of a run"),
        ([HEADER, {"kind": "moment", "seed": 0}], "lacks something or holds something else"),
        ([HEADER, {"kind": "moment"} | moment_to_json(moment(0, "1", near_means(2)))], "has epoch = '1'"),
        (
            [HEADER, {"kind": "moment"} | moment_to_json(moment(0, 1, [1.0]))],
            "has 4 bytes of outputs, expected 24",
        ),
    ],
)
def test_damaged_records_are_refused_in_one_sentence_and_nothing_goes_on_in_them(tmp_path, lines, words):
    records = CoinRecords(records_path(tmp_path, SETTINGS))
    RecordFile(records.path).append_all(lines)
    before = records.path.read_bytes()
    for use in (lambda: records.begin(SETTINGS), records.result, lambda: read_runs(tmp_path)):
        with pytest.raises(
            RefusedInputError, match="expected the records of a coin run of this version"
        ) as refused:
            use()
        assert words in str(refused.value)
    assert records.path.read_bytes() == before


def test_what_is_no_record_file_is_refused(tmp_path):
    folder = CoinRecords(tmp_path / "coins-N2-fixed-modal.jsonl")
    folder.path.mkdir()
    with pytest.raises(RefusedInputError, match="it is a folder"):
        folder.begin(SETTINGS)
    text = CoinRecords(tmp_path / "coins-N3-fixed-modal.jsonl")
    text.path.write_text("a diary\nof somebody\n")
    with pytest.raises(RefusedInputError, match="its first line holds no settings"):
        text.begin(SETTINGS)
    assert text.path.read_text() == "a diary\nof somebody\n"
    with pytest.raises(RefusedInputError, match="it has no settings"):
        CoinRecords(tmp_path / "absent.jsonl").result()


def test_another_run_is_refused_but_for_rounds_and_line(tmp_path):
    records = recorded(tmp_path)
    for same in (
        replace(SETTINGS, rounds=7),
        replace(SETTINGS, delta=0.5),
        replace(SETTINGS, delta=None, hdr_mass=0.5),
    ):
        records.check(same)
    with pytest.raises(RefusedInputError, match=r"got another batch_size, seed: choose another folder"):
        records.check(replace(SETTINGS, seed=3, batch_size=7))


def test_runs_are_read_by_n_variant_and_objective(tmp_path):
    every = [
        replace(SETTINGS, coins_per_draw=n, objective=objective)
        for n in (5, 2) for objective in ("cross_entropy", "squared_error")
    ]  # fmt: skip
    for settings in every:
        recorded(tmp_path, settings=settings)
    assert [(r.settings.coins_per_draw, r.settings.objective) for r in read_runs(tmp_path)] == [
        (2, "squared_error"), (2, "cross_entropy"), (5, "squared_error"), (5, "cross_entropy"),
    ]  # fmt: skip


def test_a_folder_without_runs_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(RefusedInputError, match=r"expected a folder with a coin run .*, found none in"):
            read_runs(folder)
