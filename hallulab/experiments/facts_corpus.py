"""The training text of an arbitrary-facts world, sentence by sentence, as the small Qwen2 reads it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hallulab.data.facts_world import FactsWorld, TrainingCounts, corpus, corpus_line
from hallulab.errors import RefusedInputError

MAX_LINES = 10_000_000
"""of a corpus that is written out: as rows they fill 240 MB"""


def training_lines(facts: FactsWorld, counts: TrainingCounts, *, seed: int) -> Iterator[str]:
    """Every training sample in words, in the order of the corpus that `train_facts_qwen` draws from this seed.

    Raises RefusedInputError for more samples than memory should hold.
    """
    if counts.n_samples > MAX_LINES:
        raise RefusedInputError(
            f"expected at most {MAX_LINES:,} training sentences to write out, got {counts.n_samples:,}: lower N"
        )
    rows = corpus(facts, counts, rng=np.random.default_rng(seed))
    return (corpus_line(facts, row) for row in rows)


def write_corpus(path: Path, lines: Iterator[str]) -> int:
    """Write one sentence a line and return how many there were.

    Raises RefusedInputError where the file cannot be written.
    """
    n = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            for line in lines:
                file.write(f"{line}\n")
                n += 1
    except OSError as error:
        raise RefusedInputError(
            f"expected a file that can be written, got {path} ({error.strerror}): choose another --corpus"
        ) from error
    return n
