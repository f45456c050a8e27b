"""The 817 questions of TruthfulQA against a plain loop: `python benchmarks/words.py CSV` prints how many times quicker.

Both let qwen-mini answer every question (80 tokens at most, temperature 0.7, top-p 0.9) and score the answers against
correct and incorrect references and those of other questions, in this one process. The plain loop is `plain_words.py`:
transformers' generate and Python's difflib, one question after the other. hallulab is `run_words_resemblance`, records
on disk and grades included. How to read the tables: "the plain loop takes" so many times as long as hallulab. Both
draw their own answers, so the means differ a little: the interval of the paired difference should hold 0. The last
table asks for the likeliest tokens: left-padded batches must give what transformers gives one prompt at a time.

Run it on an idle machine: "cores busy" tells how many cores each way had.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from statistics import fmean
from typing import get_args

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from benchmarks.plain_words import GreedyAnswer, PlainScore, plain_evaluation, plain_greedy  # noqa: E402
from benchmarks.table import Clock, Taken, machine, print_markdown  # noqa: E402
from hallulab.data.question_sets import ReferencedQuestion, load_question_set  # noqa: E402
from hallulab.engine.core import Engine  # noqa: E402
from hallulab.engine.presets import load_preset  # noqa: E402
from hallulab.engine.quiet import quiet_libraries  # noqa: E402
from hallulab.engine.word_batches import answer_batches  # noqa: E402
from hallulab.engine.word_prompts import checked_prompt_ids  # noqa: E402
from hallulab.engine.words import GenerationSettings  # noqa: E402
from hallulab.errors import HallulabError  # noqa: E402
from hallulab.experiments.words_resemblance import null_strangers, run_words_resemblance  # noqa: E402
from hallulab.experiments.words_resemblance_run import (  # noqa: E402
    ScoredAnswer,
    Variant,
    WordsResemblanceSettings,
)
from hallulab.models.qwen import LoadedQwen  # noqa: E402
from hallulab.records import RecordFile  # noqa: E402
from hallulab.theory.bootstrap import paired_difference  # noqa: E402

PROMISED_RATIO = 8
PROMISED_S = 60
NEAR_TIE_NATS = 1e-4
"""Two likeliest tokens closer than this may change places by the rounding of a batch."""
RATIOS = ("incorrect", "correct", "null_incorrect", "null_correct")


@dataclass(frozen=True)
class Comparison:
    """Both ways through one variant."""

    settings: WordsResemblanceSettings
    questions: tuple[ReferencedQuestion, ...]
    plain: Taken
    plain_scores: tuple[PlainScore, ...]
    ours: Taken
    answers: tuple[ScoredAnswer, ...]
    """in the order of the questions"""

    @property
    def ratio(self) -> float:
        """How many times as long the plain loop takes."""
        return self.plain.wall_s / self.ours.wall_s

    def speed_rows(self) -> list[tuple[str, ...]]:
        """What took how long."""
        n = len(self.questions)
        generation_s = sum(score.generation_s for score in self.plain_scores)
        scoring_s = sum(score.scoring_s for score in self.plain_scores)
        n_tokens = sum(score.n_tokens for score in self.plain_scores)
        ours_tokens = sum(answer.n_tokens + answer.is_complete for answer in self.answers)
        rows = [
            ("plain loop", f"{self.plain.wall_s:.1f} s", self.plain.cores),
            ("… generation", f"{generation_s:.1f} s", f"{n_tokens:,} tokens"),
            ("… difflib", f"{scoring_s:.1f} s", f"{1e3 * scoring_s / n:.1f} ms a question"),
            ("hallulab", f"{self.ours.wall_s:.1f} s", f"{ours_tokens:,} tokens; {self.ours.cores}"),
            ("… promised", f"≤ {PROMISED_S} s", "default variant, 817 questions, 2 cores"),
            ("… the plain loop takes", f"{self.ratio:.1f} ×", f"promised: ≥ {PROMISED_RATIO} ×"),
        ]
        return [(self.settings.variant, *row) for row in rows]

    def measured_rows(self) -> list[tuple[str, ...]]:
        """Means of both, and their difference paired by question."""
        rows = []
        for name in RATIOS:
            pairs = [
                (getattr(answer.resemblance, name), getattr(score, name))
                for answer, score in zip(self.answers, self.plain_scores, strict=True)
                if answer.resemblance is not None and getattr(score, name) is not None
            ]
            ours, theirs = (np.array(column) for column in zip(*pairs, strict=True))
            found = paired_difference(ours, theirs, rng=np.random.default_rng(0))
            assert found is not None  # there is a pair
            difference = f"{found.mean:+.4f} ({found.interval.low:+.4f} … {found.interval.high:+.4f})"
            rows.append((name, f"{fmean(theirs):.4f}", f"{fmean(ours):.4f}", difference, str(found.n)))
        return [(self.settings.variant, *row) for row in rows]

    def n_unlike_difflib(self) -> tuple[int, int]:
        """Of hallulab's ratios to own references, how many differ from difflib's in any bit, and how many there are."""
        n_unlike = n = 0
        for question, answer in zip(self.questions, self.answers, strict=True):
            if answer.resemblance is None:
                continue
            for name, references in (
                ("incorrect", question.incorrect_answers),
                ("correct", question.correct_answers),
            ):
                slow = max(
                    SequenceMatcher(None, answer.text.lower(), other.lower()).ratio() for other in references
                )
                n_unlike += slow != getattr(answer.resemblance, name)
                n += 1
        return n_unlike, n


@dataclass(frozen=True)
class GreedyComparison:
    """The likeliest tokens, batched against one at a time."""

    variant: str
    questions: tuple[ReferencedQuestion, ...]
    alone: tuple[GreedyAnswer, ...]
    together: tuple[tuple[int, ...], ...]
    """token ids, question by question"""

    @property
    def near_ties(self) -> tuple[int, ...]:
        """Places of the questions with a step whose two likeliest tokens are nearly as likely."""
        return tuple(place for place, one in enumerate(self.alone) if one.least_gap_nats < NEAR_TIE_NATS)

    @property
    def different(self) -> tuple[int, ...]:
        """Places where the answers differ."""
        pairs = zip(self.alone, self.together, strict=True)
        return tuple(place for place, (one, other) in enumerate(pairs) if one.token_ids != other)

    def cells(self) -> tuple[str, ...]:
        """One line of the table."""
        failed = set(self.different) - set(self.near_ties)
        n_same = len(self.questions) - len(self.different)
        least = min(one.least_gap_nats for one in self.alone)
        return (
            self.variant, str(len(self.questions)), str(n_same), str(len(failed)), str(len(self.near_ties)),
            f"{least:.1e}",
        )  # fmt: skip


def main() -> None:
    """Run everything, print the tables."""
    arguments = parse_arguments()
    questions = asked_questions(arguments)
    quiet_libraries()
    print(machine())
    engine = Engine(load_preset("small-world"), device="cpu")
    variants: Sequence[Variant] = arguments.variant or get_args(Variant)
    comparisons = [compare(engine, questions, settings_of(variant)) for variant in variants]
    greedy = [compare_greedy(engine.scorer(), questions, variant) for variant in variants]
    print(f"{len(questions)} questions; load at the end {os.getloadavg()[0]:.1f}\n")
    print_markdown(("variant", "what", "whole run", "each"), [r for c in comparisons for r in c.speed_rows()])
    print("\nMeans over questions; differences paired by question, with 95 % bootstrap interval:\n")
    print_markdown(
        ("variant", "resemblance to", "plain loop", "hallulab", "hallulab − plain loop", "n"),
        [r for c in comparisons for r in c.measured_rows()],
    )
    for comparison in comparisons:
        n_unlike, n = comparison.n_unlike_difflib()
        print(f"\n{comparison.settings.variant}: {n_unlike} of {n:,} ratios differ from difflib's in any bit")
    print(f"\nThe likeliest tokens; near ties: two tokens within {NEAR_TIE_NATS:g} nats at some step\n")
    print_markdown(
        ("variant", "questions", "same answer", "different", "near ties, apart", "least gap, nats"),
        [one.cells() for one in greedy],
    )
    for one in greedy:
        for place in one.near_ties:
            is_same = "other answer" if place in one.different else "same answer"
            gap = one.alone[place].least_gap_nats
            print(f"- near tie, {one.variant}, {gap:.1e} nats, {is_same}: {one.questions[place].question}")


def parse_arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="It takes about 1 minute on 2 cores, nearly all of it one question at a time; `--questions 50` takes "
        "8 seconds and says less: what is done once weighs more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "csv", nargs="?", default=os.environ.get("HALLULAB_TRUTHFULQA"), help="TruthfulQA.csv; default: that "
        "of HALLULAB_TRUTHFULQA, else the Hub's",
    )  # fmt: skip
    parser.add_argument(
        "--variant", action="append", choices=get_args(Variant), help="repeat for several; default: all"
    )
    parser.add_argument("--questions", type=int, help="ask only so many, spread over the set; default: all")
    return parser.parse_args()


def asked_questions(arguments: argparse.Namespace) -> tuple[ReferencedQuestion, ...]:
    """The questions, or exit with the reason why not."""
    try:
        every = load_question_set("truthfulqa", arguments.csv)
    except HallulabError as error:
        sys.exit(f"words.py: {error}")
    n = min(arguments.questions or len(every), len(every))
    return tuple(every[place * len(every) // n] for place in range(n))


def settings_of(variant: Variant) -> WordsResemblanceSettings:
    """The paper's sampling by the base model."""
    return WordsResemblanceSettings(checkpoints=("base",), variant=variant)


