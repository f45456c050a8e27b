"""Endpoints of the page for programs: what they are given is checked against their type hints before they run."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Any, get_type_hints

import gradio as gr

from hallulab.declared_types import as_declared
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.session import DEVICE

Endpoint = Callable[..., dict[str, Any]]


def serve_endpoint(function: Endpoint, name: str, *, on_device: bool = False) -> None:
    """Serve a function as `/name`; gradio reads its interface off the type hints.

    Args:
        function: with a type hint for every argument.
        name: without its slash.
        on_device: whether it computes on the device, where one job runs at a time.
    """
    queue: dict[str, Any] = {"concurrency_id": DEVICE, "concurrency_limit": 1} if on_device else {}
    gr.api(typed(function), api_name=name, **queue)


def typed(function: Endpoint) -> Endpoint:
    """The same function, which shows a sentence for an argument of another type than its hint declares."""
    hints, own = get_type_hints(function), signature(function)

    @wraps(function)
    def checked(*args: Any, **named: Any) -> dict[str, Any]:
        given = own.bind(*args, **named).arguments
        with shown_to_visitor():
            values = {
                name: as_declared(
                    name,
                    hints[name],
                    value,
                    can_be_left_out=own.parameters[name].default is not Parameter.empty,
                )
                for name, value in given.items()
            }
        return function(**values)

    return checked
