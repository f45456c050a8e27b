import json

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_events import moment_from_json, moment_to_json
from tests.hand_made_coins import moment

OUTPUTS = [0.1, np.nan, -np.inf, 1e30, 1 / 3, 2.0]


def recorded(**changed):
    return json.loads(json.dumps(moment_to_json(moment(3, 0.5, OUTPUTS)))) | changed


def read(record):
    return moment_from_json(record, answers=("prediction",), n_outputs=6)


def test_a_moment_comes_back_bit_for_bit():
    found = read(recorded())
    assert found == moment(3, 0.5, OUTPUTS)
    np.testing.assert_array_equal(found.output_table(1)[:, 0], np.float32(OUTPUTS))


def test_a_moment_takes_little_more_than_its_outputs():
    # four bytes each, a third more in base64
    many = json.dumps(moment_to_json(moment(0, 1, np.zeros(252))))
    assert len(many) - len(json.dumps(moment_to_json(moment(0, 1, [])))) == 4 * 252 * 4 / 3


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"outputs": "AAAA"}, "has 3 bytes of outputs, expected 24"),
        ({"outputs": "?"}, "lacks something or holds something else"),
        ({"outputs": None}, "lacks something or holds something else"),
        ({"held_out": []}, "has other answers than prediction"),
        ({"held_out": [{"answer": "prediction"}]}, "lacks something"),
        ({"held_out": None}, "lacks something"),
        ({"seed": "three"}, "has seed = 'three'"),
        ({"train_loss": "low"}, "has train_loss = 'low'"),
        ({"epoch": None}, "has epoch = None"),
    ],
)
def test_damage_is_refused_in_words(changed, words):
    with pytest.raises(RefusedInputError, match=words):
        read(recorded(**changed))


def test_a_moment_without_an_epoch_is_refused():
    record = recorded()
    del record["epoch"]
    with pytest.raises(RefusedInputError, match="lacks something .*epoch"):
        read(record)
