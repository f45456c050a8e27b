"""Saying that one does not know, or will not say, told from answers and from statements about the world."""

import re

from hallulab.scoring.answer_words import Words

ABSTENTIONS = (
    r"(?:do not|don't|dont|did not|didn't) (?:know|understand|remember|recall)",
    r"not (?:sure|certain|aware|able to|familiar with|in a position to|going to (?:say|tell|answer|guess))",
    r"(?:unsure|uncertain|unable to)",
    r"(?:cannot|can't|could not|couldn't|will not|won't) (?:be (?:sure|certain)|say|answer|know|comment|provide|give)",
    r"(?:cannot|can't|could not|couldn't|will not|won't) (?:help|assist|remember|recall|think of|determine|decide)",
    r"(?:cannot|can't|could not|couldn't|will not|won't) tell (?:you|for|which|what|who|if|whether|from)",
    r"(?:have )?no (?:good |clear |real |earthly )?(?:answer|idea|clue|information|knowledge|comment|opinion|data)",
    r"(?:have )?no (?:way (?:of knowing|of telling|to know|to tell)|recollection)",
    r"(?:do not|don't) have (?:an answer|an opinion|enough|any|that|this|the|information|access)",
    r"(?:haven't|have not) (?:a clue|an idea|any idea|the faintest|the slightest|the foggiest|heard)",
    r"(?:rather|prefer|better) not",
    r"(?:refuse|decline) to",
    r"must (?:decline|pass)",
    r"(?:forgot|forget|give up|pass|dunno|wish i knew)",
    r"never (?:heard|learned|learnt) (?:of|about|that|it)",
)
"""What follows `OPENINGS` or `SUBJECTS` in an abstention, as patterns over lower-case words."""
OPENINGS = r"(?:sorry |unfortunately |well |hmm |honestly |but |and |ah |oh )*"
"""How it may begin without a subject, where a clause begins: "sorry, can't say"."""
SUBJECTS = (
    r"i (?:am |have |had |would |must |will |really |just |honestly |still |simply |truly |sadly |afraid )*",
    r"(?:i'm|im|i've|i'd|i'll) (?:really |just |honestly |still |had |have |afraid |simply |truly )*(?:i )?",
)
"""How an abstention begins elsewhere: "we do not know" is a statement about the world, which references make too."""
WHOLE_ABSTENTIONS = (
    r"idk",
    r"dunno",
    r"not something i know",
    r"nobody has (?:told|taught) me",
    r"makes no sense to me",
    r"beats me",
    r"(?:beyond|outside) (?:of )?my (?:knowledge|expertise|training)",
    r"my (?:training data|training|knowledge) (?:do not|does not|don't|doesn't) (?:cover|include|contain)",
    r"your guess is as good as mine",
    r"impossible for me to (?:say|tell|know|answer)",
    r"who knows$",
    r"je ne sais pas", r"aucune idee", r"je l'ignore",
    r"no (?:lo )?se$", r"ni idea",
    r"ich weiss (?:es |das )?(?:leider )?nicht", r"keine ahnung",
    r"non (?:lo )?so$", r"nao sei", r"(?:ik )?weet (?:ik |het )?niet",
    r"не знаю",
    r"不 知 道", r"不 清 楚", r"わ か り ま せ ん", r"分 か り ま せ ん", r"知 り ま せ ん",
)  # fmt: skip
"""Abstentions without such a subject; letters have no accents here."""
IMPERSONAL = (
    r"(?:unknown|undetermined|n / a|na|none given|no answer|no response|pass|skip)$",
    r"(?:the answer is |it is |it's |this is |that is )?(?:unknown|unclear|not known)(?: to me)?$",
    r"(?:sorry |unfortunately |there is |there's |i have )*(?:insufficient|not enough) (?:information|data|context)",
    r"(?:the answer |it |this |that )?(?:cannot|can't|could not) be (?:determined|answered|known|told|inferred)",
)
"""They say it of the question: abstentions unless a reference says the same."""
GUESSES = (
    "maybe", "perhaps", "possibly", "probably", "presumably", "could be", "might be", "may be", "i guess", "my guess",
    "best guess", "wild guess", "had to guess", "at a guess", "i think", "i believe", "i suspect", "i suppose",
    "i would say", "i'd say", "i'd guess", "i would guess",
)  # fmt: skip
"""Words with which an answer is offered in spite of an abstention."""
OFFERS = (*GUESSES, "but", "however", "instead", "rather", "so")
"""Words behind which something other than the object of an abstention follows."""

_PERSONAL = re.compile(
    rf"(?:(?:^{OPENINGS}|\b(?:{'|'.join(SUBJECTS)}))(?:{'|'.join(ABSTENTIONS)})"
    rf"|\b(?:{'|'.join(WHOLE_ABSTENTIONS)}))(?![\w'])"
)
_IMPERSONAL = re.compile(rf"^(?:{'|'.join(IMPERSONAL)})(?![\w'])")
_GUESS = re.compile(rf"\b(?:{'|'.join(GUESSES)})(?![\w'])")
_OFFER = re.compile(rf"\b(?:{'|'.join(OFFERS)})(?![\w'])")


def is_personal_abstention(words: Words) -> bool:
    """Whether somebody says that they do not know or will not say, and offers no guess."""
    return _found(words) is not None and not _GUESS.search(words.text)


def is_abstention(words: Words) -> bool:
    """The same, or says that the question cannot be answered."""
    return is_personal_abstention(words) or any(
        _IMPERSONAL.search(text.strip()) for _, text in _clauses(words)
    )


def without_abstention(words: Words) -> Words:
    """The same words less an abstention and what it is about, up to a mark or a guess."""
    found = _found(words)
    if found is None:
        return words
    first, behind = found
    end = behind
    while end < len(words) and words.segments[end] == words.segments[behind - 1]:
        end += 1
    rest = " ".join(words.words[behind:end])
    offer = _OFFER.search(rest)
    return words.without(first, behind + rest[: offer.start()].count(" ") if offer else end)


def _found(words: Words) -> tuple[int, int] | None:
    """Where the first abstention stands, as (first word, behind the last)."""
    for start, text in _clauses(words):
        found = _PERSONAL.search(text)
        if found:
            first = start + text[: found.start()].count(" ")
            return first, first + found[0].strip().count(" ") + 1
    return None


def _clauses(words: Words) -> list[tuple[int, str]]:
    """The first word of every clause, and its words."""
    return [(start, " ".join(words.words[start:end])) for start, end in words.clause_spans]
