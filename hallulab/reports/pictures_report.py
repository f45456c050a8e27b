"""The report of a sweep of pictures: findings in words, Figures 5 to 7, hallucinated samples, every number."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hallulab.errors import RefusedInputError
from hallulab.experiments.pictures_sweep import RECORDS_PATTERN, SweepRun, read_picture_sweep
from hallulab.experiments.pictures_sweep_summary import SweepSummary, paper_csv, summarise
from hallulab.records import file_sha256
from hallulab.reports.charts import Chart, chart_png, chart_svg, page_figure
from hallulab.reports.numbers import MISSING, decimal, percent
from hallulab.reports.page import Page, PagePictures, PageSection, PageTable, Receipt, page_html, setting_text
from hallulab.reports.pictures_figures import (
    calibration_charts,
    guided_chart,
    loss_chart,
    prompts_chart,
    rate_chart,
    step_name,
)
from hallulab.reports.pictures_sentences import WHAT_IT_IS, findings
from hallulab.reports.written import PAGE_NAME, WrittenReport, write_report
from hallulab.scoring.attribute_truth import TRUTH_WORDS, TRUTHS
from hallulab.theory.intervals import Interval

SAMPLES_PER_CHECKPOINT = 12


def write_pictures_report(folder: Path, out: Path | None = None) -> WrittenReport:
    """Report on the sweep of pictures recorded in a folder; `points.csv` begins with the paper's columns.

    Args:
        folder: as `sweep pictures --out` leaves it, finished or not.
        out: the page; `report.html` in `folder` by default. Figures and points are written beside it.

    Raises RefusedInputError for a folder without a finished cell, or an `out` that cannot be written.
    """
    run = read_picture_sweep(folder)
    if not run.cells:
        raise RefusedInputError(
            f"expected a sweep with at least one finished prompt, found only begun ones in {folder}: run "
            "`python -m hallulab sweep pictures` with this --out again"
        )
    summary = summarise(run)
    charts = [chart for section in _charts(run, summary) for chart in section]
    return write_report(
        out or folder / PAGE_NAME,
        html=page_html(pictures_page(run, summary, folder)),
        png=chart_png(charts),
        svg=chart_svg(charts),
        points=paper_csv(run),
    )


def pictures_page(run: SweepRun, summary: SweepSummary, folder: Path) -> Page:
    """The whole page, from the records and the images beside them."""
    rates, calibration, guided = _charts(run, summary)
    checkpoints = run.settings.checkpoints
    return Page(
        title=f"Pictures: {len(run.images):,} images of {len(checkpoints)} checkpoints",
        opening=WHAT_IT_IS,
        findings=findings(run, summary),
        sections=[
            PageSection(
                "Training and hallucination (Figures 5 and 6)",
                figures=[page_figure(chart) for chart in rates],
                tables=[_checkpoint_table(summary), _pair_table(summary)],
            ),
            PageSection(
                "Where the line is drawn (Figure 7)",
                figures=[page_figure(chart) for chart in calibration],
                tables=[_mean_table(run)],
            ),
            PageSection("Images outside every region", pictures=_samples(run, folder)),
            PageSection(
                "Sampling guided by density",
                (
                    "From the same painted images: plain keeps all, kept keeps what is inside some region, "
                    "best of "
                    f"{run.settings.best_of} keeps the most probable of every {run.settings.best_of}. "
                    "Whether an image "
                    "is inside decides what is kept, so the kept ones are inside by construction; truth "
                    "and diversity "
                    "say what that buys and loses.",
                ),
                figures=[page_figure(chart) for chart in guided],
                tables=[_guided_table(summary)],
            ),
            PageSection("Two detectors beside the truth", tables=_detector_tables(summary)),
            PageSection("Every cell", tables=[_cell_table(run)]),
        ],
        receipt=_receipt(run, folder),
    )


def _charts(run: SweepRun, summary: SweepSummary) -> tuple[list[Chart], list[Chart], list[Chart]]:
    """Figures of each section, without those that have nothing to show."""
    rates = [
        rate_chart(summary.checkpoints),
        loss_chart(run),
        prompts_chart(run, summary.checkpoints),
    ]
    sections = rates, calibration_charts(run), [guided_chart(summary)]
    shown = [[chart for chart in charts if chart.series] for charts in sections]
    return shown[0], shown[1], shown[2]


def _checkpoint_table(summary: SweepSummary) -> PageTable:
    return PageTable(
        "Every checkpoint, all prompts together",
        (
            "step", "training loss", "images", "outside", "rate", "95 % interval", "mean margin (nats)",
            "prompts outside, paper's test", "prompts outside, K-matched", "diversity", "variance of x0",
        ),
        [
            (
                step_name(row), decimal(row.training_loss, 4), f"{row.n:,}", f"{row.n_outside:,}",
                percent(row.hallucination_rate), _range(row.interval, percent), decimal(row.margin_nats, 1),
                f"{row.n_prompts_outside} of {row.n_prompts}",
                f"{row.n_prompts_outside_matched} of {row.n_prompts}", decimal(row.diversity, 3),
                decimal(row.x0_variance, 6),
            )
            for row in summary.checkpoints
        ],
        note=(
            "Diversity: mean cosine distance of two images of a prompt, mean over prompts. Variance: of the predicted "
            "clean latents over the last denoising steps, mean over images. Images of one seed share their noise, so "
            "intervals over several prompts are approximate; the paired table below takes seeds as units."
        ),
    )  # fmt: skip


def _pair_table(summary: SweepSummary) -> PageTable:
    return PageTable(
        "Checkpoints against each other, on the same seeds",
        ("from → to", "quantity", "change", "95 % interval", "p", "seeds"),
        [
            (
                f"{row.first} → {row.second}",
                row.quantity,
                decimal(row.difference.mean, 3),
                _range(row.difference.interval, lambda value: decimal(value, 3)),
                "< 0.001" if row.difference.p_value < 0.001 else f"{row.difference.p_value:.3f}",
                str(row.difference.n),
            )
            for row in summary.pairs
        ],
        note=(
            "Bootstrap interval and sign-flip test over seeds, each averaged over prompts. The p-values "
            "are not corrected for "
            "their number."
        ),
    )


def _mean_table(run: SweepRun) -> PageTable:
    rows = []
    for cell in run.cells:
        mean, displacement = cell["mean"], cell["mean"]["displacement"]
        detectable, alarms = displacement["detectable"], displacement["false_alarms"]
        rows.append(
            (
                f"{cell['checkpoint']}: {cell['prompt']}",
                *(_side(mean[test]["inside"]) for test in ("paper", "k_matched")),
                displacement["state"],
                decimal(displacement["observed"], 2),
                *(_detectable(detectable[test], alarms[test]) for test in ("paper", "k_matched")),
                *(percent(alarms[test]) for test in ("paper", "k_matched")),
            )
        )
    return PageTable(
        f"Tests of the mean of {run.settings.n_images} images, and what they could notice",
        (
            "cell", "paper's test", "K-matched test", "nearest state", "displacement", "noticed from, paper",
            "noticed from, K-matched", "false alarms, paper", "false alarms, K-matched",
        ),
        rows,
        note=(
            "Displacement: distance of the mean of the images from the centre of the nearest state's "
            "genuine images, in "
            "spreads of one genuine image. Noticed from: how far means of as many genuine images must be "
            "moved that way until "
            "the test calls 80 % of them hallucinations. False alarms: share of means of fresh genuine "
            "images, not moved at "
            "all, that the test calls hallucinations."
        ),
    )  # fmt: skip


def _guided_table(summary: SweepSummary) -> PageTable:
    has_truth = any(row.truths for row in summary.guided)
    return PageTable(
        "Plain, kept and best-of-n on the same seeds",
        (
            "checkpoint, way", "images", "outside", *(TRUTHS if has_truth else ()), "truly genuine, 95 %",
            "diversity", "95 % interval", "most probable as", "painted per image", "seconds per image",
        ),
        [
            (
                f"{row.checkpoint}, {row.way}", f"{row.n:,}", f"{row.n_outside:,}",
                *((str((row.truths or {}).get(truth, MISSING)) for truth in TRUTHS) if has_truth else ()),
                _range(row.genuine, percent), decimal(row.diversity, 3),
                _range(row.diversity_interval, lambda value: decimal(value, 3)),
                ", ".join(f"{state} {n}" for state, n in row.states.items()),
                decimal(row.images_per_kept, 2), decimal(row.seconds_per_kept, 2),
            )
            for row in summary.guided
        ],
        note=(
            "Truth, read by a probe: "
            + "; ".join(f"{truth}: {words}" for truth, words in TRUTH_WORDS.items())
            + ". Seconds are painting and judging on the machine of the run, whatever else it did."
        ),
    )  # fmt: skip


def _detector_tables(summary: SweepSummary) -> list[PageTable]:
    tables = []
    if summary.confusion:
        tables.append(
            PageTable(
                "Verdict against truth",
                ("images", "truth", "n", "outside", "share", "95 % interval"),
                [
                    (
                        row.group, row.truth, str(row.n), str(row.n_outside), percent(row.outside),
                        _range(row.interval, percent),
                    )
                    for row in summary.confusion
                ],
            )
        )  # fmt: skip
    if summary.detectors:
        tables.append(
            PageTable(
                "How well each detector finds bad images among genuine ones",
                ("images", "detector", "finds", "bad / genuine", "AUROC", "95 % interval"),
                [
                    (
                        row.group, row.detector, row.bad, f"{row.n_bad} / {row.n_genuine}", decimal(row.auroc, 3),
                        _range(row.interval, lambda value: decimal(value, 3)),
                    )
                    for row in summary.detectors
                ],
                note="0.5 is guessing. Intervals over seeds drawn again. A dash: one side has no image.",
            )
        )  # fmt: skip
    tables.append(
        PageTable(
            "Whether margin and variance agree",
            ("images", "last steps", "n", "rank correlation", "kappa"),
            [
                (
                    row.group,
                    str(row.window),
                    str(row.n),
                    decimal(row.rank_correlation, 2),
                    decimal(row.kappa, 2),
                )
                for row in summary.agreement
            ],
            note="Kappa when the variance flags as many images as are outside; a dash where all or none are.",
        )
    )
    return tables


def _cell_table(run: SweepRun) -> PageTable:
    states = list(run.header["thresholds"])
    return PageTable(
        f"{run.settings.n_images} images per checkpoint and prompt",
        (
            "cell", "outside", "rate", "95 % interval", "mean margin (nats)",
            *(f"log-density of the mean, {state}" for state in states), "diversity", "variance of x0",
            *(f"most probable as {state}" for state in states), "seconds",
        ),
        [
            (
                f"{cell['checkpoint']}: {cell['prompt']}", str(cell["n_outside"]), percent(cell["hallucination_rate"]),
                f"{percent(cell['interval']['low'])} to {percent(cell['interval']['high'])}",
                decimal(cell["margin_nats"]["mean"], 1),
                *(decimal(cell["mean"]["log_density"][state], 1) for state in states),
                decimal(cell["diversity"]["value"], 3),
                decimal(cell["x0_variance"] and cell["x0_variance"]["mean"], 6),
                *(str(cell["states"][state]) for state in states), decimal(cell["seconds"], 1),
            )
            for cell in run.cells
        ],
        note="`points.csv` beside this page holds them under the paper's column names.",
    )  # fmt: skip


def _samples(run: SweepRun, folder: Path) -> list[PagePictures]:
    """Some images outside per checkpoint, spread over the whole range of margins."""
    grids = []
    for checkpoint in run.settings.checkpoints:
        outside = sorted(
            (r for r in run.images if r["checkpoint"] == checkpoint and not r["inside"]),
            key=lambda record: record["margin_nats"],
        )
        outside = [record for record in outside if (folder / record["path"]).is_file()]
        chosen = [outside[place] for place in _spread(len(outside), SAMPLES_PER_CHECKPOINT)]
        if chosen:
            grids.append(
                PagePictures(
                    f"{checkpoint}: {len(chosen)} of {len(outside):,}",
                    [((folder / record["path"]).read_bytes(), _sample_words(record)) for record in chosen],
                    note="From the least probable to the one nearest to its threshold.",
                )
            )
    return grids


def _spread(n: int, n_chosen: int) -> list[int]:
    """Places spread evenly over 0 … n − 1, the ends included."""
    if n <= n_chosen:
        return list(range(n))
    return [round(place * (n - 1) / (n_chosen - 1)) for place in range(n_chosen)]


def _sample_words(record: Mapping[str, Any]) -> str:
    truth = f", {record['truth']}" if record["truth"] else ""
    return f"{decimal(record['margin_nats'], 1)} nats{truth}; seed {record['seed']}"


def _receipt(run: SweepRun, folder: Path) -> Receipt:
    header = run.header
    rows = [(name, setting_text(value)) for name, value in header["settings"].items()]
    rows += [(name, setting_text(value)) for name, value in header["paint"].items()]
    rows += [
        ("batch size", str(header["batch_size"])),
        ("frame", header["frame"]),
        ("embedder", header["embedder"]),
        ("probe", header["probe"] or "none"),
    ]
    rows += [(f"SHA-256 of {name}", value or "on the Hub") for name, value in header["checkpoints"].items()]
    paths = sorted(folder.glob(RECORDS_PATTERN))
    return Receipt(
        PageTable("Settings", ("setting", "value"), rows),
        header["versions"],
        {path.name: file_sha256(path) for path in paths},
    )


def _side(inside: bool) -> str:
    return "inside" if inside else "outside"


def _detectable(moved: float | None, false_alarms: float) -> str:
    """From where on a displacement is noticed; a test that always alarms notices none."""
    if moved is not None:
        return decimal(moved, 2)
    return "alarms anyway" if false_alarms >= 0.8 else "not noticed"


def _range(interval: Interval | None, written: Any) -> str:
    return MISSING if interval is None else f"{written(interval.low)} to {written(interval.high)}"
