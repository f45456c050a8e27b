"""Which texts are nearly the same, by the Gestalt ratio; most pairs are spared by its bound from letter counts."""

from collections.abc import Sequence
from string import ascii_lowercase, digits

import numpy as np
from cydifflib import SequenceMatcher

from hallulab.data.open_ended import normalised

LETTERS = " " + ascii_lowercase + digits


def near_copies(texts: Sequence[str], others: Sequence[str], *, at_least: float) -> list[tuple[str, str]]:
    """Pairs (text, other) whose normalised forms have a Gestalt ratio of at least `at_least`."""
    ours, theirs = [normalised(text) for text in texts], [normalised(other) for other in others]
    our_counts, their_counts = _letter_counts(ours), _letter_counts(theirs)
    found = []
    for text, counts, plain in zip(texts, our_counts, ours, strict=True):
        most_shared = np.minimum(counts, their_counts).sum(1)
        bound = 2 * most_shared / np.maximum(counts.sum() + their_counts.sum(1), 1)
        for place in np.flatnonzero(bound >= at_least):
            # letters of other alphabets are not in the counts, so that the bound is a little loose
            if SequenceMatcher(None, plain, theirs[place], autojunk=False).ratio() >= at_least:
                found.append((text, others[place]))
    return found


def _letter_counts(texts: Sequence[str]) -> np.ndarray:
    return np.array([[text.count(letter) for letter in LETTERS] for text in texts])
