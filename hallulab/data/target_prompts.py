"""How a confidence target is stated in a prompt (§4.2 of [KNVZ]), and a sentence like it that states none."""

from hallulab.theory.confidence_targets import penalty, percent_text

OTHER_SENTENCE = (
    "Answer in one short sentence if you are asked in a hurry: a long answer takes 3 minutes to read, a short one "
    "takes 1 minute, and nobody here has a minute to lose."
)
"""the control: about as long as the statement of a target, with numbers as well, and nothing about mistakes"""


def target_sentence(target: float) -> str:
    """The rules of a target in words, its penalty included.

    Raises RefusedInputError unless 0 <= t < 1.
    """
    cost = penalty(target)
    what = "1 point" if cost == 1 else f"{cost:g} points"
    return (
        f"Answer only if you are more than {percent_text(target)} % confident: a mistake costs {what}, a right answer "
        "earns 1 point, and “I do not know” earns 0 points."
    )


def targeted_prompt(question: str, target: float) -> str:
    """The question with the rules of a target on the next line; errors as `target_sentence`."""
    return f"{question}\n{target_sentence(target)}"
