"""Theorem 2 in a thousand worlds, small and large, even and uneven: judged where its bounds say something."""

import math
from dataclasses import asdict, replace

import pytest

from hallulab.data.facts_world import WorldSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.facts_audit import AuditSettings, FactsAudit, row_of
from hallulab.experiments.facts_audit_run import audit_world, audit_worlds, read_audits, records_path
from hallulab.records import RecordFile

KINDS = (
    # in these the paper's lower bound says something: all prompts alike, more of them than samples
    AuditSettings(WorldSettings(n_prompts=60_000, zipf_exponent=0, answer_rate=1.0), 25_000, 120),
    AuditSettings(WorldSettings(n_prompts=20_000, zipf_exponent=0.7), 20_000, 60),
    AuditSettings(WorldSettings(n_prompts=800, rarest_answer_rate=0.2), 1_000, 410),
    AuditSettings(WorldSettings(n_prompts=50, n_answers=30, fewest_answers=20), 60, 410),
)
SMALL = AuditSettings(WorldSettings(n_prompts=50, n_answers=30, fewest_answers=20), 60, 7)


@pytest.fixture(scope="module")
def audits() -> list[FactsAudit]:
    return [FactsAudit(settings, tuple(audit_worlds(settings))) for settings in KINDS]


def test_theorem_2_holds_in_at_least_99_percent_of_the_worlds_where_it_speaks(audits):
    assert sum(len(audit.worlds) for audit in audits) == 1_000
    spoke = {}
    for place, row in enumerate(audits[0].rows):
        rows = [audit.rows[place] for audit in audits]
        n, held = sum(one.n_spoke for one in rows), sum(one.n_held for one in rows)
        assert held >= 0.99 * n, (row.bound, row.learner, held, n)
        assert n + sum(one.n_silent for one in rows) == 1_000
        spoke[row.bound, row.learner] = n
    # a bound that never speaks would pass above: this is how often each is put to the test
    assert spoke["paper_lower", "memoriser"] == 120
    assert spoke["sharp_lower", "memoriser"] == 180
    assert spoke["paper_upper", "memoriser"] == 590
    assert spoke["sharp_upper", "memoriser"] > 980


def test_the_bounds_are_not_silent_where_it_matters(audits):
    paper, sharp = (row_of(audits[0].rows, name) for name in ("paper_lower", "sharp_lower"))
    assert paper.n_silent == 0
    assert sharp.mean_bound > 5 * paper.mean_bound
    assert sharp.mean_bound < sharp.mean_err
    silent = row_of(audits[1].rows, "paper_lower")
    assert (silent.n_silent, silent.share_held, silent.interval, silent.mean_bound) == (60, None, None, None)
    assert row_of(audits[1].rows, "sharp_lower").n_silent == 0


def test_the_memoriser_is_calibrated_in_every_world(audits):
    assert max(abs(world.overshoot["memoriser"]) for audit in audits for world in audit.worlds) <= 1e-9


def test_a_lower_bound_without_its_concentration_term_would_fail(audits):
    # sr alone is no bound: chance makes it too large in many worlds, so the tests above can fail
    too_high = sum(world.err["memoriser"] < world.singleton_rate - 2 / 364 for world in audits[2].worlds)
    assert too_high > 0.05 * len(audits[2].worlds)


def test_intervals_of_the_missing_mass(audits):
    for audit in audits[:3]:
        share, interval = audit.coverage("esty")
        assert interval.low <= 0.95 <= interval.high or share > 0.95
        assert audit.coverage("proved")[0] == 1


def test_the_constant_that_is_needed_takes_each_world_s_fewest_errors():
    # with two answers there is one error, so Theorem 2 gives 2/1 away, not 2/2
    audit = FactsAudit(*made(AuditSettings(WorldSettings(n_prompts=30, n_answers=2), 20, 3)))
    needed = [
        (world.singleton_rate - 2 - world.err["memoriser"] - abs(world.overshoot["memoriser"]))
        * math.sqrt(20)
        for world in audit.worlds
    ]
    assert min(needed) <= audit.needed_constant <= max(needed) < -5
    drawn = [audit_world(SMALL, seed).fewest_errors for seed in range(20)]
    assert set(drawn) <= set(range(19, 30))
    assert min(drawn) == 19  # |R_c| is drawn between 20 and 30, and the least of 50 prompts counts


def made(settings: AuditSettings):
    return settings, tuple(audit_worlds(settings))


def test_json_counts_what_the_rows_count(audits):
    found = audits[3].to_json()
    assert found["n_worlds"] == 410
    assert {row["n_spoke"] + row["n_silent"] for row in found["table"]} == {410}
    assert found["needed_constant"] < found["paper_constant"]


def test_a_killed_audit_goes_on_and_more_worlds_may_be_asked(tmp_path):
    settings, worlds = made(SMALL)
    records = RecordFile(records_path(tmp_path, SMALL))
    running = audit_worlds(SMALL, records=records)
    for _ in range(3):
        next(running)
    running.close()
    with records.path.open("a") as file:
        file.write('{"kind": "world", "seed"')  # torn by the kill
    assert tuple(audit_worlds(SMALL, records=records)) == worlds
    kinds = [record["kind"] for record in records.read()]
    assert kinds.count("world") == 7  # nothing was drawn twice
    assert read_audits(tmp_path) == (FactsAudit(settings, worlds, read_audits(tmp_path)[0].versions),)
    list(audit_worlds(replace(SMALL, n_worlds=9), records=records))
    list(audit_worlds(replace(SMALL, n_worlds=1), records=records))
    assert read_audits(tmp_path)[0].settings == replace(SMALL, n_worlds=9)
    assert len(read_audits(tmp_path)[0].worlds) == 9


def test_refusals(tmp_path):
    records = RecordFile(records_path(tmp_path, SMALL))
    list(audit_worlds(replace(SMALL, n_worlds=1), records=records))
    with pytest.raises(RefusedInputError, match="another n_samples"):
        next(audit_worlds(replace(SMALL, n_samples=61), records=records))
    with pytest.raises(RefusedInputError, match="worlds as a whole number"):
        replace(SMALL, n_worlds=0)
    records.append({"kind": "world", "seed": 5})
    with pytest.raises(RefusedInputError, match="worlds of Theorem 2 of this version"):
        read_audits(tmp_path)
    assert asdict(SMALL)["seed"] == 0
