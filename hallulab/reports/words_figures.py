"""The figures of a words sweep: Figure 4 with its controls, slopes, power, lengths, verdicts, where hints pay."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

from hallulab.data.paper_table_1 import HIGHEST, LOWEST, TABLE_1, paper_models, paper_scores
from hallulab.experiments.words_power import POWER
from hallulab.experiments.words_resemblance_summary import CONTROLS, CheckpointSummary
from hallulab.experiments.words_slopes import paper_slopes
from hallulab.experiments.words_sweep import ResemblanceRun, VerdictsRun
from hallulab.experiments.words_verdicts_run import Rate
from hallulab.reports.charts import Chart, Mark, Series
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, STATE_COLOURS
from hallulab.reports.words_cells import rate_of_learning
from hallulab.reports.words_tables import SCORES, set_title

BASE, PAPER, LENGTH = STATE_COLOURS[0], STATE_COLOURS[1], STATE_COLOURS[3]
LOSS_COLOURS = (OUTSIDE, *STATE_COLOURS)
ALL = "all"
"""where the mean over all trainings stands"""
DRAWN: dict[str, tuple[str, str, Mark]] = {
    "incorrect": ("wrong answers: the paper's score", OUTSIDE, "line"),
    "correct": ("right answers", INSIDE, "line"),
    "null_incorrect": ("wrong answers to other questions", NEUTRAL, "dashed"),
    "length_alone": ("length alone", LENGTH, "dotted"),
}
"""quantity → its name, colour and line in Figure 4"""
MOST_BANDS = 3
"""trainings whose intervals are drawn; those of more hide each other, and the slopes have them"""


def resemblance_charts(run: ResemblanceRun) -> Iterator[Chart]:
    """Figure 4 and the figure by length; none of them where nothing was scored."""
    if any(row.means["incorrect"] for row in run.summary.checkpoints):
        yield figure_4(run)
        yield length_chart(run)
    if run.summary.slopes:
        yield slopes_chart(run)
    if run.summary.powers:
        yield power_chart(run)


def figure_4(run: ResemblanceRun) -> Chart:
    """Resemblance by epoch, one line per training, with bands; the controls in the same picture."""
    trainings, names = _trainings(run.summary.checkpoints)
    series = []
    for quantity, (name, colour, mark) in DRAWN.items():
        is_listed = True
        for rows in trainings:
            means = [row.means[quantity] for row in rows.values()]
            if not any(means):
                continue
            series.append(
                Series(
                    name,
                    list(rows),
                    [one and one.mean for one in means],
                    colour,
                    mark,
                    *(
                        (
                            [one and one.interval.low for one in means],
                            [one and one.interval.high for one in means],
                        )
                        if len(trainings) <= MOST_BANDS
                        else (None, None)
                    ),
                    is_band=len(names) > 1,
                    is_listed=is_listed,
                )
            )
            is_listed = False
    tops = [value for one in series for value in (one.high or one.y) if value is not None]
    bands = "; bands are 95 % bootstrap intervals over questions" if len(trainings) <= MOST_BANDS else ""
    return Chart(
        title=f"Figure 4, measured here: {set_title(run.question_set)}, {run.result.settings.variant}",
        caption=(
            "Likeness of the answers (largest Gestalt ratio to a list) by epochs of fine-tuning, one line a training"
            f"{bands}. The grey line is the same answers against the wrong answers to other questions, the yellow one "
            "what texts of that length get that know nothing."
        ),
        series=series,
        x_title="fine-tuning",
        y_title="likeness, 0 to 1",
        y_range=(0.0, 1.1 * max(tops, default=1.0)),
        x_names=names,
    )


def slopes_chart(run: ResemblanceRun) -> Chart:
    """Change per epoch of the score and of what is left under control: every training, and all of a learning rate."""
    drawn = (("incorrect", OUTSIDE), (CONTROLS[run.result.settings.variant], INSIDE))
    series = []
    for quantity, colour in drawn:
        found = run.summary.slopes.get(quantity)
        if found is None:
            continue
        pooled = {rate_of_learning(one.learning_rate): one.slope for one in found.by_rate} | {
            ALL: found.slope
        }
        name = SCORES[quantity].split(":")[0]
        series.append(
            Series(
                f"{name}, pooled",
                list(pooled),
                [one.mean for one in pooled.values()],
                colour,
                "tick",
                [one.interval.low for one in pooled.values()],
                [one.interval.high for one in pooled.values()],
            )
        )
        places = [rate_of_learning(one.learning_rate) for one in found.by_training]
        means = [one.slope.mean for one in found.by_training]
        series.append(Series(f"{name}, one training", places, means, colour, "point"))
    values = [
        v for one in series for ends in (one.low or one.y, one.high or one.y) for v in ends if v is not None
    ]
    names = list(dict.fromkeys(x for one in series for x in one.x if x != ALL))
    reach = 1.15 * max(map(abs, values), default=0.0) or 1.0  # nothing may have moved at all
    return Chart(
        title=f"Change per epoch of training: {set_title(run.question_set)}, {run.result.settings.variant}",
        caption=(
            "Least-squares slope through the base. Dots are single trainings; bars are means of all at one learning "
            "rate, and of all, with 95 % intervals about other questions and other training seeds. The paper's own "
            f"scores rise by {min(paper_slopes().values()):.4f} to {max(paper_slopes().values()):.4f} per epoch."
        ),
        series=series,
        x_title="learning rate",
        y_title="change per epoch",
        y_range=(-reach, reach),
        x_names=[*names, ALL],
    )  # fmt: skip


def power_chart(run: ResemblanceRun) -> Chart:
    """What each score notices when a share of answers is swapped for listed wrong ones."""
    colours = (OUTSIDE, BASE, INSIDE)
    series = [
        Series(
            SCORES[power.quantity].split(":")[0],
            [100 * share for share in power.shares if share],
            [value for share, value in zip(power.shares, power.powers, strict=True) if share],
            colour,
        )
        for power, colour in zip(run.summary.powers, colours, strict=True)
    ]
    lowest = min((x for one in series for x in one.x), default=0.1)
    highest = max((x for one in series for x in one.x), default=100.0)
    series.append(Series("80 %", [float(lowest), float(highest)], [POWER, POWER], NEUTRAL, "dotted"))
    return Chart(
        title="Positive control: what would be noticed",
        caption=(
            "A share of the answers is swapped for listed wrong answers to their questions: how often a comparison "
            "with the base finds that the score rose (sign-flip test at 5 %, one comparison)."
        ),
        series=series,
        x_title="swapped answers (%)",
        y_title="share of repetitions that notice it",
        y_range=(0.0, 1.05),
        is_log_x=True,
    )


def paper_chart() -> Chart:
    """The paper's Figure 4 from its own numbers."""
    names = [_epoch_name(epoch) for epoch in sorted({one.epochs for one in TABLE_1})]
    marks: tuple[tuple[int, Mark], ...] = ((1, "line"), (2, "dashed"))
    series = [
        Series(f"{model}, seed {seed}", names, list(scores.values()), colour, mark)
        for model, colour in zip(paper_models(), (PAPER, BASE), strict=True)
        for seed, mark in marks
        if (scores := dict(sorted(paper_scores(model, seed).items())))
    ]
    return Chart(
        title="The paper's Figure 4: its numbers, none measured here",
        caption=(
            "Table 1 of arXiv 2509.21473, without intervals, as the paper gives none. Scored with the question "
            "decoded into the output, as the variant paper_code does."
        ),
        series=series,
        x_title="fine-tuning",
        y_title="the paper's score",
        y_range=(0.0, 0.35),
        x_names=names,
    )


