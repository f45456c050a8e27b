"""The learnt CLIP tokenizer."""

import pytest
from transformers import CLIPTokenizer

from hallulab.data.fauna import caption_words
from hallulab.models.caption_tokenizer import END, START, learn_caption_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    return learn_caption_tokenizer(caption_words(), n_merges=400, max_tokens=24)


def test_the_words_of_the_captions_are_single_tokens(tokenizer):
    words = ["cat", "dog", "pet", "cute", "realistic", "photo", "fluffy", "sofa", "friendly"]
    assert tokenizer.tokenize(" ".join(words)) == [f"{word}</w>" for word in words]


def test_the_end_token_has_the_highest_id_and_pads(tokenizer):
    ids = tokenizer("a cat", padding="max_length").input_ids
    end = tokenizer.get_vocab()[END]
    assert end == len(tokenizer) - 1
    assert ids[0] == tokenizer.get_vocab()[START]
    assert ids[3:] == [end] * 21


def test_any_text_has_tokens(tokenizer):
    ids = tokenizer("Über-Äffchen 🦊 éê").input_ids
    assert len(ids) > 2
    assert max(ids) < len(tokenizer)


def test_a_saved_tokenizer_reads_the_same(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again = CLIPTokenizer.from_pretrained(tmp_path)
    assert again("a fluffy cat").input_ids == tokenizer("a fluffy cat").input_ids
    assert again.model_max_length == 24
