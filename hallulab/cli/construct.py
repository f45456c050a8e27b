"""`construct`: build what a theorem says exists, and check it."""

from typing import TYPE_CHECKING, Annotated

import typer

from hallulab.cli.console import print_json, print_table

if TYPE_CHECKING:
    from hallulab.theory.certificates import Certificate, Claim

ROUNDING = 1e-12
LONGEST_TABLE = 12
"""claims printed for people; `--json` has them all"""


def construct(
    theorem: Annotated[str, typer.Argument(help="5.1, 5.2, 5.2.1, 5.3 or C.1.")],
    version: Annotated[
        str | None,
        typer.Option(
            help="as_written, repaired (the default), or nonempty: repaired, with answers above δ for every state."
        ),
    ] = None,
    n_states: Annotated[int | None, typer.Option(help="N; as many as weights, or else 2.")] = None,
    n_dimensions: Annotated[int | None, typer.Option(help="Of a target; 2, and for C.1 always N.")] = None,
    weights: Annotated[
        list[float] | None, typer.Option(help="p_i, once per state; equal when not given.")
    ] = None,
    delta: Annotated[float | None, typer.Option(help="δ; 0.1 when not given.")] = None,
    variance: Annotated[
        list[float] | None,
        typer.Option(help="5.1: of the states before the last, once or once per state. C.1: of every state."),
    ] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="5.2, 5.2.1: how far from A* an estimator may be.")
    ] = None,
    n_inputs: Annotated[int | None, typer.Option(help="5.2.1: how many inputs.")] = None,
    lipschitz: Annotated[float | None, typer.Option(help="5.3: Lipschitz constant of the estimator.")] = None,
    hint_norms: Annotated[
        list[float] | None, typer.Option(help="5.3: length of a hint, once or once per state.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Build the mixture that a theorem says exists, and check every claim about it in numbers."""
    from hallulab.theory.constructions import construct as build

    given = {
        "version": version, "n_states": n_states, "n_dimensions": n_dimensions, "weights": weights, "delta": delta,
        "covariances": _one_or_all(variance), "epsilon": epsilon, "n_inputs": n_inputs, "lipschitz": lipschitz,
        "hint_norms": _one_or_all(hint_norms),
    }  # fmt: skip
    certificate = build(theorem, **{name: value for name, value in given.items() if value is not None})
    if as_json:
        print_json(certificate.to_json())
    else:
        _print(certificate)


def _one_or_all(values: list[float] | None) -> float | list[float] | None:
    return values[0] if values and len(values) == 1 else values or None


def _print(certificate: "Certificate") -> None:
    asked = certificate.parameters
    print(
        f"Theorem {certificate.theorem}, {certificate.version.replace('_', ' ')}: N = {asked['n_states']}, "
        f"d = {asked['n_dimensions']}, δ = {asked['delta']:g}"
    )
    print(certificate.statement)
    shown = sorted(certificate.claims, key=_most_telling)[:LONGEST_TABLE]
    shown = [claim for claim in certificate.claims if claim in shown]
    rows = [
        (
            _name(certificate, claim),
            claim.kind,
            f"{_shown(claim.left):.6g}",
            f"{_shown(claim.right):.6g}",
            f"{_shown(claim.margin):+.3g}",
            claim.unit,
            "yes" if claim.holds else "NO",
        )
        for claim in shown
    ]
    print_table(("claim: left <= right", "kind", "left", "right", "margin", "unit", "holds"), rows)
    if len(shown) < len(certificate.claims):
        print(f"  … and {len(certificate.claims) - len(shown)} claims with more room; --json has all.")
    n_claims, n_failures = len(certificate.claims), len(certificate.failures)
    print(f"{n_claims - n_failures} of {n_claims} claims hold.")
    if certificate.reason:
        print(certificate.reason)
    print(certificate.remark)


def _most_telling(claim: "Claim") -> tuple[bool, bool, float]:
    """Failures first, then what A* is, then the claims with the least room."""
    return claim.holds, claim.kind != "estimator", round(claim.margin, 6)


def _shown(value: float) -> float:
    """A number for people, for whom rounding is 0."""
    return 0.0 if abs(value) < ROUNDING else value


def _name(certificate: "Certificate", claim: "Claim") -> str:
    return f"X_{claim.input}: {claim.about}" if len(certificate.mixtures) > 1 else claim.about
