import pytest

from hallulab.data.fauna import PARTS
from hallulab.models.attribute_probe import Attribute
from hallulab.scoring.attribute_truth import MIN_PROBABILITY, TRUTH_WORDS, TRUTHS, attribute_words, truth_of

SURE, UNSURE = 0.99, MIN_PROBABILITY - 0.01


def read(*parts: tuple[str, float] | str) -> dict[str, Attribute]:
    pairs = [(part, SURE) if isinstance(part, str) else part for part in parts]
    return {name: Attribute(*pair) for name, pair in zip(PARTS, pairs, strict=True)}


@pytest.mark.parametrize(
    ("parts", "truth"),
    [
        (("cat", "cat", "cat"), "genuine"),
        (("dog", "dog", "dog"), "genuine"),
        (("cat", "dog", "cat"), "blend"),
        (("dog", "dog", "cat"), "blend"),
        (("cat", "dog", "owl"), "blend"),  # a cat's and a dog's part together, whatever the third
        (("cat", ("owl", UNSURE), "dog"), "blend"),
        (("fox", "fox", "fox"), "other"),  # one animal, but no pet
        (("cat", "cat", "fox"), "other"),
        (("cat", "none", "cat"), "other"),
        (("cat", "cat", ("dog", UNSURE)), "unclear"),
        ((("cat", UNSURE), "cat", "cat"), "unclear"),
        (("cat", ("cat", MIN_PROBABILITY), "cat"), "genuine"),
    ],
)
def test_truth_of_three_parts(parts, truth):
    assert truth_of(read(*parts)) == truth


def test_the_limit_of_doubt_can_be_moved():
    assert truth_of(read("cat", "cat", ("dog", 0.6)), min_probability=0.5) == "blend"


def test_every_truth_has_words():
    assert set(TRUTH_WORDS) == set(TRUTHS)


def test_attributes_in_words():
    assert attribute_words(read("cat", ("dog", UNSURE), "none")) == "cat ears, dog eyes (?), no muzzle"
