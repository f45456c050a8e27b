"""A CLIP tokenizer whose byte-pair merges are learnt from a handful of captions."""

import json
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"


def learn_caption_tokenizer(sentences: list[str], *, n_merges: int, max_tokens: int) -> CLIPTokenizer:
    """A `CLIPTokenizer` with CLIP's byte alphabet and at most `n_merges` merges learnt from `sentences`.

    The end token has the highest id, as CLIP's pooling expects. `max_tokens`: prompts are padded to it.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=2 * len(alphabet) + n_merges,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    words = [word for sentence in sentences for word in sentence.lower().replace(",", " ,").split()]
    learner.train_from_iterator(words, trainer)
    merges: Any = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    tokens = alphabet + [f"{letter}</w>" for letter in alphabet]
    tokens += [left + right for left, right in merges]
    tokens = [*dict.fromkeys(tokens), START, END]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=max_tokens)
