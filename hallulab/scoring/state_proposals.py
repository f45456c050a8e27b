"""States for a question without known answers: sampled answers, near-identical ones grouped."""

from collections import Counter
from collections.abc import Sequence

from hallulab.scoring.hint_validity import abstains, content_stems, numbers

SAME_ANSWER_OVERLAP = 0.6
"""Two answers are near-identical when they share this much of their words (Jaccard)."""
LEAST_SHARE = 0.1
"""A group becomes a state when it holds at least this share of the sampled answers."""
MOST_STATES = 4


def propose_states(answers: Sequence[str]) -> tuple[str, ...]:
    """The most frequent wording of each large group of near-identical answers, the largest group first.

    Answers that abstain propose nothing.
    """
    counts = Counter(answer for answer in answers if answer and not abstains(answer))
    groups: dict[str, int] = {}
    for answer, count in counts.most_common():
        leader = next((leader for leader in groups if near_identical(leader, answer)), answer)
        groups[leader] = groups.get(leader, 0) + count
    large = sorted(
        (leader for leader in groups if groups[leader] >= LEAST_SHARE * len(answers)),
        key=lambda g: -groups[g],
    )
    return tuple(large[:MOST_STATES])


def near_identical(first: str, second: str) -> bool:
    """Whether two answers share most of their words, and all numbers."""
    words, others = content_stems(first), content_stems(second)
    return numbers(first) == numbers(second) and len(words & others) >= SAME_ANSWER_OVERLAP * len(
        words | others
    )
