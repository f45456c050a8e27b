"""Whether an answer drawn under a hint keeps to the hint: only such answers are genuine."""

import re
from functools import lru_cache

from hallulab.data.open_ended import known_question, normalised
from hallulab.scoring.abstentions import is_abstention
from hallulab.scoring.answer_words import Words

TAUGHT_THE_WORDINGS = frozenset({"qwen-mini"})
"""Names of models that were trained on the written wordings of the known questions, and on no others: what such a
model words differently is garbled. Any other model has words of its own."""
STOP_WORDS = frozenset(
    normalised(
        "a an and are as at be by for from i in is it its me my of on or our she he so that the their them "
        "they this to was we were will with you your s t"
    ).split()
)


@lru_cache(maxsize=2**13)  # many samples are the same few answers
def abstains(text: str) -> bool:
    """Whether the text says that its writer does not know or will not say: the rule of `grades`."""
    return is_abstention(Words.of(text))


def keeps_to_hint(
    question: str, states: tuple[str, ...], state: str, text: str, *, writer: str = "qwen-mini"
) -> bool:
    """Whether `text`, written by the model named `writer`, gives the answer that the hint `state` names.

    For a known state of a known question, a model that was taught the wordings must use one of them. Otherwise at
    least half of the hint's words must occur in the text, no fewer than of any other state's, and all of its
    numbers; and it must not abstain.
    """
    known = known_question(question) if writer in TAUGHT_THE_WORDINGS else None
    if known is not None:
        matching = [answer for answer in known.states if normalised(answer) == normalised(state)]
        if matching:
            return known.state_of(text) == matching[0]
    if not numbers(state) <= numbers(text):
        return False
    own_share = mentioned_share(state, text)
    is_meant = own_share >= 0.5 and all(own_share >= mentioned_share(other, text) for other in states)
    return is_meant and not abstains(text)  # last, as it takes longest


def mentioned_share(state: str, text: str) -> float:
    """Share of the words of `state` that occur in `text`, small words and endings aside."""
    wanted = content_stems(state)
    return len(wanted & content_stems(text)) / len(wanted) if wanted else 0.0


def content_stems(text: str) -> frozenset[str]:
    """The words that carry meaning, without plural and verb endings; all words when none does."""
    words = normalised(text).split()
    meant = [word for word in words if word not in STOP_WORDS] or words
    return frozenset(_stem(word) for word in meant)


def numbers(text: str) -> frozenset[str]:
    """The numbers in the text: another number is another answer, however alike the rest is."""
    return frozenset(re.findall(r"\d+", text))


def _stem(word: str) -> str:
    for ending in ("ing", "es", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word
