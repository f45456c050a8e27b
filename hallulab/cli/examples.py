"""`examples`: what to try first."""

from typing import Annotated

import typer

from hallulab.cli.console import print_json
from hallulab.cli.world import preset_from_environment
from hallulab.data.open_ended import known_states


def examples(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show questions and prompts to try first."""
    preset = preset_from_environment()
    questions = [
        {"question": question, "states": list(known_states(question) or ())}
        for question in preset.words.example_questions
    ]
    prompts = list(preset.pictures.example_prompts)
    if as_json:
        print_json({"questions": questions, "prompts": prompts})
        return
    print("Try one of these questions:")
    for entry in questions:
        states = f"  ({' | '.join(entry['states'])})" if entry["states"] else ""
        print(f'  python -m hallulab ask "{entry["question"]}"{states}')
    print("or one of these prompts:")
    for prompt in prompts:
        print(f'  python -m hallulab paint "{prompt}"')