def length_chart(run: ResemblanceRun) -> Chart:
    """Resemblance against the length of what is scored, with the curve of texts that know nothing."""
    summary = run.summary
    bases = {row.checkpoint for row in summary.checkpoints if row.is_base}
    series = []
    listed = set()
    for row in summary.checkpoints:
        bins = [one for one in summary.by_length if one.checkpoint == row.checkpoint]
        x = [one.mean_characters for one in bins]
        name, colour = ("base", BASE) if row.checkpoint in bases else ("tuned", OUTSIDE)
        low, high = (
            [one.incorrect.interval.low for one in bins],
            [one.incorrect.interval.high for one in bins],
        )
        scores = [one.incorrect.mean for one in bins]
        series.append(Series(name, x, scores, colour, "point", low, high, is_listed=name not in listed))
        null = "the same answers, other questions"
        means = [one.null_incorrect.mean for one in bins]
        series.append(Series(null, x, means, NEUTRAL, "dotted", is_listed=null not in listed))
        alone = "texts as long that know nothing"
        series.append(
            Series(alone, x, [one.length_alone for one in bins], LENGTH, is_listed=alone not in listed)
        )
        listed |= {name, null, alone}
    longest = max((one.mean_characters for one in summary.by_length), default=100.0)
    ends = [0.0, 1.1 * longest]
    for value, is_listed in ((LOWEST, True), (HIGHEST, False)):
        series.append(
            Series("range of the paper's Table 1", ends, [value, value], PAPER, "dashed", is_listed=is_listed)
        )
    tops = [one.incorrect.interval.high for one in summary.by_length]
    alone_tops = [one.length_alone for one in summary.by_length if one.length_alone is not None]
    return Chart(
        title="The score against the length of what is scored",
        caption=(
            "Each dot is an eighth of all answers, sorted by length, of one checkpoint; whiskers are 95 % bootstrap "
            "intervals. The yellow line is the score of unrelated everyday sentences, cut to exactly an answer's length"
            + (", behind the question" if run.result.settings.choices.scores_prompt else "")
            + ": dots on it say no more than their length. The dashed lines are the range of the paper's Table 1."
        ),
        series=series,
        x_title="characters",
        y_title="likeness to the closest wrong answer",
        y_range=(0.0, 1.1 * max([*tops, *alone_tops, HIGHEST])),
    )


