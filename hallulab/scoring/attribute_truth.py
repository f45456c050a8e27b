"""What a painted pet face truly is: its parts, read by a probe that knows nothing of the frame that judges it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from PIL import Image

from hallulab.data.fauna import PARTS, PETS
from hallulab.models.attribute_probe import ABSENT, Attribute, LoadedProbe, read_attributes

Truth = Literal["genuine", "blend", "other", "unclear"]
TRUTHS: tuple[Truth, ...] = get_args(Truth)
TRUTH_WORDS = {
    "genuine": "every part is of one pet",
    "blend": "parts of a cat and of a dog",
    "other": "a part of another animal, or a part missing",
    "unclear": "the probe cannot tell some part",
}
MIN_PROBABILITY = 0.8
"""below it the probe is not believed"""


def truth_of(attributes: Mapping[str, Attribute], *, min_probability: float = MIN_PROBABILITY) -> Truth:
    """What ears, eyes and muzzle say; the coat is not asked, as a blend may wear either pet's.

    A cat's and a dog's part that are both sure make a blend whatever the third one is.
    """
    read = [attributes[part] for part in PARTS]
    sure = {one.value for one in read if one.probability >= min_probability}
    if sure.issuperset(PETS):
        return "blend"
    if any(one.probability < min_probability for one in read):
        return "unclear"
    return "genuine" if len(sure) == 1 and sure <= set(PETS) else "other"


def truth_records(probe: LoadedProbe, images: Sequence[Image.Image]) -> list[dict[str, Any]]:
    """Per picture, what an experiment records: part → [value, probability], and what they say together."""
    return [
        {
            "parts": {part: [one.value, round(one.probability, 4)] for part, one in parts.items()},
            "truth": truth_of(parts),
        }
        for parts in read_attributes(probe, images)
    ]


def attribute_words(attributes: Mapping[str, Attribute]) -> str:
    """What the probe reads, for people: `cat ears, dog eyes (?), no muzzle`."""
    words = []
    for name, one in attributes.items():
        doubt = " (?)" if one.probability < MIN_PROBABILITY else ""
        words.append(f"no {name}{doubt}" if one.value == ABSENT else f"{one.value} {name}{doubt}")
    return ", ".join(words)
