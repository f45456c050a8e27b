"""How quick the facts laboratory is: `python benchmarks/facts.py` prints a table.

A million training samples over a hundred thousand prompts with 365 answers each: the world, the memoriser, every bound;
with its peak memory, measured in a process of its own. One world of the default size, as a page draws it. And the
worlds of the tab, each for seeds that nobody has asked for.
"""

import argparse
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.table import machine, print_markdown, seconds  # noqa: E402
from hallulab.data.facts_world import WorldSettings  # noqa: E402
from hallulab.experiments.facts_measure import fact_card, play_facts, size_curve  # noqa: E402
from hallulab.experiments.facts_run import FactsSettings  # noqa: E402
from hallulab.ui.parts.facts_play import PRESETS, choose_preset, show_facts  # noqa: E402

N_SAMPLES, N_PROMPTS = 1_000_000, 100_000
LARGE = FactsSettings(
    world=WorldSettings(n_prompts=N_PROMPTS), n_samples=N_SAMPLES, learners=("memoriser",), rounds=1
)
PROMISED_S, PROMISED_GB = 10, 2


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="repeats of every measurement")
    parser.add_argument("--large", action="store_true", help="only the large world, in this process")
    given = parser.parse_args()
    if given.large:
        print(seconds(lambda: play_facts(LARGE)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
        return
    print(machine(), "\n")
    large = [large_world() for _ in range(given.repeats)]
    default = FactsSettings()
    play = play_facts(default)
    rows = [
        (
            f"{N_SAMPLES:,} samples over {N_PROMPTS:,} prompts: world, memoriser, all bounds",
            f"{median(time_s for time_s, _ in large):.2f} s", f"≤ {PROMISED_S} s",
        ),
        ("its peak memory, all included", f"{median(gb for _, gb in large):.2f} GB", f"≤ {PROMISED_GB} GB"),
        ("default world: six learners, all bounds", _median_s(lambda: play_facts(default), given.repeats), "< 1 s"),
        ("one fact of it: every learner's distribution", _median_s(lambda: fact_card(play, 7), given.repeats), ""),
        (
            "memoriser and bounds at 25 training sizes",
            _median_s(lambda: list(size_curve(default, seed=0)), given.repeats), "",
        ),
        ("Facts tab: the slowest of its worlds (server's part)", f"{max(map(tab_s, PRESETS)):.2f} s", "≤ 0.5 s"),
    ]  # fmt: skip
    print_markdown(("what", "median", "promised"), rows)


def tab_s(preset: str, *, n_worlds: int = 3) -> float:
    """Seconds until a world of the tab is drawn, median over seeds."""
    *chosen, _, _ = choose_preset(preset)
    return median(
        seconds(lambda seed=seed: show_facts(None, 0, *chosen, seed, "memoriser"))
        for seed in range(11, 11 + n_worlds)
    )


def large_world() -> tuple[float, float]:
    """Seconds and peak gigabytes of the large world in a fresh process, imports not timed."""
    command = [sys.executable, __file__, "--large"]
    time_s, gb = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(time_s), float(gb)


def _median_s(work, repeats: int) -> str:
    return f"{median(seconds(work) for _ in range(repeats)):.4f} s"


if __name__ == "__main__":
    main()
