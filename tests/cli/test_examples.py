"""`examples`: what to try first."""

from hallulab.data.open_ended import known_states
from hallulab.engine.presets import load_preset


def test_the_contract_holds(run):
    assert run("examples", "--json").json == {
        "questions": [
            {"question": "What is a good pet for a small flat?", "states": ["a cat", "a goldfish"]}
        ],
        "prompts": ["a cute pet animal"],
    }


def test_every_example_of_the_small_world_is_a_question_with_known_answers():
    questions = load_preset("small-world").words.example_questions
    assert len(questions) >= 3
    for question in questions:
        assert len(known_states(question) or ()) >= 2


def test_people_get_commands_to_copy(run):
    lines = run("examples").out.splitlines()
    assert '  python -m hallulab paint "a cute pet animal"' in lines
    assert any(line.startswith('  python -m hallulab ask "What is a good pet') for line in lines)
