"""How far a job is: a line and a bar, drawn the same way in every tab."""

from html import escape


def progress_card(message: str, n_done: int = 0, n_total: int = 0) -> str:
    """A card that says what is being done; the bar is left out while nothing can be counted."""
    bar = f'<progress max="{n_total}" value="{n_done}"></progress>' if n_total else ""
    return (
        f'<div class="hl-card hl-quiet" role="status"><p class="hl-sentence">{escape(message)}</p>{bar}</div>'
    )


def idle_card(message: str) -> str:
    """What a panel says before its first result."""
    return f'<div class="hl-card hl-quiet"><p class="hl-note">{escape(message)}</p></div>'
