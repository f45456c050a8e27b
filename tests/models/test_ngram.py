"""Maximum-likelihood n-grams against counting by hand."""

from collections import Counter

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.models.ngram import count_ngrams

CONTEXTS = np.array([[0, 5], [0, 5], [1, 5], [1, 6]])
NEXTS = np.array([0, 1, 0, 2])


def test_by_hand():
    trigram = count_ngrams(CONTEXTS, NEXTS, 3, n_tokens=3)
    found = trigram.predict([[0, 5], [1, 5], [2, 5], [1, 6], [2, 9]])
    assert found == pytest.approx(
        np.array([
            [1 / 2, 1 / 2, 0],  # 0 5 was seen twice
            [1, 0, 0],
            [2 / 3, 1 / 3, 0],  # 2 5 never was: what followed a 5
            [0, 0, 1],
            [2 / 4, 1 / 4, 1 / 4],  # neither 2 9 nor 9: everything
        ])
    )  # fmt: skip
    assert count_ngrams(CONTEXTS, NEXTS, 2, n_tokens=3).predict([[0, 5]])[0] == pytest.approx(
        [2 / 3, 1 / 3, 0]
    )
    assert count_ngrams(CONTEXTS, NEXTS, 1, n_tokens=3).predict([[0, 5]])[0] == pytest.approx(
        [1 / 2, 1 / 4, 1 / 4]
    )


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_against_a_slow_obvious_twin(order):
    rng = np.random.default_rng(order)
    contexts, nexts, counts = rng.integers(0, 4, (60, 3)), rng.integers(0, 5, 60), rng.integers(0, 4, 60)
    model = count_ngrams(contexts, nexts, order, n_tokens=5, counts=counts)
    asked = rng.integers(0, 5, (80, 3))  # token 4 was never seen
    for row, predicted in zip(asked, model.predict(asked), strict=True):
        for length in range(order - 1, -1, -1):
            followed: Counter[int] = Counter()
            for context, token, n in zip(contexts, nexts, counts, strict=True):
                if n and tuple(context[3 - length :]) == tuple(row[3 - length :]):
                    followed[int(token)] += int(n)
            if followed:
                break
        expected = [followed[token] / followed.total() for token in range(5)]
        assert predicted == pytest.approx(expected)


def test_refusals_say_what_is_wrong():
    with pytest.raises(RefusedInputError, match="n of 1 or more"):
        count_ngrams(CONTEXTS, NEXTS, 0, n_tokens=3)
    with pytest.raises(RefusedInputError, match="3 or more"):
        count_ngrams(CONTEXTS, NEXTS, 4, n_tokens=3)
    with pytest.raises(RefusedInputError, match="0 to 1, got 0 to 2"):
        count_ngrams(CONTEXTS, NEXTS, 2, n_tokens=2)
    with pytest.raises(RefusedInputError, match="at least one"):
        count_ngrams(CONTEXTS, NEXTS, 2, n_tokens=3, counts=[0, 0, 0, 0])
    with pytest.raises(RefusedInputError, match="whole numbers"):
        count_ngrams(CONTEXTS, NEXTS, 2, n_tokens=3).predict([[0.5, 1.0]])
