"""`bounds`: Theorem 6.1 beside proved bounds and the measured truth, for chosen laws or from data."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallulab.cli.console import Outcome, print_table, progress_bar, quiet_stdout, sentence
from hallulab.cli.world import given, output_folder, start_engine
from hallulab.errors import RefusedInputError

if TYPE_CHECKING:
    from hallulab.densities.feature_frame import FeatureFrame
    from hallulab.experiments.bounds_audit import BoundsAudit
    from hallulab.experiments.bounds_from_data import DataAudit, SampledMeans
    from hallulab.experiments.bounds_search import Found
    from hallulab.theory.lower_bounds import MeanSetting

DEFAULT_RADIUS = 0.1


def bounds(
    law: Annotated[
        str,
        typer.Option(help="Of the conditional means: gaussian, uniform, laplace, two_point or student_t."),
    ] = "gaussian",
    states: Annotated[int, typer.Option(help="N: latent states.")] = 2,
    radius: Annotated[
        float | None, typer.Option(help="r: a ball of this radius around μ_i holds the region U_i.")
    ] = None,
    delta: Annotated[
        float | None,
        typer.Option(help="δ instead of r: the regions are those of N(μ_i, REGION_VARIANCE · I)."),
    ] = None,
    region_variance: Annotated[float, typer.Option(help="Per axis, of an answer around its mean.")] = 1.0,
    variance: Annotated[
        list[float] | None,
        typer.Option(help="Per axis, of the means; once for all states, or repeated for each. Default 1."),
    ] = None,
    weight: Annotated[
        list[float] | None, typer.Option(help="p_i, repeated for each state; equal by default.")
    ] = None,
    dimensions: Annotated[int, typer.Option(help="Of an answer; its axes are independent.")] = 1,
    degrees_of_freedom: Annotated[float | None, typer.Option(help="Of student_t, above 4.")] = None,
    draws: Annotated[int | None, typer.Option(help="Of the measured rate.")] = None,
    seed: Annotated[int, typer.Option(help="Of draws, groups and the search.", min=0)] = 0,
    means: Annotated[
        Path | None,
        typer.Option(
            help="Conditional means instead of a law: .npy (n, N[, dimensions]) or .npz, one array per state."
        ),
    ] = None,
    frame: Annotated[
        Path | None, typer.Option(help="A picture frame instead of a law: means of its held-out images.")
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="With --frame: paint this and take the means of the images; {state} is filled in. Repeatable."
        ),
    ] = None,
    images: Annotated[int, typer.Option(help="Images behind each mean of --frame.")] = 16,
    checkpoint: Annotated[str | None, typer.Option(help="With --prompt: who paints.")] = None,
    search: Annotated[
        int | None,
        typer.Option(help="Try so many settings of N states for one whose product exceeds the truth."),
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option(help="Measure bound / truth over laws, N and r, and draw it into this HTML file."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """How often must an optimal estimator hallucinate? The paper's bound, proved bounds, the measured rate."""
    from hallulab.experiments.bounds_audit import setting_of

    with quiet_stdout():
        if search is not None:
            outcome = _search(states, search, seed)
        elif grid is not None:
            outcome = _grid(grid, seed=seed, **given(n_draws=draws))
        elif means is not None or frame is not None:
            if means is not None and (frame is not None or prompt):
                raise RefusedInputError("expected --means or --frame, got both: leave one out")
            sampled, fitted = (
                (_means(means), None) if means else _framed(frame, prompt or [], images, checkpoint, seed)
            )
            outcome = _data(
                sampled, fitted, _given_radius(radius, delta, region_variance, sampled.n_dimensions),
                weights=weight, seed=seed, **given(n_draws=draws),
            )  # fmt: skip
        else:
            if prompt or checkpoint:
                raise RefusedInputError("expected --prompt together with --frame: name the frame that judges")
            r = _given_radius(radius, delta, region_variance, dimensions)
            setting = setting_of(
                law, states, DEFAULT_RADIUS if r is None else r, variances=variance or [1.0], weights=weight,
                n_dimensions=dimensions, degrees_of_freedom=degrees_of_freedom,
            )  # fmt: skip
            outcome = _audit(setting, seed=seed, **given(n_draws=draws))
    outcome.tell(as_json=as_json)


def _given_radius(
    radius: float | None, delta: float | None, region_variance: float, n_dimensions: int
) -> float | None:
    """r, or what δ makes of it."""
    import numpy as np

    from hallulab.theory.lower_bounds import region_radius

    if radius is not None and delta is not None:
        raise RefusedInputError("expected --radius or --delta, got both: leave one out")
    if delta is None:
        return radius
    return region_radius(delta, region_variance * np.eye(n_dimensions))


def _audit(setting: "MeanSetting", **options: Any) -> Outcome:
    from hallulab.experiments.bounds_audit import audit_theorem

    audit = audit_theorem(setting, **options)
    return Outcome(audit.to_json(), partial(_print_audit, audit))


