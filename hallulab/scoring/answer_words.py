"""The words of a text as graders compare them: one spelling for every number, letters without case or accent."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

ARTICLES = ("a", "an", "the")
UNITS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
}  # fmt: skip
TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
NUMBER_WORDS = {
    "zero": 0, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19, **TENS,
    **{word: number for word, number in UNITS.items() if word != "one"},  # "no one", "one of them"
}  # fmt: skip
"""written numbers that stand for their digits"""
VERBS = frozenset((
    "is", "was", "are", "were", "be", "does", "did", "do", "has", "have", "had", "can", "could", "will", "would",
    "should", "must", "may", "might",
))  # fmt: skip
"""forms that several rules look for"""
JOINING = frozenset(("and", "or", "plus", "versus", "vs", "/", "+", "–", "und", "oder", "et", "ou"))
"""Beside a reference, these make it one part of an answer: "Spain and France" is not "Spain"."""
SUBORDINATORS = frozenset(
    ("because", "since", "so", "although", "though", "whereas", "while", "but", "which", "who")
)
"""words that begin a piece of their own, as a comma would"""

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_DIGIT = re.compile(r"\d")
_ACCENTS = re.compile("[\u0300-\u036f]")
_INITIALS = re.compile(r"\b(?:[^\W\d_]\.){2,}")
_MINUS = re.compile(r"(?<![\w)])(?:[−–]|minus )(?=\d)", re.IGNORECASE)
_NUMBER = r"""
    (?: (?<![\w)]) [-+] )?                        # a sign, where it is no hyphen or operation
    (?: \d{1,3} (?:[,' ]\d{3})+ (?![\d,]) (?:\.\d+)?   # 1,000,000  1 000  1'000.5
      | \d+ (?:[.,:/]\d+)*                        # 1.5  1,5  10:30  3/4  4/7/1776
      | (?<![\w.]) \.\d+ )                        # .5
    (?: (?:\^|\*\*) [-+]?\d+ | [eE] [-+]?\d+ (?!\w) )?  # 10^5  10**5  1e5
"""
_PIECE = re.compile(
    rf"""
      (?P<number> {_NUMBER} ) (?: (?:st|nd|rd|th)\b )?
    | (?P<word> [\u3040-\u30ff\u3400-\u9fff]      # scripts without blanks: letter by letter
      | [^\W\d_\u3040-\u30ff\u3400-\u9fff][^\W_\u3040-\u30ff\u3400-\u9fff]*
        (?:'[^\W_]+)* (?:\^\d+)? (?:\+{{1,2}}(?!\w)|\#(?!\w))? )  # don't  h2o  m^2  C++  C#
    | (?P<sign> [$€£¥] | % | & | (?<=\w)[/+](?=\w) | (?<=\w\ )[/+](?=\ \w) | (?<=\d)[-–](?=\d) )
    | (?P<mark> [.;:!?\n,()=—–…。！？、，] | (?<=\s)-+(?=\s) )
    """,
    re.VERBOSE,
)
_SAID_SIGNS = {"%": "percent", "&": "and", "-": "–"}
_SENTENCE_ENDS, _CLAUSE_ENDS = frozenset(".!?\n…。！？"), frozenset(";:")


@dataclass(frozen=True)
class Words:
    """The words of a text, with what the punctuation between them divides; all of shape (n_words,)."""

    words: tuple[str, ...]
    written: tuple[str, ...]
    """as they were written, case and all"""
    sentences: tuple[int, ...]
    """which sentence each stands in"""
    clauses: tuple[int, ...]
    """the same, divided by colons and semicolons too"""
    segments: tuple[int, ...]
    """the same, divided by any mark, and before words that begin a piece of their own"""
    questions: frozenset[int]
    """sentences that end in a question mark"""
    before_equals: frozenset[int]
    """segments with an equals sign behind them"""

    @classmethod
    def of(cls, text: str) -> "Words":
        """The words of a text, in time that grows with its length."""
        words: list[str] = []
        written: list[str] = []
        places: list[tuple[int, int, int]] = []
        questions, before_equals = set(), set()
        sentence = clause = segment = 0
        for found in _PIECE.finditer(_plain(text)):
            piece, kind = found[0], found.lastgroup
            if kind == "mark":
                if piece in "?？" and places and places[-1][0] == sentence:
                    questions.add(sentence)
                if piece == "=":
                    before_equals.add(segment)
                sentence += piece in _SENTENCE_ENDS
                clause += piece in _SENTENCE_ENDS or piece in _CLAUSE_ENDS
                segment += 1
                continue
            word = (
                _canonical(found["number"]) if kind == "number" else _SAID_SIGNS.get(piece, piece).casefold()
            )
            if word in UNITS and written and written[-1].lower() in TENS and places[-1][2] == segment:
                words[-1] = str(TENS[written[-1].lower()] + UNITS[word])  # twenty-nine
                written[-1] = piece
                continue
            segment += word in SUBORDINATORS
            words.append(str(NUMBER_WORDS.get(word, word)))
            written.append(piece)
            places.append((sentence, clause, segment))
        sentences, clauses, segments = zip(*places, strict=True) if places else ((), (), ())
        return cls(
            tuple(words), tuple(written), sentences, clauses, segments, frozenset(questions), frozenset(before_equals)
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def pieces(self) -> list[tuple[int, int]]:
        """Where the segments lie, as (first word, behind the last)."""
        return _runs(self.segments)

    @cached_property
    def clause_spans(self) -> list[tuple[int, int]]:
        """The same of the clauses."""
        return _runs(self.clauses)

    @property
    def bare(self) -> tuple[str, ...]:
        """The words without a leading article."""
        return self.words[1:] if len(self.words) > 1 and self.words[0] in ARTICLES else self.words

    @cached_property
    def text(self) -> str:
        """The words with one blank between them and at both ends."""
        return f" {' '.join(self.words)} "

    @cached_property
    def _starts(self) -> dict[int, int]:
        """Place in `text` of the blank before a word → which word; the end is there too."""
        starts, at = {}, 0
        for place, word in enumerate(self.words):
            starts[at] = place
            at += len(word) + 1
        return starts | {at: len(self.words)}

    def places(self, bare: tuple[str, ...]) -> list[tuple[int, int]]:
        """Where these words stand one after the other, as (first, behind the last), without overlap."""
        searched = f" {' '.join(bare)} "
        found, at = [], self.text.find(searched)
        while at >= 0:
            start = self._starts[at]
            found.append((start, start + len(bare)))
            at = self.text.find(searched, at + len(searched) - 1)
        return found

    def without(self, start: int, end: int) -> "Words":
        """The same words less some, what stands behind them in a sentence of its own."""
        kept = [*range(start), *range(end, len(self.words))]

        def apart(of: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(2 * of[place] + (place >= end) for place in kept)

        return Words(
            tuple(self.words[place] for place in kept),
            tuple(self.written[place] for place in kept),
            apart(self.sentences), apart(self.clauses), apart(self.segments),
            frozenset(2 * sentence + side for sentence in self.questions for side in (0, 1)),
            frozenset(2 * segment + side for segment in self.before_equals for side in (0, 1)),
        )  # fmt: skip


def _runs(ids: Sequence[int]) -> list[tuple[int, int]]:
    """Spans of equal neighbours, as (first, behind the last)."""
    first = [place for place in range(len(ids)) if not place or ids[place] != ids[place - 1]]
    return list(zip(first, [*first[1:], len(ids)], strict=False))


def is_number(word: str) -> bool:
    """Whether a word of `Words` is written in digits."""
    return word.lstrip("+-.")[:1].isdigit()


def _plain(text: str) -> str:
    """Digits of any script as 0 to 9, letters without accents, one kind of apostrophe and minus."""
    text = text.replace("’", "'").replace("‘", "'").replace("per cent", "percent")
    if not text.isascii():
        text = _SUPERSCRIPT.sub(lambda found: "^" + found[0].translate(_SUPERSCRIPTS), text)
        text = unicodedata.normalize("NFKC", text).replace("\u2044", "/")
        text = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
        text = _DIGIT.sub(
            lambda found: str(unicodedata.decimal(found[0])), unicodedata.normalize("NFC", text)
        )
    text = _INITIALS.sub(lambda found: found[0].replace(".", "") + " ", text)
    return _MINUS.sub("-", text)


def _canonical(number: str) -> str:
    """One spelling: 1,000 and 1 000 are 1000; 1,5 and 1.50 are 1.5; 10**5 is 10^5; +5 is 5."""
    number = number.replace("**", "^").lower().lstrip("+")
    if re.match(r"-?\d{1,3}(?:[,' ]\d{3})+(?!\d)", number):
        number = re.sub("[,' ]", "", number)
    number = re.sub(r"^(-?\d+),(\d+)(?=$|[e^])", r"\1.\2", number)
    number = re.sub(r"^(-?)\.", r"\g<1>0.", number)
    if re.fullmatch(r"-?\d+\.\d*0", number) and not re.fullmatch(r"-?\d{1,3}\.\d{3}", number):
        return number.rstrip("0").rstrip(".")  # but 1.000 may be a thousand
    return number
