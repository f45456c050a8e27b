"""The regions of one question; genuine answers are what the scorer writes under a hint ([LHZSL], 5.1)."""

import math
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hallulab.data.hints import hinted_prompt
from hallulab.data.open_ended import known_states, normalised
from hallulab.densities.hcdr import HcdrFrame, ThresholdRule
from hallulab.engine.word_likelihoods import log_likelihoods
from hallulab.engine.words import Answer, AnswerBuilder, GenerationSettings, stream_answers
from hallulab.errors import RefusedInputError
from hallulab.models.qwen import LoadedQwen
from hallulab.scoring.hint_validity import abstains, keeps_to_hint
from hallulab.scoring.state_proposals import propose_states
from hallulab.theory.regions import check_mass

MAX_STATES = 12
MAX_STATE_CHARACTERS = 300
SAMPLES_ALLOWED = (20, 1_000)
"""Fewest and most genuine samples per state: below, a 10 % quantile means nothing."""
VALID_SHARE = 0.95
"""Share of all the sampled answers that must keep to their hints before they count as genuine."""
VALID_SHARE_PER_STATE = 0.9
"""The same share under each single hint, which rests on fewer samples."""
N_PROPOSAL_SAMPLES = 64
"""Answers sampled without a hint when states have to be proposed."""
FRAMES_KEPT = 64
"""Frames remembered, least recently used dropped first."""
THRESHOLD_RULE: ThresholdRule = "conformal"
"""A new genuine answer is inside its own region at least as often as the mass says, whatever the number of samples;
percentiles, the paper's rule, let in too few when there are few (`hallulab.experiments.words_verdicts` measures it)."""
TIE_TOLERANCE_NATS = {torch.float32: 1e-3}
TIE_TOLERANCE_NATS_HALF = 0.1
"""Rounding of a total log-likelihood, in half precision."""


@dataclass(frozen=True)
class WordsFrameSettings:
    """What a frame is built from."""

    question: str
    """As the visitor asks it."""
    states: tuple[str, ...] = ()
    """Each used as a hint; empty: the known answers, else proposed by sampling."""
    n_genuine: int = 128
    """Answers sampled per state."""
    seed: int = 0
    """Of the samples."""
    max_new_tokens: int = 40
    """Longest sample, in tokens."""

    def __post_init__(self) -> None:
        check_states(self.states)
        least, most = SAMPLES_ALLOWED
        if not least <= self.n_genuine <= most:
            raise RefusedInputError(
                f"expected {least} to {most} genuine samples per state, got {self.n_genuine}"
            )


@dataclass(frozen=True)
class StateCheck:
    """What the scorer wrote under one hint."""

    state: str
    n_sampled: int
    n_valid: int
    """Answers that keep to the hint."""
    typical_failure: str
    """The commonest answer that does not; empty when all do."""

    @property
    def is_followed(self) -> bool:
        """Whether enough answers keep to this hint."""
        return self.n_valid >= VALID_SHARE_PER_STATE * self.n_sampled


@dataclass(frozen=True)
class WordsFrame:
    """The genuine answers of one question, and the regions they make."""

    question: str
    states: tuple[str, ...]
    states_source: str
    """"known", "given" or "proposed"."""
    checks: tuple[StateCheck, ...]
    """Per state, how well the scorer keeps to the hint."""
    genuine: tuple[tuple[str, ...], ...]
    """Per state, the sampled answers that keep to the hint."""
    hcdr: HcdrFrame | None
    """None when there is no verdict."""
    reason: str | None
    """Why there is no verdict."""
    scorer: str
    """Name of the scorer."""


def build_words_frame(scorer: LoadedQwen, settings: WordsFrameSettings) -> WordsFrame:
    """The frame of a question, from answers the scorer writes under each hint; remembered afterwards."""
    building = WordsFrameBuilding(scorer, settings)
    for _ in building.run():
        pass
    return building.frame


def answer_log_densities(
    scorer: LoadedQwen, question: str, states: Sequence[str], answers: Sequence[str]
) -> NDArray[np.float64]:
    """log f_i of each answer, shape (n_answers, n_states), nats: its likelihood under each hinted prompt."""
    prompts = [hinted_prompt(question, state) for state in states]
    pairs = [(prompt, answer) for answer in answers for prompt in prompts]
    scores = log_likelihoods(scorer, [prompt for prompt, _ in pairs], [answer for _, answer in pairs])
    return scores.reshape(len(answers), len(states))