def _search(states: int, n_tried: int, seed: int) -> Outcome:
    from hallulab.experiments.bounds_search import search_counterexample

    found = search_counterexample(states, n_tried=n_tried, seed=seed)
    if found is None:
        nothing = {
            "n_states": states,
            "n_tried": n_tried,
            "n_silent": n_tried,
            "n_exceeding": 0,
            "setting": None,
        }
        sentence_of_it = f"All {n_tried:,} settings of {states} states were silent."
        return Outcome(nothing | {"seed": seed}, partial(print, sentence_of_it))
    return Outcome(found.to_json() | {"seed": seed}, partial(_print_found, found))


def _grid(path: Path, **options: Any) -> Outcome:
    from hallulab.experiments.bounds_audit import tightness_grid
    from hallulab.reports.bounds_figures import tightness_figure

    output_folder(path.parent)
    points = []
    with progress_bar(None, "number") as bar:
        for point in tightness_grid(**options):
            points.append(point)
            bar.update()
    tightness_figure(points).write_html(path, include_plotlyjs=True, config={"displayModeBar": False})
    return Outcome(
        {"path": path, "points": [asdict(point) for point in points]},
        partial(print, f"Wrote {len(points)} numbers and their figure to {path}."),
    )


def _means(path: Path) -> "SampledMeans":
    from hallulab.experiments.bounds_from_data import read_means

    return read_means(path)


def _framed(
    folder: Path | None, prompts: list[str], n_images: int, checkpoint: str | None, seed: int
) -> "tuple[SampledMeans, FeatureFrame]":
    """Means of painted images, or of the frame's held-out ones when there is no prompt."""
    import numpy as np

    from hallulab.experiments.bounds_from_data import held_out_means, painted_means
    from hallulab.scoring.picture_frames import PictureFrame

    assert folder is not None  # the caller saw it
    frame = PictureFrame.load(folder)
    if not prompts:
        return held_out_means(frame, n_images, rng=np.random.default_rng(seed)), frame.features
    sampled = painted_means(
        start_engine(), frame, prompts, n_images=n_images, seed=seed, checkpoint=checkpoint
    )
    return sampled, frame.features


def _data(
    means: "SampledMeans", frame: "FeatureFrame | None", radius: float | None, **options: Any
) -> Outcome:
    from hallulab.experiments.bounds_from_data import audit_means, frame_radius

    if radius is None:
        if frame is None:
            raise RefusedInputError("expected --radius or --delta with --means: r is not in the file")
        radius = frame_radius(frame, means)
    data = audit_means(means, radius, frame=frame, **options)
    return Outcome(data.to_json(), partial(_print_data, data))


def _print_audit(audit: "BoundsAudit") -> None:
    from hallulab.experiments.bounds_audit import BOUND_TITLES

    print(sentence(audit.sentence()))
    measured = audit.measured
    rows = [
        (
            BOUND_TITLES["paper"],
            _number(audit.paper.value),
            _number(audit.tightness(audit.paper)),
            _proof(audit),
        )
    ]
    rows += [
        (BOUND_TITLES[bound.name], _number(bound.value), _number(audit.tightness(bound)), "proved")
        for bound in audit.proved
    ]
    rows.append(("measured", _number(measured.rate), "", f"{measured.n_draws:,} draws"))
    print_table(("lower bound on P_H", "value", "of measured", ""), rows)
    if audit.enclosure is not None:
        print(f"  P_H is between {audit.enclosure.low:.6g} and {audit.enclosure.high:.6g}")
    for bound in (audit.paper, *audit.proved):
        if bound.reason:
            print(f"  {BOUND_TITLES[bound.name]}: {bound.reason}")
    state = audit.paper.states[0]
    if audit.paper.value is not None:
        print(
            f"  state 1: P = {_number(state.factor)}, K = {_number(state.fourth_ratio)}, "
            f"best α = {_number(state.alpha)}, θ = {_number(state.theta)}"
        )
    print(f"  N = {audit.setting.n_states}, r = {audit.setting.radius:.6g}, seed {audit.seed}")


def _print_data(data: "DataAudit") -> None:
    print(data.sentence())
    rows = [
        (
            state,
            str(len(sample)),
            _number(weight),
            _number(moment.variance),
            _number(moment.fourth_ratio),
            _number(offset),
        )
        for state, sample, weight, moment, offset in zip(
            data.means.states, data.means.samples, data.weights, data.moments, data.offsets, strict=True
        )
    ]
    print_table(("state", "means", "p", "σ", "K", "own mean off by (√σ)"), rows)
    low, high = data.measured.interval.low, data.measured.interval.high
    print(f"  r = {data.radius:.6g}, {data.means.n_dimensions} dimensions; measured {low:.4g} to {high:.4g}")
    for bound in (data.paper, data.conditional):
        if bound.reason:
            print(f"  {bound.reason}")


def _print_found(found: "Found") -> None:
    print(
        f"{found.n_exceeding} of {found.n_tried - found.n_silent:,} settings have a product above P_H "
        f"({found.n_silent:,} more were silent)."
    )
    print(
        f"  closest: product {found.product:.4g}, P_H {found.probability:.6g} (exact), ratio {found.ratio:.4g}, "
        f"r = {found.setting.radius:.4g}"
    )


def _proof(audit: "BoundsAudit") -> str:
    return "proved for N = 2" if audit.paper.is_proved else "not proved"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
