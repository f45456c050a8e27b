"""Arbitrary facts: learners beside the bounds on them, world after world, resumable (§3 of [KNVZ])."""

from collections.abc import Generator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from hallulab.data.facts_world import WorldSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.facts_measure import (
    curve_sizes,
    draw_facts,
    measure_learner,
    play_facts,
    size_curve,
)
from hallulab.experiments.facts_run import (
    LEARNERS,
    QWEN,
    FactsSettings,
    FrequencyBin,
    LearnerPoint,
    SizePoint,
    WorldPoint,
)
from hallulab.experiments.facts_summary import FactsResult
from hallulab.experiments.facts_training import train_facts_qwen
from hallulab.models.fact_learners import GROUPED_LEARNERS
from hallulab.models.facts_qwen import FactsQwenSettings
from hallulab.records import RecordFile, as_plain, library_versions
from hallulab.theory.arbitrary_facts import FirstSize, count_singletons

RECORDS_PATTERN = "facts-*.jsonl"
MAY_GROW = ("rounds", "learners")
"""settings that a run may be asked again with: what is there already is kept"""

FactsPoint = WorldPoint | LearnerPoint | SizePoint
KINDS: dict[str, type[FactsPoint]] = {"world": WorldPoint, "learner": LearnerPoint, "size": SizePoint}


def run_facts(
    settings: FactsSettings, *, records: RecordFile | None = None, device: torch.device | str = "cpu"
) -> Generator[FactsPoint]:
    """Measure every learner in every world, yielding point by point; close it to stop.

    Args:
        settings: the run.
        records: where points are kept; what it holds is yielded from it, not measured again. A network that was
            stopped in training starts again from its seed, to the same weights.
        device: where the network learns.

    Raises RefusedInputError when `records` belongs to a run with other settings, or a learner has no room.
    """
    kept = _kept_points(settings, records) if records else []
    _check_room(settings)
    if records:
        records.append({"kind": "settings", "settings": asdict(settings), "versions": library_versions()})
    yield from kept
    for seed in settings.seeds:
        for point in _missing_points(settings, seed, [p for p in kept if p.seed == seed], device):
            if records:
                kind = next(name for name, points in KINDS.items() if isinstance(point, points))
                records.append({"kind": kind} | asdict(point))
            yield point


def records_path(folder: Path, settings: FactsSettings) -> Path:
    """The file below `folder` that holds this run's points."""
    world = settings.world
    return folder / (
        f"facts-{world.n_prompts}x{world.n_answers}-zipf{world.zipf_exponent:g}-alpha{world.answer_rate:g}"
        f"-N{settings.n_samples}.jsonl"
    )


def read_runs(folder: Path) -> tuple[FactsResult, ...]:
    """Every run recorded in a folder, finished or killed, by file name.

    Raises RefusedInputError for a folder without facts runs, or records that this version cannot read.
    """
    results = [_read_run(RecordFile(path)) for path in sorted(folder.glob(RECORDS_PATTERN))]
    if not results:
        raise RefusedInputError(
            f"expected a folder with a facts run ({RECORDS_PATTERN}), found none in {folder}: "
            "make one with `python -m hallulab facts --out FOLDER`"
        )
    return tuple(results)


def _missing_points(
    settings: FactsSettings, seed: int, kept: list[FactsPoint], device: torch.device | str
) -> Generator[FactsPoint]:
    """What one world's records lack."""
    finished = {point.learner for point in kept if isinstance(point, LearnerPoint)} - {QWEN}
    if _has_finished(settings, kept):
        finished.add(QWEN)
    has_world = any(isinstance(point, WorldPoint) for point in kept)
    if not has_world or not finished.issuperset(set(settings.learners) - {QWEN}):
        play = play_facts(settings, seed=seed)
        if not has_world:
            yield play.point
        yield from (point for name, point in play.learners.items() if name not in finished)
    if QWEN in settings.learners and QWEN not in finished:
        yield from _train(settings, seed, device)
    measured = {point.n_samples for point in kept if isinstance(point, SizePoint)}
    yield from size_curve(settings, seed=seed, sizes=[n for n in curve_sizes() if n not in measured])


