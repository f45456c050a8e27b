"""Which letter of a multiple choice an answer states: lone capitals, and small letters where they must be meant."""

from collections import Counter

from hallulab.scoring.answer_words import Words
from hallulab.scoring.meant_words import MeantWords

LETTERS_THAT_ARE_WORDS = frozenset("AI")
BEHIND_A_LETTER = frozenset((
    "is", "was", "because", "since", "or", "and", "as", "for", "seems", "looks", "must", "would", "should", "but",
    "rather", "not", "cannot", "can't", "isn't",
))  # fmt: skip
"""Behind "A" or "I", these show that a choice is meant, not "a cat" or "I think"."""
BEFORE_A_LETTER = frozenset((
    "answer", "option", "choice", "letter", "is", "pick", "choose", "select", "say", "with", "be", "or", "and", "it's",
    "not", "neither", "nor", "boxed",
))  # fmt: skip
"""Before a small letter, these show that a choice is meant."""
BEFORE_A_WORD = frozenset(("answer", "option", "choice", "letter", "boxed"))
"""The same for the letters that are words."""


def stated_letters(words: Words, meant: MeantWords) -> dict[int, str]:
    """Place → letter, of the letters that an answer states as its own; those it denies or asks about are left out.

    Args:
        words: of the answer.
        meant: the same words.
    """
    if len(words) == 1:
        return {0: words.words[0].upper()} if _is_letter(words.words[0]) else {}
    return {
        place: words.words[place].upper()
        for place in range(len(words))
        if _is_letter(words.words[place]) and _is_choice(words, place) and meant.is_said(place, place + 1)
    }


def first_letter(words: Words, letters: dict[int, str]) -> set[str]:
    """The one letter that an answer begins with, where later sentences speak of others: "B. A and C are too small."

    Args:
        words: of the answer.
        letters: as `stated_letters`.

    Returns: nothing where the first sentence states several, or where letters begin sentences as those of a list do.
    """
    n_words = Counter(words.sentences)
    if [place for place in letters if n_words[words.sentences[place]] == 1] == [0]:
        return {letters[0]}  # "B." and what follows explains it
    begun = {place for place in letters if not place or words.sentences[place] != words.sentences[place - 1]}
    in_first = {letter for place, letter in letters.items() if words.sentences[place] == words.sentences[0]}
    return in_first if begun == {0} and len(in_first) == 1 else set()


def _is_letter(word: str) -> bool:
    return len(word) == 1 and "a" <= word <= "z"


def _is_choice(words: Words, place: int) -> bool:
    written, letter = words.written[place], words.words[place].upper()
    before = words.words[place - 1] if place else ""
    is_last = place + 1 == len(words) or words.segments[place + 1] != words.segments[place]
    if written.isupper():
        if letter not in LETTERS_THAT_ARE_WORDS or before in BEFORE_A_WORD:
            return True
        # a mark or the end behind it: nobody ends with an article, but "so am I"
        follows = "" if is_last else words.words[place + 1]
        if letter == "I":
            return (is_last and before in BEFORE_A_LETTER | {""}) or follows in ("because", "or", "and")
        return is_last or follows in BEHIND_A_LETTER
    if letter in LETTERS_THAT_ARE_WORDS:
        return before in BEFORE_A_WORD or (is_last and before in BEFORE_A_LETTER)
    return before in BEFORE_A_LETTER or is_last or (place == 0 and words.words[1] in BEHIND_A_LETTER)
