"""`bounds`: Theorem 6.1 beside proved bounds and the measured truth, for chosen laws or from data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallulab.cli.console import print_json, print_table, progress_bar, quiet_stdout, sentence
from hallulab.errors import RefusedInputError

if TYPE_CHECKING:
    from hallulab.experiments.bounds_audit import BoundsAudit
    from hallulab.experiments.bounds_from_data import DataAudit
    from hallulab.experiments.bounds_search import Found


def bounds(
    law: Annotated[
        str, typer.Option(help="Of the conditional means: gaussian, uniform, laplace, two_point or student_t.")
    ] = "gaussian",
    states: Annotated[int, typer.Option(help="N: latent states.")] = 2,
    radius: Annotated[
        float | None, typer.Option(help="r: a ball of this radius around μ_i holds the region U_i.")
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="δ instead of r: the regions are those of N(μ_i, REGION_VARIANCE · I).")
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
        typer.Option(help="Conditional means instead of a law: .npy (n, N[, dimensions]) or .npz, one array per state."),
    ] = None,
    frame: Annotated[
        Path | None, typer.Option(help="A picture frame instead of a law: means of its held-out images.")
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(help="With --frame: paint this and take the means of the images; {state} is filled in. Repeatable."),
    ] = None,
    images: Annotated[int, typer.Option(help="Images behind each mean of --frame.")] = 16,
    checkpoint: Annotated[str | None, typer.Option(help="With --prompt: who paints.")] = None,
    search: Annotated[
        int | None, typer.Option(help="Try so many settings of N states for one whose product exceeds the truth.")
    ] = None,
    grid: Annotated[
        Path | None, typer.Option(help="Measure bound / truth over laws, N and r, and draw it into this HTML file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """How often must an optimal estimator hallucinate? The paper's bound, proved bounds, the measured rate."""
    with quiet_stdout():
        if search is not None:
            found = _search(states, search, seed)
        elif grid is not None:
            points = _grid(grid, draws, seed)
        elif means is not None or frame is not None:
            given = _given_radius(radius, delta, region_variance, 1)
            data = _from_data(
                means, frame, radius=given, weights=weight, draws=draws, seed=seed, prompts=prompt or [],
                images=images, checkpoint=checkpoint,
            )  # fmt: skip
        else:
            if prompt or checkpoint:
                raise RefusedInputError("expected --prompt together with --frame: name the frame that judges")
            chosen = _given_radius(radius, delta, region_variance, dimensions)
            audit = _audit(
                law, states, 0.1 if chosen is None else chosen, draws, seed, variances=variance or [1.0],
                weights=weight, n_dimensions=dimensions, degrees_of_freedom=degrees_of_freedom,
            )  # fmt: skip
    if search is not None:
        print_json(_search_json(found, states, search, seed)) if as_json else _print_found(found, states, search)
    elif grid is not None:
        print_json({"path": grid, "points": points}) if as_json else print(f"Wrote {len(points)} points to {grid}.")
    elif means is not None or frame is not None:
        print_json(data.to_json()) if as_json else _print_data(data)
    else:
        print_json(audit.to_json()) if as_json else _print_audit(audit)


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


def _audit(law: str, states: int, radius: float, draws: int | None, seed: int, **options: Any) -> "BoundsAudit":
    from hallulab.experiments.bounds_audit import audit_theorem, setting_of

    chosen = {} if draws is None else {"n_draws": draws}
    return audit_theorem(setting_of(law, states, radius, **options), seed=seed, **chosen)


def _search(states: int, n_tried: int, seed: int) -> "Found | None":
    from hallulab.experiments.bounds_search import search_counterexample

    return search_counterexample(states, n_tried=n_tried, seed=seed)


def _grid(path: Path, draws: int | None, seed: int) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from hallulab.experiments.bounds_audit import tightness_grid
    from hallulab.reports.bounds_figures import tightness_figure

    chosen = {} if draws is None else {"n_draws": draws}
    points = []
    with progress_bar(None, "number") as bar:
        for point in tightness_grid(seed=seed, **chosen):
            points.append(point)
            bar.update()
    try:
        tightness_figure(points).write_html(path, include_plotlyjs=True)
    except OSError as error:
        raise RefusedInputError(
            f"expected a file that can be written, got {path} ({error.strerror}): choose another --grid"
        ) from error
    return [asdict(point) for point in points]


def _from_data(
    means: Path | None,
    frame: Path | None,
    *,
    radius: float | None,
    weights: list[float] | None,
    draws: int | None,
    seed: int,
    prompts: list[str],
    images: int,
    checkpoint: str | None,
) -> "DataAudit":
    import numpy as np

    from hallulab.experiments.bounds_from_data import (
        audit_means,
        frame_radius,
        held_out_means,
        painted_means,
        read_means,
    )
    from hallulab.scoring.pictures import PictureFrame

    chosen = {} if draws is None else {"n_draws": draws}
    if means is not None:
        if frame is not None or prompts:
            raise RefusedInputError("expected --means or --frame, got both: leave one out")
        if radius is None:
            raise RefusedInputError("expected --radius or --delta with --means: r is not in the file")
        return audit_means(read_means(means), radius, weights=weights, seed=seed, **chosen)
    assert frame is not None  # the caller saw one of the two
    loaded = PictureFrame.load(frame)
    if prompts:
        from hallulab.cli.world import start_engine

        sampled = painted_means(
            start_engine(), loaded, prompts, n_images=images, seed=seed, checkpoint=checkpoint
        )
    else:
        sampled = held_out_means(loaded, images, rng=np.random.default_rng(seed))
    r = frame_radius(loaded.features, sampled) if radius is None else radius
    return audit_means(sampled, r, weights=weights, seed=seed, frame=loaded.features, **chosen)


def _print_audit(audit: "BoundsAudit") -> None:
    from hallulab.experiments.bounds_audit import BOUND_TITLES

    print(sentence(audit.sentence()))
    measured = audit.measured
    rows = [(BOUND_TITLES["paper"], _number(audit.paper.value), _number(audit.tightness(audit.paper)), _proof(audit))]
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
            f"  state 1: P = {_number(state.factor)}, K = {_number(state.fourth_ratio)}, best α = {_number(state.alpha)}, "
            f"θ = {_number(state.theta)}"
        )
    print(f"  N = {audit.setting.n_states}, r = {audit.setting.radius:.6g}, seed {audit.seed}")


def _print_data(data: "DataAudit") -> None:
    print(data.sentence())
    rows = [
        (state, str(len(sample)), _number(weight), _number(moment.variance), _number(moment.fourth_ratio), _number(offset))
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


def _print_found(found: "Found | None", states: int, n_tried: int) -> None:
    if found is None:
        print(f"All {n_tried:,} settings of {states} states were silent.")
        return
    n_compared = found.n_tried - found.n_silent
    print(
        f"{found.n_exceeding} of {n_compared:,} settings have a product above P_H "
        f"({found.n_silent:,} more were silent)."
    )
    print(
        f"  closest: product {found.product:.4g}, P_H {found.probability:.6g} (exact), ratio {found.ratio:.4g}, "
        f"r = {found.setting.radius:.4g}"
    )


def _search_json(found: "Found | None", states: int, n_tried: int, seed: int) -> dict[str, Any]:
    if found is None:
        return {"n_states": states, "n_tried": n_tried, "n_silent": n_tried, "n_exceeding": 0, "setting": None}
    return found.to_json() | {"seed": seed}


def _proof(audit: "BoundsAudit") -> str:
    return "proved for N = 2" if audit.paper.is_proved else "not proved"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
