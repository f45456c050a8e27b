"""Values and the types that hints declare: what passes, and the one sentence for what does not."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest

from hallulab.declared_types import as_declared, described, with_declared_fields
from hallulab.errors import RefusedInputError


@pytest.mark.parametrize(
    ("declared", "value", "expected"),
    [
        (str, "cat", "cat"),
        (int, 5, 5),
        (int, 5.0, 5),
        (int, np.int64(5), 5),
        (float, 5, 5.0),
        (float, 0.5, 0.5),
        (bool, True, True),
        (list[str] | None, None, None),
        (list[str] | None, ["a", "b"], ["a", "b"]),
        (tuple[str, ...], ["a"], ("a",)),
        (tuple[int, ...] | str, (1, 2), (1, 2)),
        (tuple[int, ...] | str, "12", "12"),
        (list[list[float]], [[1, 2.5]], [[1.0, 2.5]]),
        (Literal["a", "b"], "b", "b"),
    ],
)
def test_a_value_of_its_type_passes(declared, value, expected):
    found = as_declared("it", declared, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("declared", "value", "words"),
    [
        (str, None, "expected it as a text, got None: change it"),
        (str, 5, "expected it as a text, got 5"),
        (int, "5", "expected it as a whole number, got '5'"),
        (int, 5.5, "expected it as a whole number, got 5.5"),
        (int, True, "expected it as a whole number, got True"),
        (float, "0.5", "expected it as a number, got '0.5'"),
        (float, float("nan"), "expected it as a number, got nan"),
        (list[str] | None, "cat", r"as a list of texts or null, got 'cat': for a single one write \['cat'\]"),
        (tuple[str, ...], "cat", r"got 'cat': for a single one write \['cat'\]"),
        (list[str], [1, 2], r"expected it as a list of texts, got \[1, 2\]"),
        (list[list[float]], [1.0], r"expected it as a list of lists, got \[1.0\]"),
        (Literal["a", "b"], "c", "expected it as 'a' or 'b', got 'c'"),
        (str, ["x" * 500], "…: change it"),
    ],
)  # fmt: skip
def test_any_other_is_refused_in_one_sentence(declared, value, words):
    with pytest.raises(RefusedInputError, match=words) as caught:
        as_declared("it", declared, value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_what_has_a_default_can_be_left_out():
    with pytest.raises(RefusedInputError, match="change it or leave it out"):
        as_declared("seed", int, None, can_be_left_out=True)


def test_hints_are_said_in_words():
    assert described(tuple[int, ...] | str) == "a list of whole numbers or a text"
    assert described(dict[str, int] | None) == "an object or null"


def test_the_first_wrong_field_of_a_dataclass_is_named():
    @dataclass(frozen=True)
    class Settings:
        name: str
        n: int = 3
        share: float | None = None

    found = with_declared_fields(Settings("a", n=4.0, share=1))  # type: ignore[arg-type]
    assert found == Settings("a", 4, 1.0)
    assert [type(value) for value in vars(found).values()] == [str, int, float]
    with pytest.raises(RefusedInputError, match="expected n as a whole number, got 'x'"):
        with_declared_fields(Settings("a", n="x"))  # type: ignore[arg-type]
