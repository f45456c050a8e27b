"""Which words of an answer are a claim of its own: neither denied, hearsay or asked, nor one of several.

Every property is worked out for all places in one pass, so that grading takes time in proportion to the text.
"""

from dataclasses import dataclass
from functools import cached_property

from hallulab.scoring.answer_words import Words, is_number
from hallulab.scoring.denied_words import asked, denied_by_what_is_behind, void_by_what_is_before
from hallulab.scoring.listed_words import ListedWords

LIMITS = frozenset((
    "before", "after", "over", "under", "above", "below", "until", "least", "most", "beyond", "almost", "nearly",
))  # fmt: skip
"""Before a number, these name another one."""
SCALES = frozenset(("hundred", "thousand", "million", "billion", "trillion", "dozen"))
"""Behind a number, these name another one."""


@dataclass(frozen=True, eq=False)
class MeantWords:
    """The words of an answer, and which of them it means."""

    words: Words

    @cached_property
    def is_void(self) -> list[bool]:
        """Denied or hearsay by what stands before it, asked, or left of an equals sign; shape (n_words,)."""
        both = zip(void_by_what_is_before(self.words), asked(self.words), strict=True)
        return [one or other for one, other in both]

    def is_said(self, start: int, end: int) -> bool:
        """Whether these words, from one place up to, not including, another, are meant, be it as one of several."""
        return not (self.is_void[start] or self._is_denied_behind(end) or self._is_limited(start, end))

    def is_meant(self, start: int, end: int) -> bool:
        """Whether these words are a claim of their own."""
        return self.is_said(start, end) and not self._listed.is_listed(start, end)

    @cached_property
    def _listed(self) -> ListedWords:
        return ListedWords.of(self.words)

    @cached_property
    def _denied_from(self) -> list[bool]:
        return denied_by_what_is_behind(self.words)

    def _is_denied_behind(self, end: int) -> bool:
        segments = self.words.segments
        return end < len(segments) and segments[end] == segments[end - 1] and self._denied_from[end]

    def _is_limited(self, start: int, end: int) -> bool:
        """Whether a number is part of another: "before 1989", "3 million"."""
        words = self.words.words
        return (is_number(words[start]) and start > 0 and words[start - 1] in LIMITS) or (
            is_number(words[end - 1]) and end < len(words) and words[end] in SCALES
        )
