"""States for a question without known answers: sampled answers, grouped by what they answer.

What an answer names is told apart from how it is worded by comparison: words that the same model also uses in its
answers to other questions are wording. Without other questions, near-identical answers are grouped.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from hallulab.data.open_ended import normalised
from hallulab.scoring.hint_validity import abstains, content_stems, numbers

SAME_ANSWER_OVERLAP = 0.6
"""Two answers are near-identical when they share this much of their words (Jaccard)."""
LEAST_SHARE = 0.1
"""A group of near-identical answers becomes a state when it holds at least this share of the sampled answers."""
LEAST_NAMED_SHARE = 0.05
"""The same for a group that names one thing, which holds every wording of it."""
LEAST_OTHER_QUESTIONS = 2
"""A word is wording when the answers to this many other questions use it."""
NAME_SHARE = 0.8
"""The name of a group is the longest phrase that this share of it holds."""
LONGEST_NAME = 8
"""Words of a name, at most."""
MOST_STATES = 4


@dataclass(frozen=True)
class AnswerGroup:
    """Answers that give the same answer."""

    text: str
    """What they name, or their most frequent wording."""
    n: int
    """How many answers are in it."""


def propose_states(answers: Sequence[str]) -> tuple[str, ...]:
    """The most frequent wording of each large group of near-identical answers, the largest group first.

    Answers that abstain propose nothing.
    """
    large = [group.text for group in near_identical_groups(answers) if group.n >= LEAST_SHARE * len(answers)]
    return tuple(large[:MOST_STATES])


def near_identical_groups(answers: Sequence[str]) -> list[AnswerGroup]:
    """Groups of near-identical answers, the largest first; empty ones and those that abstain are left out."""
    groups: dict[str, int] = {}
    for answer, count in _meant(answers).most_common():
        leader = next((leader for leader in groups if near_identical(leader, answer)), answer)
        groups[leader] = groups.get(leader, 0) + count
    return sorted((AnswerGroup(text, n) for text, n in groups.items()), key=lambda group: -group.n)


def named_groups(
    answers: Sequence[str], question: str, elsewhere: Sequence[Sequence[str]]
) -> list[AnswerGroup]:
    """Groups of answers that name the same thing, however they are worded, the largest first.

    Args:
        answers: sampled answers; empty ones and those that abstain are left out.
        question: what was asked; its own words name nothing.
        elsewhere: the same model's answers to other questions, per question.

    Returns: groups of at least `LEAST_NAMED_SHARE` of the answers.
    """
    wording = wording_stems(elsewhere) | content_stems(question)
    left = dict(_meant(answers))
    groups = []
    while left:
        naming = Counter()  # by word and by the numbers beside it: another number is another answer
        for answer, n in left.items():
            naming.update({(stem, numbers(answer)): n for stem in content_stems(answer) - wording})
        if not naming:
            break
        most = max(naming.values())
        # of equally frequent words the one that comes first: an answer names before it explains
        stem, beside = min((key for key, n in naming.items() if n == most), key=partial(_place, left))
        if most < LEAST_NAMED_SHARE * len(answers):
            break
        members = {
            answer: left.pop(answer)
            for answer in list(left)
            if stem in content_stems(answer) and numbers(answer) == beside
        }
        groups.append(AnswerGroup(_name(stem, members), most))
    return groups


def wording_stems(elsewhere: Sequence[Sequence[str]]) -> frozenset[str]:
    """Words of the answers to at least `LEAST_OTHER_QUESTIONS` questions, without endings."""
    used = Counter(stem for answers in elsewhere for stem in frozenset().union(*map(content_stems, answers)))
    return frozenset(stem for stem, n in used.items() if n >= LEAST_OTHER_QUESTIONS)


def near_identical(first: str, second: str) -> bool:
    """Whether two answers share most of their words, and all numbers."""
    words, others = content_stems(first), content_stems(second)
    return numbers(first) == numbers(second) and len(words & others) >= SAME_ANSWER_OVERLAP * len(
        words | others
    )


def _meant(answers: Sequence[str]) -> Counter[str]:
    return Counter(answer for answer in answers if answer and not abstains(answer))


def _place(answers: Mapping[str, int], key: tuple[str, frozenset[str]]) -> tuple[int, str]:
    """How many words stand before this one where it comes earliest; then the alphabet decides."""
    stem, beside = key
    places = [
        place
        for answer in answers
        if numbers(answer) == beside
        for place, word in enumerate(normalised(answer).split())
        if stem in content_stems(word)
    ]
    return min(places), stem


def _name(stem: str, members: Mapping[str, int]) -> str:
    """The longest phrase with this word that most members hold, as the commonest of them writes it."""
    held: Counter[str] = Counter()
    for answer, n in members.items():
        held.update(dict.fromkeys(_phrases(answer, stem), n))
    needed = NAME_SHARE * sum(members.values())
    names = [phrase for phrase, n in held.items() if n >= needed]
    name = max(names, key=lambda phrase: (len(phrase.split()), held[phrase], phrase), default=stem)
    pattern = re.compile(r"\W+".join(map(re.escape, name.split())), re.IGNORECASE)
    written = Counter()
    for answer, n in members.items():
        written.update(dict.fromkeys(pattern.findall(answer.replace("_", " ")), n))
    # inside a sentence, where no capital comes from its beginning
    return max(written, key=lambda text: (text[:1].islower(), written[text], text), default=name)


def _phrases(answer: str, stem: str) -> set[str]:
    """Runs of up to `LONGEST_NAME` words, inside one clause, that hold this word."""
    phrases = set()
    for clause in re.split(r"[.!?:;,]", answer):
        words = normalised(clause).split()
        places = [place for place, word in enumerate(words) if stem in content_stems(word)]
        phrases |= {
            " ".join(words[first : last + 1])
            for place in places
            for first in range(max(0, place - LONGEST_NAME + 1), place + 1)
            for last in range(place, min(len(words), first + LONGEST_NAME))
        }
    return phrases
