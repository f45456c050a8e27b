"""Which words of an answer it does not stand for: denied, put into the mouths of others, or asked."""

from hallulab.scoring.answer_words import JOINING, VERBS, Words, is_number

DENIALS = frozenset((
    "not", "no", "nope", "never", "nor", "neither", "cannot", "nobody", "none", "nothing", "myth", "misconception",
    "unlikely", "doubt", "doubtful", "hardly", "impossible", "few", "fewer", "nicht", "kein", "keine", "pas",
))  # fmt: skip
"""Words that deny what follows them in their clause; so does every word that ends in n't."""
SHORT_DENIALS = frozenset(("without", "except", "unlike", "less", "than", "despite", "besides"))
"""Words that deny what follows them up to the next mark."""
SHORT_PHRASES = frozenset((
    ("instead", "of"), ("far", "from"), ("anything", "but"), ("everything", "but"), ("all", "but"), ("sounds", "like"),
    ("looks", "like"), ("similar", "to"),
))  # fmt: skip
"""The same, of two words."""
DENIED_THAT = frozenset(("false", "untrue", "wrong", "incorrect", "mistaken"))
"""They deny what follows in "it is wrong that …", and always what stands before them in their piece."""
DENIALS_BEHIND = DENIED_THAT | {
    "myth", "misconception", "unlikely", "impossible", "doubtful", "never", "neither", "less", "fewer", "than",
}  # fmt: skip
HEARSAY = frozenset((
    "say", "says", "said", "think", "thinks", "thought", "believe", "believes", "believed", "claim", "claims",
    "claimed", "argue", "argues", "assume", "assumes", "assumed", "stereotype", "proverb", "myth", "legend", "story",
    "bible", "saying", "rumour", "rumor", "according", "supposedly", "reportedly", "allegedly",
))  # fmt: skip
"""Words that put what follows them in their clause into the mouths of others, unless it is "I" who says it."""
SHORT_HEARSAY = frozenset(("although", "though", "while", "whereas"))
"""The same, up to the next mark."""
OWN = frozenset(("i", "i'd", "i'll", "i'm", "i've", "to", "let", "let's", "me", "my", "we"))
TURNS = frozenset((
    "but", "however", "instead", "rather", "because", "since", "so", "therefore", "hence", "thus", "sondern",
))  # fmt: skip
"""Words behind which an earlier denial or hearsay no longer counts."""
RESTARTS = frozenset(("it's", "that's", "it", "that", "this"))
"""Words that begin a statement of their own behind a comma; the bare pronouns with a verb behind them."""
ASKING = VERBS | {
    "what", "which", "who", "whom", "whose", "when", "where", "why", "how", "am", "shall", "isn't", "aren't", "wasn't",
    "doesn't", "didn't", "couldn't", "question",
}  # fmt: skip
"""A sentence that begins with one of these and ends in a question mark claims nothing."""
BEFORE_ASKING = frozenset(("and", "but", "so", "well", "hmm", "then", "q"))
REFUSALS = frozenset(("no", "nope", "nah"))
"""Behind a question, these answer it with no."""


def void_by_what_is_before(words: Words) -> list[bool]:
    """Words that a denial or hearsay before them turns, or that stand left of an equals sign; shape (n_words,)."""
    found = []
    in_clause = in_segment = is_hearsay = False
    for place, word in enumerate(words.words):
        is_new_segment = not place or words.segments[place] != words.segments[place - 1]
        if not place or words.clauses[place] != words.clauses[place - 1]:
            in_clause = is_hearsay = False
        if is_new_segment:
            in_segment = False
            if _restarts(words, place):
                in_clause = is_hearsay = False
        follows = words.words[place - 1] if place else ""
        if word in TURNS and (follows, word) not in SHORT_PHRASES:
            in_clause = in_segment = is_hearsay = False
        is_left_of_equals = words.segments[place] in words.before_equals and is_number(word)
        found.append(in_clause or in_segment or is_hearsay or is_left_of_equals)
        next_word = words.words[place + 1] if place + 1 < len(words) else ""
        if _denies_what_follows(words, place, follows, next_word):
            in_clause = True
        if word in SHORT_DENIALS or word in SHORT_HEARSAY or (follows, word) in SHORT_PHRASES:
            in_segment = True
        if word in HEARSAY and not OWN.intersection(words.words[max(0, place - 4) : place]):
            is_hearsay = True
    return found


def denied_by_what_is_behind(words: Words) -> list[bool]:
    """Places at or behind which a denial turns what stands before them in their piece; shape (n_words,)."""
    found = [False] * len(words)
    for place in range(len(words) - 1, -1, -1):
        word = words.words[place]
        follows = words.words[place - 1] if place else ""
        denies = word in DENIALS_BEHIND or word.endswith("n't") or (word == "not" and follows in VERBS)
        denies = denies and (follows, word) != ("rather", "than")
        goes_on = (
            place + 1 < len(words)
            and words.segments[place + 1] == words.segments[place]
            and word not in TURNS
            and words.words[place + 1] not in JOINING
        )
        found[place] = (denies and not _is_lone(words, place)) or (goes_on and found[place + 1])
    return found


def asked(words: Words) -> list[bool]:
    """Words of sentences that ask, or that ask and are answered with no; shape (n_words,)."""
    first_of: dict[int, int] = {}
    for place, sentence in enumerate(words.sentences):
        first_of.setdefault(sentence, place)
    in_order = list(first_of)
    found = set()
    for sentence, behind in zip(in_order, [*in_order[1:], None], strict=True):
        if sentence in words.questions:
            is_refused = behind is not None and words.words[first_of[behind]] in REFUSALS
            if is_refused or _asks(words, first_of[sentence]):
                found.add(sentence)
    return [sentence in found for sentence in words.sentences]


def _asks(words: Words, first: int) -> bool:
    while first + 1 < len(words) and words.words[first] in BEFORE_ASKING:
        first += 1
    return words.words[first] in ASKING


def _is_denial(word: str) -> bool:
    return word in DENIALS or word.endswith("n't")


def _denies_what_follows(words: Words, place: int, follows: str, next_word: str) -> bool:
    word = words.words[place]
    if word in DENIED_THAT:
        return next_word in ("that", "to")
    if word == "doubt":
        return follows not in ("no", "a", "without")
    if word == "no" and next_word in ("doubt", "question", "wonder"):
        return False
    return _is_denial(word) and not _is_lone(words, place)


def _is_lone(words: Words, place: int) -> bool:
    """Whether this word has a piece to itself, as the first one of "No, Paris" has."""
    segments = words.segments
    return (place == 0 or segments[place - 1] != segments[place]) and (
        place + 1 == len(segments) or segments[place + 1] != segments[place]
    )


def _restarts(words: Words, place: int) -> bool:
    word = words.words[place]
    if word not in RESTARTS:
        return False
    return "'" in word or (place + 1 < len(words) and words.words[place + 1] in VERBS)
