"""What fine-tuning on questions the base knows, and on questions it does not, does to its answers.

`python benchmarks/words_adapters.py` prints one table: qwen-mini, the shipped adapters (the 60 known questions), and
an adapter trained on all 300 here and now, seed 1, the same rank, rate and batch size.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import hallulab.__main__  # noqa: E402, F401  (its threads wait as the app's do)

# isort: split
import datasets  # noqa: E402
import torch  # noqa: E402

from benchmarks.table import machine, print_markdown  # noqa: E402
from hallulab.data.open_ended import known_questions, open_ended_questions  # noqa: E402
from hallulab.engine.adapters import AdapterSwitch  # noqa: E402
from hallulab.engine.presets import load_preset  # noqa: E402
from hallulab.engine.quiet import quiet_libraries  # noqa: E402
from hallulab.engine.words import GenerationSettings, generate_answers  # noqa: E402
from hallulab.models.qwen import LoadedQwen, load_qwen  # noqa: E402
from hallulab.scoring.hint_validity import abstains, mentioned_share  # noqa: E402
from hallulab.scoring.training_history import epoch_losses  # noqa: E402
from hallulab.theory.intervals import wilson_interval  # noqa: E402
from hallulab.training.words_adapters import SMALL_WORLD_ADAPTERS, train_adapters  # noqa: E402

N_SAMPLES = 8
"""Answers to each known question."""


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    quiet_libraries()
    datasets.disable_progress_bars()
    words = load_preset("small-world").words
    with tempfile.TemporaryDirectory() as scratch:
        tuned = train_adapters(
            replace(SMALL_WORLD_ADAPTERS, questions="all", seeds=(1,)),
            base=words.base,
            out=Path(scratch) / "out",
            work=Path(scratch) / "work",
            command="python benchmarks/words_adapters.py",
        )
        folders = {f"known 60: {name}": Path(place) for name, place in words.adapters.items()}
        folders |= {f"all 300: {adapter.path.name}": adapter.path for adapter in tuned}
        qwen = load_qwen(words.base, dtype=torch.float32, device="cpu")
        switch = AdapterSwitch(qwen.model)
        rows = [("base", "", *measured(qwen))]
        for name, folder in folders.items():
            adapter = f"adapter{len(rows)}"
            switch.load(adapter, str(folder))
            view = switch.view(adapter)
            rows.append((name, f"{epoch_losses(folder)[-1]:.4f}", *measured(replace(qwen, model=view))))
    print(machine())
    print_markdown(
        (
            "tuned on",
            "loss of its last epoch, nats per answer token",
            f"known questions, T = 1, {N_SAMPLES} samples each: acceptable answers",
            "of those to the 90 to 10 questions: the rare answer",
            "240 unknown questions, greedy: answers that name a listed answer",
            "…: answers that say they do not know",
        ),
        rows,
    )


def measured(qwen: LoadedQwen) -> tuple[str, str, str, str]:
    """Four shares in words."""
    known = [question for question in known_questions() for _ in range(N_SAMPLES)]
    seeds = [place % N_SAMPLES for place in range(len(known))]
    sampled = generate_answers(
        qwen, [q.question for q in known], seeds, GenerationSettings(max_new_tokens=40)
    )
    states = [q.state_of(answer.text) for q, answer in zip(known, sampled, strict=True)]
    rare = [
        state == question.states[1]
        for question, state in zip(known, states, strict=True)
        if state is not None and question.answers[0].weight == 0.9
    ]
    unknown = [question for question in open_ended_questions() if not question.is_known]
    greedy = GenerationSettings(max_new_tokens=40, temperature=0)
    answers = generate_answers(qwen, [q.question for q in unknown], [0] * len(unknown), greedy)
    unsure = [abstains(answer.text) for answer in answers]
    named = [
        not is_unsure and any(mentioned_share(state, answer.text) >= 0.5 for state in question.states)
        for question, answer, is_unsure in zip(unknown, answers, unsure, strict=True)
    ]
    return share([state is not None for state in states]), share(rare), share(named), share(unsure)


def share(flags: list[bool]) -> str:
    """A share with its Wilson interval and its n."""
    if not flags:
        return "none"
    interval = wilson_interval(sum(flags), len(flags))
    return f"{sum(flags) / len(flags):.3f} ({interval.low:.3f} … {interval.high:.3f}), n = {len(flags)}"


if __name__ == "__main__":
    main()
