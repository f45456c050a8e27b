"""Turns what hallulab refuses into one friendly sentence on the page."""

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

import gradio as gr

from hallulab.errors import HallulabError


@contextmanager
def shown_to_visitor() -> Iterator[None]:
    """Show a HallulabError as a message on the page; visitors' text in it never becomes markup."""
    try:
        yield
    except HallulabError as error:
        raise gr.Error(escape(str(error), quote=False), duration=12, print_exception=False) from error