def check_text_mass(hdr_mass: float, n_genuine: int) -> None:
    """Refuse a mass that is no share, and one that so few genuine answers per state cannot tell from all of them."""
    check_mass(hdr_mass)
    # ⌊(1 − mass)(n + 1)⌋ must be at least 1 for the fewest valid answers that a followed hint leaves
    n_valid = math.ceil(1 / (1 - hdr_mass) - 1 - 1e-6)
    least = math.floor((n_valid - 1) / VALID_SHARE_PER_STATE + 1e-6) + 1
    if n_genuine < least:
        raise RefusedInputError(
            f"expected at least {least} genuine samples per state for an HDR mass of {hdr_mass:g}, got {n_genuine}: "
            "ask for more samples or a smaller mass"
        )


def tie_tolerance_nats(dtype: torch.dtype) -> float:
    """Rounding of a total log-likelihood computed in this number format."""
    return TIE_TOLERANCE_NATS.get(dtype, TIE_TOLERANCE_NATS_HALF)


class WordsFrameBuilding:
    """The steps from a question to its frame, as a generator that can be stopped after any token."""

    frame: WordsFrame

    def __init__(self, scorer: LoadedQwen, settings: WordsFrameSettings):
        self._scorer = scorer
        self._settings = settings

    def run(self) -> Iterator[tuple[str, float]]:
        """Yields what is being done and the share of it that is done; then `frame` is set."""
        settings = self._settings
        key = (self._scorer.name, self._scorer.sha256, str(self._scorer.model.dtype), settings)
        remembered = _FRAMES.get(key)
        if remembered is None:
            remembered = yield from self._build()
            _FRAMES.put(key, remembered)
        self.frame = remembered

    def _build(self) -> Iterator[tuple[str, float]]:
        known = known_states(self._settings.question) or ()
        if self._settings.states:
            states, source = self._settings.states, "given"
            if sorted(map(normalised, states)) == sorted(map(normalised, known)):
                source = "known"
        elif known:
            states, source = known, "known"
        else:
            states, source = (yield from self._propose()), "proposed"
        if not states:
            return self._no_states()
        samples = yield from self._sample(states)
        return self._frame(states, source, samples)

    def _propose(self) -> Iterator[tuple[str, float]]:
        """States from answers written without a hint."""
        settings, n = self._settings, N_PROPOSAL_SAMPLES
        builders = [AnswerBuilder() for _ in range(n)]
        seeds = proposal_seeds(settings.seed, n)
        plain = GenerationSettings(max_new_tokens=self._settings.max_new_tokens)
        for place, steps in enumerate(stream_answers(self._scorer, [settings.question] * n, seeds, plain)):
            for step in steps:
                builders[step.sample].add(step)
            yield "looking for possible answers", 0.2 * place / self._settings.max_new_tokens
        self._proposals = [builder.answer().text for builder in builders]
        return propose_states(self._proposals)

    def _sample(self, states: tuple[str, ...]) -> Iterator[tuple[str, float]]:
        """Answers under each hint: per state, a list of them."""
        n = self._settings.n_genuine
        builders = [AnswerBuilder() for _ in range(n * len(states))]
        stream = _hinted_stream(
            self._scorer,
            self._settings.question,
            states,
            n,
            self._settings.seed,
            self._settings.max_new_tokens,
        )
        for place, steps in enumerate(stream):
            for step in steps:
                builders[step.sample].add(step)
            yield "sampling genuine answers", 0.2 + 0.7 * place / self._settings.max_new_tokens
        answers = [builder.answer() for builder in builders]
        yield "scoring genuine answers", 0.9
        return [answers[start : start + n] for start in range(0, len(answers), n)]

    def _frame(self, states: tuple[str, ...], source: str, samples: list[list[Answer]]) -> WordsFrame:
        question = self._settings.question
        genuine, checks = [], []
        for state, answers in zip(states, samples, strict=True):
            valid = [
                answer.text
                for answer in answers
                if answer.is_complete
                and keeps_to_hint(question, states, state, answer.text, writer=self._scorer.name)
            ]
            failures = Counter(answer.text for answer in answers) - Counter(valid)
            typical = failures.most_common(1)[0][0] if failures else ""
            genuine.append(tuple(valid))
            checks.append(StateCheck(state, len(answers), len(valid), typical))
        reason = no_verdict_reason(checks, self._scorer.name)
        hcdr = None if reason else self._hcdr(states, genuine)
        return WordsFrame(
            question, states, source, tuple(checks), tuple(genuine), hcdr, reason, self._scorer.name
        )

    def _hcdr(self, states: tuple[str, ...], genuine: list[tuple[str, ...]]) -> HcdrFrame:
        prompts = [hinted_prompt(self._settings.question, state) for state in states]
        pairs = [(prompt, text) for prompt, texts in zip(prompts, genuine, strict=True) for text in texts]
        scores = log_likelihoods(self._scorer, [prompt for prompt, _ in pairs], [text for _, text in pairs])
        parts = np.split(scores, np.cumsum([len(texts) for texts in genuine])[:-1])
        return HcdrFrame(
            states,
            tuple(parts),
            threshold_rule=THRESHOLD_RULE,
            tie_tolerance_nats=tie_tolerance_nats(self._scorer.model.dtype),
        )

    def _no_states(self) -> WordsFrame:
        counts = Counter(self._proposals)
        typical, _ = counts.most_common(1)[0]
        reason = (
            f"no verdict: without a hint, {self._scorer.name} says “{typical}”"
            if abstains(typical)
            else f"no verdict: {self._scorer.name} hardly ever answers the same, so it proposes no states"
        )
        reason += "; write possible answers, one per line, to be judged against those"
        return WordsFrame(self._settings.question, (), "proposed", (), (), None, reason, self._scorer.name)


