"""Whether a value is of the type that a type hint declares, said in one sentence when it is not."""

import types
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import AllowInfNan, Strict, TypeAdapter, ValidationError

from hallulab.errors import RefusedInputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar("Settings", bound="DataclassInstance")
_PLURALS = {str: "texts", int: "whole numbers", float: "numbers", bool: "true or false"}
_NAMES = {
    str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null",
    list: "a list", tuple: "a list", dict: "an object",
}  # fmt: skip
MOST_SHOWN = 60
"""characters of a wrong value that a sentence repeats"""


def as_declared(name: str, declared: Any, value: Any, *, can_be_left_out: bool = False) -> Any:
    """`value`, if it is what the type hint `declared` says; a whole number may be written as 5.0.

    Text is never read as a number, nor a text as a list of its letters.

    Raises RefusedInputError, one sentence that names `name`.
    """
    try:
        return _adapter(declared).validate_python(_whole(value))
    except ValidationError as error:
        shown = repr(value)
        shown = shown if len(shown) <= MOST_SHOWN else shown[:MOST_SHOWN] + "…"
        advice = "change it or leave it out" if can_be_left_out else "change it"
        if isinstance(value, str) and any(get_origin(kind) in (list, tuple) for kind in _kinds(declared)):
            advice = f"for a single one write [{shown}]"
        raise RefusedInputError(f"expected {name} as {described(declared)}, got {shown}: {advice}") from error


def with_declared_fields(settings: Settings) -> Settings:
    """The same dataclass, every field `as_declared` by its type hint."""
    hints = _hints(type(settings))
    values = {name: as_declared(name, hints[name], value) for name, value in vars(settings).items()}
    return replace(settings, **values)


def described(declared: Any) -> str:
    """A type hint in words: `list[str] | None` is "a list of texts or null"."""
    return " or ".join(map(_described_kind, _kinds(declared)))


def _described_kind(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in (list, tuple) and arguments:
        return f"a list of {_PLURALS.get(arguments[0]) or 'lists'}"
    return _NAMES.get(origin or kind, getattr(kind, "__name__", str(kind)))


def _kinds(declared: Any) -> tuple[Any, ...]:
    """The members of a union, or the type itself."""
    return get_args(declared) if get_origin(declared) in (Union, types.UnionType) else (declared,)


def _whole(value: Any) -> Any:
    """5.0 as 5, also inside lists: JSON does not tell them apart, and a number that may be broken takes both."""
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        return _whole(value.tolist())
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@cache
def _adapter(declared: Any) -> TypeAdapter[Any]:
    return TypeAdapter(_strictly(declared))


def _strictly(declared: Any) -> Any:
    """The same type with nothing read as something else, except a list as a tuple; numbers are finite."""
    if declared is float:
        return Annotated[float, Strict(), AllowInfNan(False)]
    if declared in (str, int, bool):
        return Annotated[declared, Strict()]
    arguments = tuple(map(_strictly, get_args(declared)))
    if len(_kinds(declared)) > 1:
        return Union[arguments]  # noqa: UP007
    return get_origin(declared)[arguments] if get_origin(declared) in (list, tuple) else declared


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)
