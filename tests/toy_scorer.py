"""A scorer with scripted answers and made-up likelihoods, for tests of what is made of them."""

import numpy as np

from hallulab.engine.words import TokenStep


class ToyScorer:
    """Stands in for the model: answers per prompt in turn, and made-up likelihoods."""

    def __init__(self, answers: dict[str, list[str]], is_cut: bool = False):
        self.answers = answers
        self.is_cut = is_cut
        self.n_sampled = 0

    def stream(self, _scorer, prompts, seeds, _settings, *, begun=()):
        assert not begun  # scripted answers cannot be forced
        assert len(set(zip(prompts, seeds, strict=True))) == len(prompts)  # one generator per sample
        counts: dict[str, int] = {}
        steps = []
        for place, prompt in enumerate(prompts):
            texts = self.answers[prompt]
            counts[prompt] = counts.get(prompt, -1) + 1
            steps.append(TokenStep(place, 1, texts[counts[prompt] % len(texts)], 1.0, False))
        self.n_sampled += len(prompts)
        yield steps
        if not self.is_cut:
            yield [TokenStep(place, 0, "", 1.0, True) for place in range(len(prompts))]

    def read(self, _scorer, _prompt, text):
        return (TokenStep(0, 1, text, 0.5, False), TokenStep(0, 0, "", 0.5, True))

    def likelihoods(self, _scorer, prompts, answers):
        return np.array(
            [-float(len(a)) - (0 if p in self.answers else 50) for p, a in zip(prompts, answers, strict=True)]
        )
