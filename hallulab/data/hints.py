"""How a hint is written into a prompt: a hint selects one latent state (Def. 5.1 of [LHZSL])."""


def hinted_prompt(question: str, state: str) -> str:
    """The question with `state` given as a hint on its own line."""
    return f"{question}\nHint: {state}"
