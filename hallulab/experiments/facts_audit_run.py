"""World after world held against Theorem 2 of [KNVZ], recorded and resumable."""

from collections.abc import Generator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from hallulab.data.facts_world import WorldSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.facts_audit import AUDITED, AuditedWorld, AuditSettings, FactsAudit
from hallulab.experiments.facts_measure import BOUNDS, draw_facts
from hallulab.records import RecordFile, as_plain, library_versions
from hallulab.theory.arbitrary_facts import count_singletons, estimate_missing_mass, missing_mass
from hallulab.theory.is_it_valid import reduction

RECORDS_PATTERN = "theorem-2-*.jsonl"
WRITTEN_AT_ONCE = 50
"""worlds between two waits for the disk"""


def audit_worlds(settings: AuditSettings, *, records: RecordFile | None = None) -> Generator[AuditedWorld]:
    """World after world, by seed; close it to stop.

    Args:
        settings: the audit.
        records: where worlds are kept; those it already holds are not drawn again.

    Raises RefusedInputError when `records` belongs to worlds of another kind.
    """
    kept = _kept(settings, records) if records else {}
    if records:
        records.append({"kind": "settings", "settings": asdict(settings), "versions": library_versions()})
    fresh: list[AuditedWorld] = []
    try:
        for seed in settings.seeds:
            world = kept.get(seed) or audit_world(settings, seed)
            if records and seed not in kept:
                fresh.append(world)
            if records and len(fresh) >= WRITTEN_AT_ONCE:
                _write(records, fresh)
                fresh = []
            yield world
    finally:
        if records and fresh:
            _write(records, fresh)


def audit_world(settings: AuditSettings, seed: int) -> AuditedWorld:
    """One world, its exact learners, every bound on them."""
    facts, counts = draw_facts(settings.world, settings.n_samples, seed)
    seen, n = count_singletons(counts.n_answered, counts.n_samples), counts.n_samples
    truth = missing_mass(facts.fact_probability, counts.n_answered)
    estimate = estimate_missing_mass(seen)
    measured = {}
    for name, learn in AUDITED.items():
        learned = learn(facts, counts)
        measured[name] = reduction(learned.truth, learned.probability)
    fewest, most = int(facts.n_errors.min()), int(facts.n_errors.max())
    lower = {name: bound for name, bound in BOUNDS.items() if name.endswith("lower")}
    return AuditedWorld(
        seed=seed,
        singleton_rate=seen.rate,
        missing_mass=truth,
        fewest_errors=fewest,
        is_in_esty=estimate.interval.low <= truth <= estimate.interval.high,
        is_in_proved=estimate.proved_interval.low <= truth <= estimate.proved_interval.high,
        err={name: float(found.err) for name, found in measured.items()},
        overshoot={name: float(found.overshoot) for name, found in measured.items()},
        lower_bounds={
            bound_name: {
                name: bound(seen.rate, n, fewest).value
                # the paper subtracts δ, the sharp bound the overshoot itself
                - float(found.delta if bound_name == "paper_lower" else found.overshoot)
                for name, found in measured.items()
            }
            for bound_name, bound in lower.items()
        },
        upper_bounds={
            name: bound(seen.rate, n, most).value for name, bound in BOUNDS.items() if name not in lower
        },
    )


def records_path(folder: Path, settings: AuditSettings) -> Path:
    """The file below `folder` that holds these worlds."""
    world = settings.world
    return folder / (
        f"theorem-2-{world.n_prompts}x{world.n_answers}-zipf{world.zipf_exponent:g}-alpha{world.answer_rate:g}"
        f"-N{settings.n_samples}.jsonl"
    )


def read_audits(folder: Path) -> tuple[FactsAudit, ...]:
    """Every audit recorded in a folder, finished or killed, by file name; those without a world are left out.

    Raises RefusedInputError for records that this version cannot read.
    """
    files = [RecordFile(path) for path in sorted(folder.glob(RECORDS_PATTERN))]
    audits = [_audit_of(records.read(), records) for records in files]
    return tuple(audit for audit in audits if audit.worlds)


def _write(records: RecordFile, worlds: list[AuditedWorld]) -> None:
    records.append_all([{"kind": "world"} | asdict(world) for world in worlds])


def _kept(settings: AuditSettings, records: RecordFile) -> dict[int, AuditedWorld]:
    """Seed → world, of worlds of the same kind."""
    found = records.read()
    ours = as_plain(asdict(settings))
    for header in (record for record in found if record.get("kind") == "settings"):
        theirs = header.get("settings", {})
        differing = [name for name in ("world", "n_samples") if theirs.get(name) != ours[name]]
        if differing:
            raise RefusedInputError(
                f"expected worlds with the same settings in {records.path}, got another {', '.join(differing)}: "
                "choose another --out"
            )
    return {world.seed: world for world in _audit_of(found, records).worlds} if found else {}


def _audit_of(found: list[dict[str, Any]], records: RecordFile) -> FactsAudit:
    """Every world on record; which were asked for is told by their seeds."""
    names = [field.name for field in fields(AuditedWorld)]
    try:
        header = [record for record in found if record.get("kind") == "settings"][-1]
        worlds = {
            record["seed"]: AuditedWorld(**{name: record[name] for name in names})
            for record in found
            if record.get("kind") == "world"
        }
        given = header["settings"] | {"n_worlds": max(1, len(worlds))}
        given["seed"] = min(worlds, default=given["seed"])
        settings = AuditSettings(**given | {"world": WorldSettings(**given["world"])})
    except (IndexError, KeyError, TypeError) as error:
        raise RefusedInputError(
            f"expected worlds of Theorem 2 of this version in {records.path}, got others ({error}): make them with "
            "`python -m hallulab facts --worlds 1000 --out FOLDER`"
        ) from error
    return FactsAudit(settings, tuple(worlds[seed] for seed in sorted(worlds)), header.get("versions", {}))
