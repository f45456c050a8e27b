"""Poor models, recorded: the n-grams of Corollary 2 and the linear separator on a circle, beside Theorem 3."""

from dataclasses import asdict, dataclass, field
from typing import Any

from hallulab.errors import RefusedInputError
from hallulab.records import RecordFile, library_versions
from hallulab.theory.circle_separator import CircleSettings, FamilyPoint, circle_families
from hallulab.theory.poor_ngrams import WindowPoint, corollary_2_world, window_points, windows_world

FILE_NAME = "iiv-poor-models.jsonl"


@dataclass(frozen=True)
class PoorModelsSettings:
    """What is enumerated."""

    longest: int = 9
    """n-grams from n = 1 to this"""
    corollary_steps: int = 100
    """tables of the two prompts have multiples of 1 over this"""
    windows_steps: int = 4
    """tables of the prompts at several distances: there are (this + 1)^contexts of them"""
    circle: CircleSettings = field(default_factory=CircleSettings)


@dataclass(frozen=True)
class PoorModels:
    """Everything that was enumerated."""

    settings: PoorModelsSettings
    corollary_2: tuple[WindowPoint, ...]
    """the paper's two prompts, by n"""
    windows: tuple[WindowPoint, ...]
    """the pronoun at four distances, by n"""
    circle: tuple[FamilyPoint, ...]
    versions: dict[str, str]


def compute_poor_models(
    settings: PoorModelsSettings | None = None, *, records: RecordFile | None = None
) -> PoorModels:
    """Enumerate, in some seconds, and keep what was found."""
    chosen = settings or PoorModelsSettings()
    orders = range(1, chosen.longest + 1)
    found = PoorModels(
        chosen,
        window_points(corollary_2_world(), orders, n_steps=chosen.corollary_steps),
        window_points(windows_world(), orders, n_steps=chosen.windows_steps),
        circle_families(chosen.circle),
        library_versions(),
    )
    if records:
        records.append(asdict(found))
    return found


def read_poor_models(records: RecordFile) -> PoorModels | None:
    """What was last enumerated; None without a record.

    Raises RefusedInputError for another version's record.
    """
    found: list[dict[str, Any]] = records.read()
    if not found:
        return None
    last = found[-1]
    try:
        given = last["settings"]
        return PoorModels(
            PoorModelsSettings(**given | {"circle": CircleSettings(**given["circle"])}),
            tuple(WindowPoint(**point) for point in last["corollary_2"]),
            tuple(WindowPoint(**point) for point in last["windows"]),
            tuple(FamilyPoint(**point) for point in last["circle"]),
            last["versions"],
        )
    except (KeyError, TypeError) as error:
        raise RefusedInputError(
            f"expected poor models of this version in {records.path}, got others ({error}): make them again with "
            "`python -m hallulab iiv --poor-models --out FOLDER`"
        ) from error