def compare(
    engine: Engine, questions: tuple[ReferencedQuestion, ...], settings: WordsResemblanceSettings
) -> Comparison:
    """Run both ways from start to finish, the model in memory and warm."""
    qwen, others = engine.scorer(), null_strangers(questions, settings)
    for _ in plain_evaluation(qwen, questions[:8], others[:8], settings):
        pass
    run_ours(engine, questions[:8], settings)
    clock = Clock()
    plain_scores = tuple(plain_evaluation(qwen, questions, others, settings))
    plain = clock.taken()
    clock = Clock()
    answers = run_ours(engine, questions, settings)
    ours = clock.taken()
    by_id = {answer.question_id: answer for answer in answers}
    ordered = tuple(by_id[question.id] for question in questions)
    return Comparison(settings, questions, plain, plain_scores, ours, ordered)


def run_ours(
    engine: Engine, questions: Sequence[ReferencedQuestion], settings: WordsResemblanceSettings
) -> tuple[ScoredAnswer, ...]:
    """One checkpoint's answers, recorded on disk as in any run; the controls that come after them are left out."""
    with tempfile.TemporaryDirectory() as folder:
        records = RecordFile(Path(folder) / "run.jsonl")
        steps = run_words_resemblance(engine, settings, questions, records=records)
        answers: list[ScoredAnswer] = []
        for step in steps:
            answers += step.new_answers
            if step.n_done == step.n_total:
                steps.close()
    return tuple(answers)


def compare_greedy(
    qwen: LoadedQwen, questions: tuple[ReferencedQuestion, ...], variant: Variant
) -> GreedyComparison:
    """The likeliest tokens of every question, one at a time and in batches."""
    settings = settings_of(variant)
    alone = tuple(plain_greedy(qwen, question, settings) for question in questions)
    batches = answer_batches(
        qwen,
        [
            checked_prompt_ids(qwen, question.question, as_chat=settings.choices.as_chat)
            for question in questions
        ],
        [0] * len(questions),
        GenerationSettings(settings.max_new_tokens, temperature=0),
    )
    together = {place: answer.token_ids for batch in batches for place, answer in batch.items()}
    return GreedyComparison(variant, questions, alone, tuple(together[n] for n in range(len(questions))))


if __name__ == "__main__":
    main()