def no_verdict_reason(checks: Sequence[StateCheck], scorer: str) -> str | None:
    """Why the sampled answers are not genuine, or None when they are."""
    n_failing = sum(not check.is_followed for check in checks)
    n_valid, n_sampled = sum(check.n_valid for check in checks), sum(check.n_sampled for check in checks)
    if not n_failing and n_valid >= VALID_SHARE * n_sampled:
        return None
    worst = min(checks, key=lambda check: check.n_valid / check.n_sampled)
    what = {0: "is not sure enough here", len(checks): "does not know this question"}.get(
        n_failing, "does not follow every hint here"
    )
    return (
        f"no verdict: the scorer {scorer} {what}: with the hint “{worst.state}” only {worst.n_valid} of "
        f"{worst.n_sampled} answers keep to it ({VALID_SHARE:.0%} of all and {VALID_SHARE_PER_STATE:.0%} under "
        f"each hint needed); typically it says “{worst.typical_failure}”"
    )


class _FrameMemory:
    """The frames built last, by everything that decides them."""

    def __init__(self, n_kept: int):
        self._n_kept = n_kept
        self._frames: OrderedDict[tuple, WordsFrame] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple) -> WordsFrame | None:
        with self._lock:
            if key in self._frames:
                self._frames.move_to_end(key)
            return self._frames.get(key)

    def put(self, key: tuple, frame: WordsFrame) -> None:
        with self._lock:
            self._frames[key] = frame
            while len(self._frames) > self._n_kept:
                self._frames.popitem(last=False)


_FRAMES = _FrameMemory(FRAMES_KEPT)


def _hinted_stream(
    scorer: LoadedQwen, question: str, states: tuple[str, ...], n: int, seed: int, max_new_tokens: int
) -> Iterator[list[Any]]:
    prompts = [hinted_prompt(question, state) for state in states for _ in range(n)]
    seeds = [sample_seed for state in states for sample_seed in _sample_seeds(seed, state, n)]
    return stream_answers(scorer, prompts, seeds, GenerationSettings(max_new_tokens=max_new_tokens))


def proposal_seeds(seed: int, n: int) -> list[int]:
    """Seeds of the answers written without a hint, from which states are proposed."""
    return _sample_seeds(seed, "", n)


def _sample_seeds(seed: int, state: str, n: int) -> list[int]:
    """Seeds of the samples of one state; they do not depend on the other states."""
    return np.random.SeedSequence([seed, *state.encode()]).generate_state(n, np.uint32).tolist()


def check_states(states: tuple[str, ...]) -> None:
    """Refuse states that cannot serve as hints."""
    if any(not normalised(state) for state in states):
        raise RefusedInputError("expected words in every state, got an empty one: remove it or fill it in")
    if any(len(state) > MAX_STATE_CHARACTERS for state in states):
        raise RefusedInputError(
            f"expected states of at most {MAX_STATE_CHARACTERS} characters: make them shorter"
        )
    if len(states) > MAX_STATES:
        raise RefusedInputError(f"expected at most {MAX_STATES} states, got {len(states)}: leave some out")
    repeated = [state for state, count in Counter(map(normalised, states)).items() if count > 1]
    if repeated:
        raise RefusedInputError(
            f"expected different states, got {repeated[0]!r} more than once: keep it once"
        )