def verdicts_charts(run: VerdictsRun) -> Iterator[Chart]:
    """Rates, rates by loss, and where hints pay, as far as they were measured."""
    if any(row.hallucination_rate.value is not None for row in run.summary.checkpoints):
        yield rate_chart(run)
        if sum(row.training_loss is not None for row in run.summary.checkpoints) > 1:
            yield loss_chart(run)
    if run.summary.hints:
        yield hints_chart(run)


def rate_chart(run: VerdictsRun) -> Chart:
    """Hallucination rate of every checkpoint, and where it is known what is truly wrong."""
    rows = run.summary.checkpoints
    names = [row.checkpoint for row in rows]
    measured = {
        "outside every region": ([row.hallucination_rate for row in rows], OUTSIDE),
        "truly wrong (small world)": ([row.wrong for row in rows], NEUTRAL),
    }
    series = [
        _of_rates(name, names, rates, colour, "point")
        for name, (rates, colour) in measured.items()
        if any(one.value is not None for one in rates)
    ]
    return Chart(
        title="Hallucination rate on open-ended questions",
        caption="Share of answers outside every region, with 95 % intervals; all judged by one frozen scorer.",
        series=series,
        x_title="",
        y_title="share of answers",
        y_range=_from_0(series),
        x_names=names,
    )


def loss_chart(run: VerdictsRun) -> Chart:
    """Hallucination rate against training loss: does a lower loss mean fewer?"""
    rows = sorted(
        (row for row in run.summary.checkpoints if row.training_loss is not None),
        key=lambda row: row.training_loss or 0.0,
    )
    rates = list(dict.fromkeys(row.training and row.training.learning_rate for row in rows))
    series = []
    for rate, colour in zip(sorted(rates, key=lambda value: value or 0.0), cycle(LOSS_COLOURS)):
        group = [row for row in rows if (row.training and row.training.learning_rate) == rate]
        name = f"learning rate {rate_of_learning(rate)}" if len(rates) > 1 else "one tuned checkpoint"
        losses = [row.training_loss or 0.0 for row in group]
        series.append(_of_rates(name, losses, [row.hallucination_rate for row in group], colour, "point"))
    return Chart(
        title="The same rate against training loss",
        caption="Loss of the last epoch, nats per answer token; the base was not tuned and has none.",
        series=series,
        x_title="training loss (nats per token)",
        y_title="outside every region",
        y_range=_from_0(series),
    )


def hints_chart(run: VerdictsRun) -> Chart:
    """Genuine answers let in with hints and without, by how often their cause occurs."""
    rows = [row for row in run.summary.hints if row.inside_hinted.value is not None]
    rows = [row for row in rows if row.answers != "every" or row.causes == "50/50"]
    names = [f"{row.causes}, {row.answers}" for row in rows]
    series = [
        _of_rates(name, names, rates, colour, "bar")
        for name, rates, colour in (
            ("with hints", [row.inside_hinted for row in rows], INSIDE),
            ("one plain threshold", [row.inside_plain for row in rows], NEUTRAL),
        )
    ]
    return Chart(
        title="Where hints pay: genuine answers let in",
        caption=(
            "By how often the cause of an answer occurs without a hint. One threshold on p(answer | question) calls "
            "genuine answers of a rare cause hallucinations; a region per hint does not."
        ),
        series=series,
        x_title="causes, and whose answers",
        y_title="share let in",
        y_range=(0.0, 1.05),
        x_names=names,
    )


def _trainings(
    checkpoints: Sequence[CheckpointSummary],
) -> tuple[list[dict[str, CheckpointSummary]], list[str]]:
    """Lines of place → checkpoint, and all places in order: by epoch where it is known, else by name."""
    bases = [row for row in checkpoints if row.is_base]
    base = {"base": bases[0]} if bases else {}
    tuned = [row for row in checkpoints if not row.is_base]
    lines: dict[str, dict[int, CheckpointSummary]] = {}
    for row in tuned:
        if row.training and row.training.epoch:
            lines.setdefault(row.training.training, {})[row.training.epoch] = row
    if not tuned or sum(map(len, lines.values())) < len(tuned):
        rows = base | {row.checkpoint: row for row in tuned}
        return [rows], list(rows)
    epochs = sorted({epoch for line in lines.values() for epoch in line})
    named = [
        base | {_epoch_name(epoch): row for epoch, row in sorted(line.items())} for line in lines.values()
    ]
    return named, [*base, *map(_epoch_name, epochs)]


def _of_rates(name: str, x: Sequence[Any], rates: Sequence[Rate], colour: str, mark: Mark) -> Series:
    """Shares with their intervals."""
    low, high = ([one.interval and getattr(one.interval, end) for one in rates] for end in ("low", "high"))
    return Series(name, x, [one.value for one in rates], colour, mark, low, high)


def _epoch_name(epoch: int) -> str:
    return "base" if epoch == 0 else f"{epoch} epochs"


def _from_0(series: Sequence[Series]) -> tuple[float, float]:
    highs = [high for one in series for high in one.high or () if high is not None]
    top = max(highs, default=1.0)
    return (-0.02 * top, 1.15 * top)