def _has_finished(settings: FactsSettings, kept: list[FactsPoint]) -> bool:
    ends = (QWEN, settings.qwen.epochs)
    return any(isinstance(point, LearnerPoint) and (point.learner, point.epoch) == ends for point in kept)


def _train(settings: FactsSettings, seed: int, device: torch.device | str) -> Generator[LearnerPoint]:
    facts, counts = draw_facts(settings.world, settings.n_samples, seed)
    seen = count_singletons(counts.n_answered, counts.n_samples)
    for trained in train_facts_qwen(facts, counts, settings.qwen, seed=seed, device=device):
        if trained.learned is not None:
            yield measure_learner(
                QWEN, trained.learned, counts, seen,
                seed=seed, epoch=trained.epoch, train_loss=trained.train_loss,
            )  # fmt: skip


def _check_room(settings: FactsSettings) -> None:
    """Refused before anything is measured: a run does not leave out what was asked for."""
    if all(name in GROUPED_LEARNERS for name in settings.learners):
        return
    facts, _ = draw_facts(settings.world, settings.n_samples, settings.seed)
    facts.check_dense()


def _kept_points(settings: FactsSettings, records: RecordFile) -> list[FactsPoint]:
    """What an earlier, perhaps killed run with these settings left, of the worlds and learners asked for."""
    found = records.read()
    for header in (record for record in found if record.get("kind") == "settings"):
        theirs = header.get("settings", {})
        ours = as_plain(asdict(settings))
        differing = [name for name in ours if name not in MAY_GROW and theirs.get(name) != ours[name]]
        if differing:
            raise RefusedInputError(
                f"expected a run with the same settings in {records.path}, got another {', '.join(differing)}: "
                "choose another --out"
            )
    return [
        point
        for point in _points_of(found)
        if point.seed in settings.seeds
        and (not isinstance(point, LearnerPoint) or point.learner in settings.learners)
    ]


def _points_of(found: list[dict[str, Any]]) -> list[FactsPoint]:
    """Points in the order of their first writing; one measured again after a kill replaces the first."""
    points: dict[tuple, FactsPoint] = {}
    for record in found:
        if record.get("kind") not in KINDS:
            continue
        point = _as_point(record)
        key = tuple(getattr(point, name, None) for name in ("seed", "learner", "epoch", "n_samples"))
        points[(record["kind"], *key)] = point
    return list(points.values())


def _as_point(record: dict[str, Any]) -> FactsPoint:
    wanted = KINDS[record["kind"]]
    try:
        values = {field.name: record[field.name] for field in fields(wanted)}
        if wanted is WorldPoint:
            values["first_sizes"] = {name: FirstSize(**size) for name, size in values["first_sizes"].items()}
            for name in ("esty_interval", "proved_interval"):
                values[name] = tuple(values[name])
        if wanted is LearnerPoint:
            values["by_frequency"] = tuple(FrequencyBin(**one) for one in values["by_frequency"])
        return wanted(**values)
    except (KeyError, TypeError, AttributeError) as error:
        raise RefusedInputError(
            f"expected a {record['kind']} record of this version, got one without {error}: measure it again with "
            "`python -m hallulab facts --out FOLDER`"
        ) from error


def _settings_of(given: list[dict[str, Any]]) -> FactsSettings:
    """One run that was asked for several times: all its learners, and the most rounds."""
    learners = {name for one in given for name in one["learners"]}
    last = given[-1]
    return FactsSettings(
        **last
        | {
            "world": WorldSettings(**last["world"]),
            "qwen": FactsQwenSettings(**last["qwen"]),
            "learners": tuple(sorted(learners, key=LEARNERS.index)),
            "rounds": max(one["rounds"] for one in given),
        }
    )


def _read_run(records: RecordFile) -> FactsResult:
    found = records.read()
    headers = [record for record in found if record.get("kind") == "settings"]
    if not headers:
        raise RefusedInputError(
            f"expected the settings of a facts run in {records.path}, found none: make it again with "
            "`python -m hallulab facts --out FOLDER`"
        )
    try:
        settings = _settings_of([header["settings"] for header in headers])
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedInputError(
            f"expected settings of this version in {records.path}, got others ({error}): make the run again"
        ) from error
    return FactsResult(settings, tuple(_points_of(found)), headers[-1].get("versions", {}))
