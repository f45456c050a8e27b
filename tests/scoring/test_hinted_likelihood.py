"""log f_i of the shipped scorer against a twin that feeds one token at a time."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hallulab.data.hints import hinted_prompt
from hallulab.data.open_ended import known_questions
from hallulab.models.qwen import LoadedQwen, load_qwen
from hallulab.scoring.words_frame import answer_log_densities

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "qwen-mini"
ANSWERS = (
    "A cat is my answer.",
    "My pick is a cat, as it is calm and keeps itself clean.",
    "A goldfish.",
    "Seven blue Tuesdays, naïvely — π!",
    "",
)


@pytest.fixture(scope="module")
def scorer() -> LoadedQwen:
    return load_qwen(SHIPPED, dtype=torch.float32, device="cpu")


def token_by_token(scorer: LoadedQwen, prompt: str, answer: str) -> float:
    """Σ log p(token | everything before), a whole forward pass per token: no cache, no batch, no padding."""
    ids = scorer.chat_ids(prompt)
    total = 0.0
    for token in [*scorer.tokenizer(answer, add_special_tokens=False)["input_ids"], scorer.end_token_ids[0]]:
        with torch.inference_mode():
            logits = scorer.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        total += float(logits.double().log_softmax(-1)[token])
        ids = [*ids, token]
    return total


def test_log_f_is_the_sum_of_log_probabilities_taken_one_token_at_a_time(scorer: LoadedQwen):
    question = known_questions()[0]
    scores = answer_log_densities(scorer, question.question, question.states, ANSWERS)
    slow = [
        [token_by_token(scorer, hinted_prompt(question.question, state), answer) for state in question.states]
        for answer in ANSWERS
    ]
    # the least likely of these has about −150 nats, where single precision keeps five decimals
    np.testing.assert_allclose(scores, slow, rtol=0, atol=1e-4)


def test_other_answers_in_the_batch_change_nothing(scorer: LoadedQwen):
    question = known_questions()[0]
    texts = [text for answer in question.answers for text in answer.phrasings()]
    together = answer_log_densities(scorer, question.question, question.states, texts)
    alone = [
        answer_log_densities(scorer, question.question, question.states, [text])[0] for text in texts[:12]
    ]
    np.testing.assert_allclose(together[:12], alone, rtol=0, atol=1e-4)
