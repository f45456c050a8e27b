"""How quick and how large the small world is on this machine: `python benchmarks/small_world.py` prints a table.

Each number is a median over repeats, with its range. The slow obvious way stands beside ours where there is one.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import hallulab.__main__  # noqa: E402, F401  (its threads wait as the app's do)

# isort: split
import psutil  # noqa: E402
import torch  # noqa: E402

from benchmarks.pictures import PROMPT, in_batches, one_by_one  # noqa: E402
from benchmarks.table import machine, print_markdown, seconds  # noqa: E402
from hallulab.data.open_ended import known_questions  # noqa: E402
from hallulab.engine.core import Engine  # noqa: E402
from hallulab.engine.pictures import PaintSettings  # noqa: E402
from hallulab.engine.presets import load_preset  # noqa: E402
from hallulab.engine.quiet import quiet_libraries  # noqa: E402
from hallulab.engine.words import GenerationSettings, generate_answers  # noqa: E402
from hallulab.scoring.pictures_rate import GrowingResult, GrowingSettings, paint_growing  # noqa: E402
from hallulab.scoring.words import AskSettings, ask  # noqa: E402
from hallulab.ui.parts.controls import DEFAULT_HDR_MASS as HDR_MASS  # noqa: E402
from hallulab.ui.parts.paint_painting import WAYS  # noqa: E402
from hallulab.ui.session import Session  # noqa: E402
from hallulab.ui.tabs.paint import paint_images  # noqa: E402

T = TypeVar("T")
BATCH = 16
START_LIMIT_S = 120


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    values: tuple[float, ...]
    unit: str
    bar: str = ""
    """What the project promises, if it does."""

    def cells(self) -> tuple[str, ...]:
        """As text."""
        low, high = min(self.values), max(self.values)
        spread = f"{low:.2f} … {high:.2f}" if len(self.values) > 1 else ""
        return self.what, f"{median(self.values):.2f} {self.unit}", spread, str(len(self.values)), self.bar


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="repeats of every measurement")
    repeats = parser.parse_args().repeats
    quiet_libraries()
    print(machine(), "\n")
    rows = []
    for row in chain(words_rows(repeats), pictures_rows(repeats), app_rows(n_more_starts=2)):
        print(": ".join(row.cells()[:2]), file=sys.stderr)
        rows.append(row)
    print_markdown(("what", "median", "range", "n", "promised"), [row.cells() for row in rows])


def app_rows(n_more_starts: int) -> Iterator[Row]:
    """Start of the page, and memory after every tab has been used."""
    starts_s = []
    for _ in range(n_more_starts):
        with running_app() as (_, _, started_s):
            starts_s.append(started_s)
    with running_app() as (address, process, started_s):
        starts_s.append(started_s)
        idle_bytes = resident_bytes(process)
        use_every_tab(address)
        used_bytes = resident_bytes(process)
    yield Row("`python app.py` to the page answering", tuple(starts_s), "s", "≤ 15 s")
    yield Row("resident memory of the idle app", (idle_bytes / 1e9,), "GB")
    yield Row("resident memory with everything loaded and used", (used_bytes / 1e9,), "GB", "≤ 3 GB")


def words_rows(repeats: int) -> Iterator[Row]:
    """The Ask verdict, and many answers at once against one after the other."""
    engine = Engine(load_preset())
    questions = [question.question for question in known_questions()]
    last_of(ask(engine, AskSettings(questions[0])))  # loads
    fresh_s = [seconds(lambda q=q: last_of(ask(engine, AskSettings(q)))) for q in questions[1 : repeats + 1]]
    again_s = [
        seconds(lambda seed=seed: last_of(ask(engine, AskSettings(questions[0], seed=seed))))
        for seed in range(1, repeats + 1)
    ]
    yield Row("Ask: verdict on a question asked for the first time", tuple(fresh_s), "s", "≤ 3 s")
    yield Row("Ask: verdict on a question asked before", tuple(again_s), "s", "≤ 3 s")
    qwen, settings = engine.scorer(), GenerationSettings()
    prompts, seeds = [questions[0]] * BATCH, list(range(BATCH))

    def one_by_one() -> None:
        for prompt in prompts:
            ids = torch.tensor([qwen.chat_ids(prompt)])
            qwen.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                top_k=0,
                max_new_tokens=settings.max_new_tokens,
                pad_token_id=qwen.tokenizer.pad_token_id,
            )

    ours_s = [seconds(lambda: generate_answers(qwen, prompts, seeds, settings)) for _ in range(repeats)]
    slow_s = [seconds(one_by_one) for _ in range(repeats)]
    yield from against(f"{BATCH} answers", ours_s, slow_s, "`generate`, one by one")


def pictures_rows(repeats: int) -> Iterator[Row]:
    """Images with verdicts, and many images at once against one after the other."""
    engine = Engine(load_preset())
    pictures = engine.preset.pictures
    settings = PaintSettings(
        n_images=BATCH, steps=pictures.steps, guidance=pictures.guidance, size=pictures.size
    )
    yield from paint_rows(engine, settings, repeats)
    pipeline = engine.painter()

    ours_s = [seconds(lambda: in_batches(pipeline, settings)) for _ in range(repeats)]
    slow_s = [seconds(lambda: one_by_one(pipeline, settings)) for _ in range(repeats)]
    yield from against(f"{BATCH} images", ours_s, slow_s, "the pipeline, one by one")


def paint_rows(engine: Engine, settings: PaintSettings, repeats: int) -> Iterator[Row]:
    """The same images as a visitor of the page gets them and as the command line does, in turn."""
    session = Session(engine)
    growing = GrowingSettings(settings, begins_small=False)

    def of_page() -> tuple[float, float]:
        """Seconds to the first judged images on the page, and to the last; the way to the browser is not in them."""
        started, first_s = time.perf_counter(), 0.0
        sampling = (settings.n_images, settings.seed, settings.steps, settings.guidance)
        for panels in paint_images(session, next(iter(WAYS)), 4, False, PROMPT, None, *sampling, HDR_MASS):
            if not first_s and isinstance(panels[-1], GrowingResult):
                first_s = time.perf_counter() - started
        return first_s, time.perf_counter() - started

    def of_engine() -> float:
        return seconds(lambda: last_of(paint_growing(engine, PROMPT, growing, hdr_mass=HDR_MASS)))

    of_engine()  # loads
    of_page()
    page_s, engine_s = zip(*((of_page(), of_engine()) for _ in range(repeats)), strict=True)
    what = f"Paint: {BATCH} images with verdicts"
    whole_s = tuple(whole for _, whole in page_s)
    yield Row(f"{what} on the page, growing batches with previews and charts", whole_s, "s", "≤ 5 s")
    yield Row("… until its first images are judged", tuple(first for first, _ in page_s), "s")
    yield Row(f"{what} by the command line, in one batch", engine_s, "s", "≤ 5 s")
    ratios = tuple(whole / ours for whole, ours in zip(whole_s, engine_s, strict=True))
    yield Row("… times as long on the page", ratios, "×")


def against(what: str, ours_s: list[float], slow_s: list[float], slow_way: str) -> Iterator[Row]:
    """Ours, the slow obvious way, and how many times quicker ours is."""
    yield Row(f"{what} in one batch", tuple(ours_s), "s")
    yield Row(f"{what} with {slow_way}", tuple(slow_s), "s")
    ratios = tuple(slow / ours for slow, ours in zip(slow_s, ours_s, strict=True))
    yield Row("… times as long as one batch", ratios, "×")


@contextmanager
def running_app() -> Iterator[tuple[str, psutil.Process, float]]:
    """The app in a process of its own, its address, and how long it took to answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "HF_HUB_OFFLINE": "1"}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        address = f"http://127.0.0.1:{port}/"
        wait_for(address, process)
        yield address, psutil.Process(process.pid), time.perf_counter() - started
    finally:
        process.terminate()
        process.wait(30)


def wait_for(address: str, process: subprocess.Popen) -> None:
    """Return once the page answers with 200."""
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as response:
                if response.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"the app did not answer at {address} within {START_LIMIT_S} s")


def use_every_tab(address: str) -> None:
    """One job of every kind, so that everything is loaded."""
    from gradio_client import Client

    client = Client(address, verbose=False)
    client.predict(question=known_questions()[0].question, api_name="/ask")
    client.predict(prompt=PROMPT, api_name="/paint")
    client.predict(api_name="/flip_coins")


def resident_bytes(process: psutil.Process) -> int:
    """Memory of a process and its children."""
    return sum(part.memory_info().rss for part in (process, *process.children(recursive=True)))


def last_of(steps: Iterator[T]) -> T:
    """The last thing a generator yields."""
    *_, last = steps
    return last


if __name__ == "__main__":
    main()
