import pytest

from hallulab.scoring.answer_words import Words, is_number


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-5", "-5"), ("−5", "-5"), ("minus 5", "-5"), ("+5", "5"), ("5.0", "5"), ("1.50", "1.5"), (".5", "0.5"),
        ("1,5", "1.5"), ("1,2", "1.2"), ("1,000", "1000"), ("1 000", "1000"), ("1'234'567", "1234567"),
        ("1.000", "1.000"),  # a thousand for some, one for others
        ("10^5", "10^5"), ("10⁵", "10^5"), ("10**5", "10^5"), ("3/4", "3/4"), ("¾", "3/4"), ("10:30", "10:30"),
        ("12-7=5", "12 – 7 5"), ("10–12", "10 – 12"), ("December 10th", "december 10"), ("5km", "5 km"),
        ("٢٩", "29"), ("８", "8"), ("78 %", "78 percent"), ("78 per cent", "78 percent"), ("$5", "$ 5"),
        ("twenty-nine", "29"), ("Eight", "8"), ("no one", "no one"),
        ("C++, C# and C", "c++ c# and c"),
        ("H₂O", "h2o"), ("m²", "m^2"), ("Straße", "strasse"), ("São Paulo", "sao paulo"),
        ("U.S. law", "us law"), ("don’t", "don't"), ("東京です", "東 京 で す"), ("A/B", "a / b"),
        ("salt & oil", "salt and oil"),
    ],
)  # fmt: skip
def test_one_spelling(text, words):
    assert " ".join(Words.of(text).words) == words


def test_marks_divide_sentences_clauses_and_pieces():
    found = Words.of("No, it is: Paris? Yes")
    assert found.words == ("no", "it", "is", "paris", "yes")
    assert found.sentences == (0, 0, 0, 0, 1)
    assert found.clauses == (0, 0, 0, 1, 2)
    assert len(set(found.segments)) == 4
    assert found.questions == {0}
    assert found.pieces == [(0, 1), (1, 3), (3, 4), (4, 5)]
    # some words begin a piece as a comma would
    assert Words.of("B because A").segments == (0, 1, 1)


def test_places_are_those_of_looking_everywhere():
    found = Words.of("New York is not New York City, and York is new")
    slow = [(n, n + 2) for n in range(len(found) - 1) if found.words[n : n + 2] == ("new", "york")]
    assert found.places(("new", "york")) == slow == [(0, 2), (4, 6)]
    assert Words.of("a a a").places(("a", "a")) == [(0, 2)]  # without overlap
    assert Words.of("").places(("a",)) == []


def test_what_is_taken_out_divides_what_is_left():
    found = Words.of("I do not know if Paris, perhaps Lyon?").without(0, 6)
    assert found.words == ("perhaps", "lyon")
    left = Words.of("here it stands").without(1, 2)
    assert left.words == ("here", "stands")
    assert left.sentences[0] != left.sentences[1]


def test_numbers_are_told_from_words():
    assert [is_number(word) for word in ("12", "-3.5", "0.5", "h2o", "–")] == [True, True, True, False, False]
