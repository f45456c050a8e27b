"""Which words of an answer are one of several that are named together: "Paris, Rome or Madrid" claims none of them."""

from dataclasses import dataclass

from hallulab.scoring.answer_words import JOINING, VERBS, Words
from hallulab.scoring.denied_words import OWN, denied_by_what_is_behind

CONTINUING = VERBS | OWN | {
    "it", "it's", "that", "that's", "this", "he", "she", "they", "you", "not", "never", "there", "so", "certainly",
    "definitely", "nothing", "then", "lies", "of", "its", "also", "thanks",
}  # fmt: skip
"""Behind "and" or "or", these begin a statement rather than another item."""
NO_ITEMS = CONTINUING | {
    "yes", "no", "right", "if", "but", "because", "since", "although", "though", "maybe", "perhaps", "in", "on", "at",
    "by", "from", "for", "with", "as", "near", "when", "where", "which", "who", "born",
}  # fmt: skip
"""A piece that begins with one of these is no item of a list."""
MAX_ITEM_WORDS = 3


@dataclass(frozen=True)
class ListedWords:
    """Where lists are; lists of shape (n_words,)."""

    words: Words
    joins: list[bool]
    """an "and", "or" or the like that stands between two items"""
    is_second: list[bool]
    """an "or" stands before it in its piece: "or else Paris", "or maybe Paris" """
    is_item_before: list[bool]
    """its piece is an item because of the pieces before or around it"""
    is_item_behind: list[bool]
    """its piece is, or ends with, an item because of the pieces behind or around it"""

    @classmethod
    def of(cls, words: Words) -> "ListedWords":
        """The lists in a text, in one pass."""
        joins = _joins(words)
        before, behind = _items(words)
        return cls(words, joins, _second(words, joins), before, behind)

    def is_listed(self, start: int, end: int) -> bool:
        """Whether these words, from one place up to, not including, another, are one of several."""
        segments, n_words = self.words.segments, len(self.words)
        if start and self.joins[start - 1]:
            return True
        if self.is_second[start] or (end < n_words and self.joins[end]):
            return True
        ends_piece = end == n_words or segments[end] != segments[end - 1]
        begins_piece = start == 0 or segments[start - 1] != segments[start]
        return (ends_piece and self.is_item_behind[end - 1]) or (begins_piece and self.is_item_before[start])


def _joins(words: Words) -> list[bool]:
    """Which words stand between two items of one clause, rather than begin a statement."""
    is_denied_from = denied_by_what_is_behind(words)
    found = [False] * len(words)
    for start, end in words.pieces:
        for place in range(start, end):
            if words.words[place] not in JOINING or not place or place + 1 == len(words):
                continue
            is_statement = words.words[place + 1] in CONTINUING or is_denied_from[place]
            if words.words[place] == "and" and place == start:
                is_statement = is_statement or end - start > 1 + MAX_ITEM_WORDS
            found[place] = words.clauses[place - 1] == words.clauses[place] and not is_statement
    return found


def _second(words: Words, joins: list[bool]) -> list[bool]:
    """Words with an "or" before them in their piece."""
    found = [False] * len(words)
    for start, end in words.pieces:
        is_second = False
        for place in range(start, end):
            found[place] = is_second
            is_second = is_second or (joins[place] and words.words[place] == "or")
    return found


def _items(words: Words) -> tuple[list[bool], list[bool]]:
    """Per word, whether the pieces before and the pieces behind its own make it an item of a list."""
    pieces = words.pieces
    is_item = [end - start <= MAX_ITEM_WORDS and words.words[start] not in NO_ITEMS for start, end in pieces]
    joins = [any(word in JOINING for word in words.words[start:end]) for start, end in pieces]

    def together(one: int, other: int) -> bool:
        return words.clauses[pieces[one][0]] == words.clauses[pieces[other][0]]

    n_pieces = len(pieces)
    n_behind, n_before, ends_joined = [0] * n_pieces, [0] * n_pieces, [False] * n_pieces
    for piece in range(n_pieces - 2, -1, -1):
        if is_item[piece + 1] and together(piece, piece + 1):
            n_behind[piece] = n_behind[piece + 1] + 1
            ends_joined[piece] = joins[piece + 1] or ends_joined[piece + 1]
    for piece in range(1, n_pieces):
        if is_item[piece - 1] and together(piece, piece - 1):
            n_before[piece] = n_before[piece - 1] + 1
    before, behind = [False] * len(words), [False] * len(words)
    for piece, (start, end) in enumerate(pieces):
        is_several = n_before[piece] + n_behind[piece] >= 2 and is_item[piece]
        for place in range(start, end):
            before[place] = is_several
            behind[place] = is_several or n_behind[piece] >= 2 or ends_joined[piece]
    return before, behind
